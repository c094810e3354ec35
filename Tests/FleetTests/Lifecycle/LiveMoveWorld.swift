import Fleet
import Primitives

/// A pod in which instances move live while everything goes wrong: hypervisors are killed, agents and hosts crash and come back, the
/// network between hosts and to connect is cut, messages are lost, late, doubled and out of order, and guests switch themselves off. The decisions are the real ones:
/// `LiveMove` and `InstanceLifecycle` on connect's side, `MoveDecision` on the hosts'.
struct LiveMoveWorld {
    /// A hypervisor process, as it really is.
    struct Process {
        enum Mode { case running, receiving, sent }
        var mode: Mode
        var attempt: Int64 = 0
        var transfer = MoveSight.Transfer.none
        var peer: HostID?
        /// All that is to arrive has left the source.
        var isInFlight = false
    }
    /// What is laid down, on the host's disk.
    struct Record {
        var attempt: Int64
        var ruling: MoveSight.Ruling?
    }
    struct Intent: Equatable {
        var generation: Int64
        var desired: InstanceLifecycle.Desired
        var command: MoveDecision.Command?
        var attempt: Int64 = 0
        var endpoint: String?
    }
    struct Machine {
        var isOn = true
        var isAgentUp = true
        var isCutOff = false
        var isBriefed = true
        var boot = 0
        var request = 0
        var waitsUntil = 0
        var processes: [InstanceID: Process] = [:]
        var records: [InstanceID: Record] = [:]
        var intents: [InstanceID: Intent] = [:]
        var isGone: [InstanceID: Int64] = [:]
        /// Guests that switched themselves off here, and the generation under which they ran.
        var offs: [InstanceID: Int64] = [:]
    }
    struct Report {
        var instance: InstanceID
        var generation: Int64
        var seen: InstanceLifecycle.Seen
        var attempt: Int64
        var said: MoveDecision.Said?
        var endpoint: String?
    }
    struct Message {
        var host: HostID
        var boot: Int
        var request: Int
        var reports: [Report]
        var due = 0
    }
    struct Guest {
        var life: InstanceLifecycle
        var host: HostID
        var move: LiveMove?
        var place: InstanceID?
    }

    var generator: SeededGenerator
    var step = 0
    var machines: [HostID: Machine] = [:]
    var areCut: Set<HostID> = []
    var wire: [Message] = []
    var isCalm = false
    /// A source that runs on when it is told to stop sending, whatever has been sent.
    var trustsTheSource = false

    // Connect's tables.
    var guests: [InstanceID: Guest] = [:]
    var departures: [HostID: [InstanceID: Int64]] = [:]
    var heard: [HostID: Int] = [:]
    var fenced: Set<HostID> = []
    var occupancy = Occupancy()
    var places: UInt64 = 1_000

    var counts: [String: Int] = [:]
    var problems: [String] = []

    static let size = Resources(milliCPU: 1_000, memoryMiB: 1_024, diskMiB: 10_240)
    var now: Instant { Instant(seconds: 1_000 + Int64(step)) }
    var hostIDs: [HostID] { machines.keys.sorted() }
    var guestIDs: [InstanceID] { guests.keys.sorted() }

    init(seed: UInt64, hosts: UInt64 = 3, instances: UInt64 = 5) {
        generator = SeededGenerator(seed: seed)
        guard let network = GuestNetwork("10.77.0.1/16") else { preconditionFailure("a network that is written here is one") }
        for number in 1...hosts {
            let id = HostID(bits: number)
            machines[id] = Machine()
            occupancy.setHost(
                .init(PlacementHost(id: id, zone: "a", pod: PodID(bits: 1), rack: "r", capacity: Self.size * 32), network: network))
        }
        for number in 1...instances {
            let guest = Guest(life: InstanceLifecycle(launchedAt: now), host: HostID(bits: UInt64.random(in: 1...hosts, using: &generator)))
            save(InstanceID(bits: number), guest)
        }
    }

    mutating func chance(_ percent: Int) -> Bool { !isCalm && Int.random(in: 0..<100, using: &generator) < percent }
    mutating func luck(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }
    mutating func count(_ what: String) { counts[what, default: 0] += 1 }

    mutating func run(_ steps: Int) {
        for _ in 0..<steps where problems.isEmpty {
            step += 1
            fate()
            users()
            transfer()
            for host in hostIDs { act(host) }
            deliver()
            reconcile()
            audit()
        }
    }

    mutating func calmDown() {
        isCalm = true
        areCut = []
        for host in hostIDs {
            machines[host]?.isCutOff = false
            machines[host]?.isAgentUp = true
            if machines[host]?.isOn == false { boot(host) }
        }
    }

    // MARK: - Fate

    private mutating func fate() {
        for host in hostIDs {
            guard let machine = machines[host] else { continue }
            if machine.isOn, chance(1), luck(40) { powerOff(host) } else if !machine.isOn, isCalm || chance(10) { boot(host) }
            if machine.isOn, chance(2) {
                machines[host]?.isAgentUp = false
            } else if isCalm || chance(20) {
                machines[host]?.isAgentUp = true
            }
            if chance(machine.isCutOff ? 15 : 2) { machines[host]?.isCutOff.toggle() }
            if chance(areCut.contains(host) ? 15 : 2) { areCut.formSymmetricDifference([host]) }
            for id in machine.processes.keys.sorted() where chance(1) && luck(50) { killProcess(id, on: host) }
            for id in machine.processes.keys.sorted() where chance(1) && luck(30) { switchOff(id, on: host) }
        }
    }

    private mutating func powerOff(_ host: HostID) {
        machines[host]?.isOn = false
        machines[host]?.processes = [:]
    }

