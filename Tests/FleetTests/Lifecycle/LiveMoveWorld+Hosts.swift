import Fleet
import Primitives

/// The hosts' side: what agents do, and what they say.
extension LiveMoveWorld {
    mutating func act(_ host: HostID) {
        guard let machine = machines[host], machine.isOn, machine.isAgentUp else { return }
        for id in machine.intents.keys.sorted() where luck(70) { work(on: id, host) }
        guard step >= machine.waitsUntil, let machine = machines[host] else { return }
        machines[host]?.request += 1
        machines[host]?.waitsUntil = step + 4
        var reports = machine.intents.sorted { $0.key < $1.key }.map { report(of: $0.key, $0.value, machine) }
        reports += machine.isGone.map {
            Report(instance: $0.key, generation: $0.value, seen: .absent, attempt: 0, said: nil, endpoint: nil)
        }
        let message = Message(host: host, boot: machine.boot, request: machine.request + 1, reports: reports)
        if !machine.isCutOff { send(message) }
    }

    private func report(of id: InstanceID, _ intent: Intent, _ machine: Machine) -> Report {
        let isRunning = machine.processes[id]?.mode == .running
        let said = intent.command.map { MoveDecision(command: $0, attempt: intent.attempt, sight: sight(of: id, machine)).said }
        let isOff = !isRunning && (intent.desired == .stopped || machine.offs[id] == intent.generation)
        return Report(
            instance: id, generation: intent.generation, seen: isRunning ? .running : isOff ? .stopped : .preparing,
            attempt: intent.attempt, said: said, endpoint: said == .ready ? "\(intent.attempt)" : nil)
    }

    private func sight(of id: InstanceID, _ machine: Machine) -> MoveSight {
        let (process, record) = (machine.processes[id], machine.records[id])
        return MoveSight(
            attempt: record?.attempt ?? 0, isAlive: process != nil, isSwitchedOff: machine.offs[id] != nil,
            transfer: process?.transfer ?? .none, ruling: record?.ruling)
    }

    private mutating func work(on id: InstanceID, _ host: HostID) {
        guard let machine = machines[host], let intent = machine.intents[id] else { return }
        let process = machine.processes[id]
        // The driver's upkeep: what was laid down comes about.
        if machine.records[id]?.ruling == .taken, process?.mode == .receiving { machines[host]?.processes[id]?.mode = .running }
        if let command = intent.command {
            let decision = MoveDecision(command: command, attempt: intent.attempt, sight: sight(of: id, machine))
            if trustsTheSource, command == .cancel, process?.mode == .sent { machines[host]?.processes[id]?.mode = .running }
            if let next = decision.next, !chance(10) { perform(next, id, intent, host) }
            return
        }
        switch intent.desired {
        case .running:
            // What is left of a move that came to nothing goes.
            guard process?.mode != .running, machine.isBriefed, machine.offs[id] != intent.generation, !chance(20) else { return }
            machines[host]?.processes[id] = Process(mode: .running)
            machines[host]?.offs[id] = nil
            count("boots")
        case .stopped: machines[host]?.processes[id] = nil
        case .absent:
            machines[host]?.processes[id] = nil
            machines[host]?.records[id] = nil
            machines[host]?.offs[id] = nil
            machines[host]?.intents[id] = nil
            machines[host]?.isGone[id] = intent.generation
        }
    }

    private mutating func perform(_ next: MoveDecision.Step, _ id: InstanceID, _ intent: Intent, _ host: HostID) {
        guard let machine = machines[host] else { return }
        let process = machine.processes[id]
        let own = machine.records[id]?.attempt == intent.attempt ? machine.records[id] : nil
        switch next {
        case .beginSending:
            machines[host]?.records[id] = Record(attempt: intent.attempt)
            machines[host]?.processes[id]?.transfer = .active
            machines[host]?.processes[id]?.attempt = intent.attempt
            machines[host]?.processes[id]?.peer = guests[id]?.move?.target
        case .cancelSending: if process?.transfer == .active { machines[host]?.processes[id]?.transfer = .failed }
        case .layDownStaying:
            guard process?.mode == .running, process?.transfer != .active else { return }
            machines[host]?.records[id] = Record(attempt: intent.attempt, ruling: .stayed)
            machines[host]?.processes[id]?.transfer = .none
        case .resume:
            machines[host]?.processes[id]?.mode = .running
            machines[host]?.processes[id]?.transfer = .none
            if !chance(20) { machines[host]?.records[id]?.ruling = .stayed }
            count("resumed")
        case .beginReceiving:
            guard process == nil || process?.mode == .receiving, machine.isBriefed else {
                return void(id, intent, host)
            }
            machines[host]?.records[id] = Record(attempt: intent.attempt)
            machines[host]?.offs[id] = nil
            machines[host]?.processes[id] = Process(mode: .receiving, attempt: intent.attempt, transfer: .waiting)
        case .take:
            guard process?.mode == .receiving, process?.transfer == .completed, own?.ruling != .void else { return }
            machines[host]?.records[id]?.ruling = .taken
            // The agent may die between the two.
            if !chance(20) { machines[host]?.processes[id]?.mode = .running }
            machines[host]?.processes[id]?.transfer = .none
            count("taken")
        case .layDownVoid: void(id, intent, host)
        }
    }

    private mutating func void(_ id: InstanceID, _ intent: Intent, _ host: HostID) {
        guard machines[host]?.processes[id].map({ $0.mode == .receiving }) ?? true else { return }
        machines[host]?.records[id] = Record(attempt: intent.attempt, ruling: .void)
        machines[host]?.processes[id] = nil
    }

    // MARK: - The network

    private mutating func send(_ message: Message) {
        var message = message
        for _ in 0..<(chance(20) ? 2 : 1) where !chance(10) {
            message.due = step + (isCalm ? 0 : Int.random(in: 0..<4, using: &generator))
            wire.append(message)
        }
    }

    /// What is due, in any order.
    mutating func deliver() {
        let due = wire.filter { $0.due <= step }.shuffled(using: &generator)
        wire.removeAll { $0.due <= step }
        for message in due { take(message) }
    }

    /// The answer reaches a host only while it waits for it.
    mutating func answer(_ message: Message, _ body: (inout Machine) -> Void) {
        guard var machine = machines[message.host], machine.isOn, machine.isAgentUp, !machine.isCutOff, machine.boot == message.boot,
            machine.request == message.request
        else { return }
        machine.waitsUntil = 0
        body(&machine)
        machines[message.host] = machine
    }
}
