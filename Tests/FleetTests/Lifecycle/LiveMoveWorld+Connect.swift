import Fleet
import Primitives

/// Connect's side: what lifecycles and `LiveMove` say, and what messages bring.
extension LiveMoveWorld {
    /// One transaction: the rows, and the memory that follows them.
    mutating func save(_ id: InstanceID, _ guest: Guest) {
        if let old = guests[id], let place = old.place, old.place != guest.place { occupancy.set(place, nil) }
        guests[id] = guest
        occupancy.set(id, holding(guest, on: guest.host))
        if let place = guest.place, let move = guest.move {
            var room = holding(guest, on: move.target)
            (room.state, room.desired, room.isArriving) = (.pending, .running, true)
            occupancy.set(place, room)
        }
    }

    private func holding(_ guest: Guest, on host: HostID) -> Occupancy.Holding {
        Occupancy.Holding(
            contract: ContractID(bits: 1), party: ParticipantID(bits: 1), host: host, resources: Self.size, address: nil,
            desired: guest.life.desired, state: guest.life.state, generation: guest.life.generation, executed: nil)
    }

    // MARK: Messages

    mutating func take(_ message: Message) {
        heard[message.host] = step
        for report in message.reports where report.seen == .absent && report.said == nil {
            if let generation = departures[message.host]?[report.instance], generation <= report.generation {
                departures[message.host]?[report.instance] = nil
            }
        }
        if fenced.contains(message.host) {
            guard departures[message.host]?.isEmpty ?? true, machines[message.host]?.boot == message.boot else { return reply(message) }
            fenced.remove(message.host)
            return reply(message)
        }
        for report in message.reports { observe(report, from: message.host) }
        reply(message)
    }

    private mutating func observe(_ report: Report, from host: HostID) {
        guard var guest = guests[report.instance] else { return }
        if let said = report.said {
            guard var move = guest.move, host == move.source || host == move.target else { return }
            let old = move
            let part: LiveMove.Part = host == move.source ? .source : .target
            guard move.hear(said, from: part, attempt: report.attempt, endpoint: report.endpoint) else { return }
            return settle(report.instance, &guest, move, since: old)
        }
        guard guest.host == host else { return }
        if var move = guest.move {
            // The source has no part in it yet.
            guard report.seen == .stopped, report.generation == guest.life.generation, guest.life.desired == .running,
                move.phase == .preparing
            else { return }
            let old = move
            if move.hear(.off, from: .source, attempt: move.attempt) { settle(report.instance, &guest, move, since: old) }
            return
        }
        if guest.life.observe(report.seen, generation: report.generation, reason: nil, executed: now, at: now) {
            save(report.instance, guest)
        }
    }

    private mutating func settle(_ id: InstanceID, _ guest: inout Guest, _ move: LiveMove, since old: LiveMove) {
        guest.move = move
        guard move.phase.isOver else {
            if move.sourceCommand != old.sourceCommand || move.targetCommand != old.targetCommand { guest.life.advanceLiveMove(at: now) }
            return save(id, guest)
        }
        count(move.phase.rawValue)
        if move.phase == .off, machines.values.contains(where: { $0.processes[id]?.mode == .running }) {
            problems.append("\(id) counts as switched off and runs at step \(step)")
        }
        if move.isTargetGone { count("target fenced") }
        let generation = guest.life.generation
        guest.life.endLiveMove(as: move.phase, why: move.why, at: now)
        if move.phase == .arrived {
            departures[move.source, default: [:]][id] = generation
            departures[move.target]?[id] = nil
            guest.host = move.target
        } else {
            departures[move.target, default: [:]][id] = generation
        }
        (guest.move, guest.place) = (nil, nil)
        save(id, guest)
    }

    /// What the host is to do; one that was fenced first lets go of everything.
    private mutating func reply(_ message: Message) {
        let (drops, serves) = (departures[message.host] ?? [:], !fenced.contains(message.host))
        var intents: [InstanceID: Intent] = [:]
        for (id, guest) in guests where drops[id] == nil && serves {
            if let move = guest.move {
                guard let intent = intent(guest, move, for: message.host) else { continue }
                intents[id] = intent
            } else if guest.host == message.host {
                intents[id] = Intent(generation: guest.life.generation, desired: guest.life.desired)
            }
        }
        for (id, generation) in drops { intents[id] = Intent(generation: generation, desired: .absent) }
        answer(message) { machine in
            if !serves, !machine.isBriefed { machine.intents = [:] }
            machine.isBriefed = true
            machine.isGone = machine.isGone.filter { drops[$0.key] != nil }
            for (id, intent) in intents where intent.generation >= machine.intents[id]?.generation ?? 0 {
                if intent.desired == .absent, machine.isGone[id] ?? -1 >= intent.generation { continue }
                machine.isGone[id] = nil
                machine.intents[id] = intent
            }
        }
    }

    private func intent(_ guest: Guest, _ move: LiveMove, for host: HostID) -> Intent? {
        let isSource = host == move.source
        guard isSource || host == move.target else { return nil }
        let command = isSource ? move.sourceCommand : move.targetCommand
        guard isSource || command != nil else { return nil }
        return Intent(
            generation: guest.life.generation, desired: .running, command: command, attempt: command == nil ? 0 : move.attempt,
            endpoint: move.endpoint)
    }

    // MARK: Reconcilers

    mutating func reconcile() {
        for host in hostIDs where !fenced.contains(host) && step - (heard[host] ?? 0) > 25 && luck(20) {
            // Seen off.
            machines[host]?.isOn = false
            machines[host]?.processes = [:]
            fenced.insert(host)
            count("fenced")
        }
        for id in guestIDs {
            guard var guest = guests[id] else { continue }
            if var move = guest.move {
                let old = move
                var isChanged = move.pass(to: now)
                if fenced.contains(move.source), move.sourceSaid != .lost { isChanged = move.fenced(.source) || isChanged }
                if fenced.contains(move.target), !move.isTargetGone { isChanged = move.fenced(.target) || isChanged }
                if guest.life.desired != .running { isChanged = move.giveUp("unwanted") || isChanged }
                if isChanged { settle(id, &guest, move, since: old) }
            } else if fenced.contains(guest.host) {
                evacuate(id, guest)
            }
        }
    }

    private mutating func evacuate(_ id: InstanceID, _ guest: Guest) {
        var guest = guest
        let source = guest.host
        guard let target = hostIDs.filter({ !fenced.contains($0) }).randomElement(using: &generator),
            guest.life.evacuate(from: source, to: target, at: now)
        else { return }
        departures[source, default: [:]][id] = guest.life.generation - 1
        departures[target]?[id] = nil
        guest.host = target
        save(id, guest)
        count("evacuated")
    }
}