    private mutating func boot(_ host: HostID) {
        machines[host]?.isOn = true
        machines[host]?.isAgentUp = true
        machines[host]?.isBriefed = false
        machines[host]?.boot += 1
        machines[host]?.request += 1
        machines[host]?.waitsUntil = 0
    }

    private mutating func killProcess(_ id: InstanceID, on host: HostID) {
        if machines[host]?.processes[id]?.mode == .receiving { count("target killed") }
        machines[host]?.processes[id] = nil
    }

    /// Only what runs can do that; and an agent that has just been told something else takes it for what it was told of.
    private mutating func switchOff(_ id: InstanceID, on host: HostID) {
        guard let machine = machines[host], machine.processes[id]?.mode == .running, let intent = machine.intents[id] else { return }
        machines[host]?.processes[id] = nil
        machines[host]?.offs[id] = intent.generation
    }

    private mutating func users() {
        guard !isCalm, luck(30), let id = guestIDs.randomElement(using: &generator), let guest = guests[id] else { return }
        var changed = guest
        let user = InstanceLifecycle.Reason("Client.UserInitiatedShutdown", "user")
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: _ = try? changed.life.stop(grace: 5, reason: user, at: now)
        case 1...3: _ = try? changed.life.start(at: now)
        default: return begin(id, guest)
        }
        save(id, changed)
    }

    private mutating func begin(_ id: InstanceID, _ guest: Guest) {
        var guest = guest
        let up = hostIDs.filter { !fenced.contains($0) && $0 != guest.host }
        guard guest.life.state == .running, !fenced.contains(guest.host), let target = up.randomElement(using: &generator),
            (try? guest.life.beginMove(.live, .drain, from: guest.host, to: target, grace: 5, at: now)) != nil
        else { return }
        guest.move = LiveMove(attempt: guest.life.generation, from: guest.host, to: target, memoryMiB: 64, bandwidthMiB: 64, at: now)
        guest.move?.deadline = now + .seconds(Int64.random(in: 10...60, using: &generator))
        places += 1
        guest.place = InstanceID(bits: places)
        departures[target]?[id] = nil
        save(id, guest)
        count("begun")
    }

    // MARK: - The hypervisors

    /// What is being sent gets on, arrives, or does not.
    private mutating func transfer() {
        for host in hostIDs {
            for id in (machines[host]?.processes.keys.sorted() ?? []) {
                guard let process = machines[host]?.processes[id] else { continue }
                if process.mode == .receiving, process.isInFlight, luck(60) {
                    machines[host]?.processes[id]?.transfer = .completed
                    machines[host]?.processes[id]?.isInFlight = false
                }
                if process.mode == .running, process.transfer == .active { advance(id, process, from: host) }
            }
        }
    }

    private mutating func advance(_ id: InstanceID, _ process: Process, from host: HostID) {
        guard let peer = process.peer, let target = machines[peer]?.processes[id], target.mode == .receiving,
            target.attempt == process.attempt, target.transfer == .waiting || target.transfer == .active
        else {
            if luck(50) { machines[host]?.processes[id]?.transfer = .failed }
            return
        }
        if areCut.contains(host) || areCut.contains(peer) {
            guard luck(30) else { return }
            machines[host]?.processes[id]?.transfer = .failed
            machines[peer]?.processes[id] = nil
            return
        }
        machines[peer]?.processes[id]?.transfer = .active
        guard luck(35) else { return }
        // Sent whole: the source stands still from here on, whatever becomes of what is under way.
        machines[host]?.processes[id]?.mode = .sent
        machines[host]?.processes[id]?.transfer = .completed
        machines[peer]?.processes[id]?.isInFlight = true
    }

    // MARK: - What must hold at every moment

    private mutating func audit() {
        var running: [InstanceID: [HostID]] = [:]
        for (host, machine) in machines {
            for (id, process) in machine.processes where process.mode == .running { running[id, default: []].append(host) }
        }
        for (id, hosts) in running where hosts.count > 1 { problems.append("\(id) runs on \(hosts) at step \(step)") }
        let moving = guests.values.count { $0.move != nil }
        if occupancy.instanceCount != guests.count + moving {
            problems.append("\(occupancy.instanceCount) rooms for \(guests.count) instances, \(moving) of them moving, at step \(step)")
        }
        for (id, guest) in guests {
            if occupancy[id]?.host != guest.host { problems.append("\(id) has no room on \(guest.host) at step \(step)") }
            if let move = guest.move, guest.place.flatMap({ occupancy[$0] })?.host != move.target {
                problems.append("\(id) has no room where it goes at step \(step)")
            }
        }
        if step % 20 == 0 { problems += occupancy.violations() }
    }

    /// What is not as it is wanted.
    var unsettled: [String] {
        var wrong: [String] = []
        for (host, left) in departures where !left.isEmpty { wrong.append("\(host) has \(left.count) to let go of") }
        for (id, guest) in guests {
            let places = machines.filter { $0.value.processes[id] != nil }.map(\.key)
            let wanted = guest.life.desired == .running ? [guest.host] : []
            if places != wanted { wrong.append("\(id) is on \(places), wanted on \(wanted)") }
            if guest.life.state != (guest.life.desired == .running ? .running : .stopped) { wrong.append("\(id) is \(guest.life.state)") }
            if guest.move != nil || guest.life.move != nil { wrong.append("\(id) still moves: \(String(describing: guest.move))") }
        }
        return wrong
    }
}

extension Resources {
    fileprivate static func * (one: Resources, count: Int64) -> Resources {
        Resources(milliCPU: one.milliCPU * count, memoryMiB: one.memoryMiB * count, diskMiB: one.diskMiB * count)
    }
}
