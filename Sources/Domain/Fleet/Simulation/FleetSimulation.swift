public import Primitives

/// A whole fleet in virtual time: users, one connect, hosts with their agents, and a network between them that delays, loses, doubles
/// and reorders what it carries; all of them crash and are cut off. The decisions are the real ones: `InstanceLifecycle`, `Occupancy`
/// and its placement on connect's side, `MachineDecision` on the hosts'. The same plan and seed always give the same history.
public struct FleetSimulation: Sendable {
    /// What came of it.
    public struct Outcome: Sendable, Hashable {
        /// What must never be, and what must not be once the world has healed.
        public var problems: [String] = []
        public var launched = 0
        /// Launches, by the rule that refused them.
        public var refused: [String: Int] = [:]
        /// From when each launch was accepted until connect knew it ran.
        public var lags: [Span] = []
        public var running = 0
        public var terminated = 0
        public var messages = 0
        public var events = 0
        /// Allocated of promised when the last command was given, in thousandths, by component.
        public var utilisation: [String: Int64] = [:]

        /// The lag within which so many percent of launches were known to run.
        public func lag(percent: Int) -> Span {
            let sorted = lags.sorted()
            return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, sorted.count * percent / 100)]
        }
    }

    private enum Event: Sendable {
        case act(Int)
        case toConnect(Int, SimulatedMessage)
        case toNode(Int, SimulatedMessage)
        case stepEnds(Int, InstanceID, Int)
        case retry(Int, InstanceID)
        case pollDue(Int, Int), pollLost(Int, Int)
        case reportLost(Int, Int)
        case nodeStarts(Int), connectStarts
        case upkeep
    }

    private static let pollWait = Span.seconds(45)
    private static let reportWait = Span.seconds(5)
    private static let upkeepEvery = Span.seconds(20)

    let plan: SimulationPlan
    private let acts: [SimulatedAct]
    private var generator: SeededGenerator
    private var queue = EventQueue<Event>()
    private var now = Instant.zero
    private var connect: SimulatedConnect
    private var nodes: [SimulatedNode]
    private var order: [InstanceID] = []
    private var connectAbsences = 0
    private var outcome = Outcome()

    public init(_ plan: SimulationPlan, seed: UInt64) { self.init(plan, acts: SimulatedAct.acts(of: plan, seed: seed), seed: seed) }

    init(_ plan: SimulationPlan, acts: [SimulatedAct], seed: UInt64) {
        self.plan = plan
        self.acts = acts
        var generator = SeededGenerator(seed: seed ^ 0x5EED)
        let ids = (0..<plan.hosts).map { HostID(bits: UInt64($0) + 1) }
        guard let network = GuestNetwork("10.77.0.1/16") else { preconditionFailure("a network that is written here is one") }
        connect = SimulatedConnect(
            hosts: ids.map { id in
                let pod = PodID(bits: id.bits / 1_024), rack = "rack-\(id.bits / 32)"
                return .init(PlacementHost(id: id, zone: "a", pod: pod, rack: rack, capacity: plan.promised), network: network)
            }, volume: plan.volume)
        nodes = ids.map { id in
            SimulatedNode(id: id, isSlow: Int.random(in: 0..<1_000, using: &generator) < plan.slowPerThousand)
        }
        self.generator = generator
    }

    /// Lets everything happen, then the world heal, then looks at what is there.
    public mutating func run() -> Outcome {
        for (number, act) in acts.enumerated() { queue.add(.act(number), at: act.at) }
        for number in nodes.indices { sendPoll(number) }
        queue.add(.upkeep, at: now + Self.upkeepEvery)
        let end = Instant.zero + plan.span
        while let next = queue.next, next <= end + plan.settling, let (at, event) = queue.take() {
            if now <= end, at > end { outcome.utilisation = utilisation() }
            now = at
            outcome.events += 1
            happen(event)
        }
        audit()
        return outcome
    }

    private var isHealed: Bool { now > Instant.zero + plan.span }

    private mutating func happen(_ event: Event) {
        switch event {
        case .act(let number): act(acts[number].kind)
        case .toConnect(let node, let message): receive(message, from: node)
        case .toNode(let node, let message): receive(message, at: node)
        case .stepEnds(let node, let instance, let work): endStep(work, of: instance, at: node)
        case .retry(let node, let instance): look(at: instance, on: node)
        case .pollDue(let node, let poll), .pollLost(let node, let poll):
            if nodes[node].isUp, nodes[node].poll == poll { sendPoll(node) }
        case .reportLost(let node, let report):
            nodes[node].giveUp(report: report)
            sendReport(node)
        case .nodeStarts(let node): startNode(node)
        case .connectStarts:
            connectAbsences -= 1
            if connectAbsences == 0 { connect.start() }
        case .upkeep:
            if connect.isUp { connect.giveUpLate(at: now) }
            answerPolls()
            queue.add(.upkeep, at: now + Self.upkeepEvery)
        }
    }

    // MARK: The network

    private mutating func send(_ event: Event, between node: Int) {
        outcome.messages += 1
        // A request that is cut off is lost: its sender hears nothing and asks again.
        guard nodes[node].partitionedUntil <= now else { return }
        guard isHealed || Int.random(in: 0..<1_000, using: &generator) >= plan.lostPerThousand else { return }
        queue.add(event, at: now + delay(plan.latency))
        if !isHealed, Int.random(in: 0..<1_000, using: &generator) < plan.doubledPerThousand {
            queue.add(event, at: now + delay(plan.latency))
        }
    }

    private mutating func delay(_ range: ClosedRange<Span>) -> Span {
        Span(microseconds: Int64.random(in: range.lowerBound.microseconds...range.upperBound.microseconds, using: &generator))
    }

    // MARK: Connect

    private mutating func receive(_ message: SimulatedMessage, from number: Int) {
        guard connect.isUp else { return }
        let host = nodes[number].id
        switch message {
        case .poll(let after, let poll):
            if let page = connect.poll(host, after: after, poll: poll) { send(.toNode(number, page), between: number) }
        case .report(let seen, let report):
            for (_, since) in connect.report(seen, from: host, at: now) { outcome.lags.append(now - since) }
            send(.toNode(number, .acknowledged(seen, report: report)), between: number)
            answerPolls()
        case .page, .acknowledged: break
        }
    }

    private mutating func answerPolls() {
        for (host, message) in connect.answersDue() { send(.toNode(Int(host.bits) - 1, message), between: Int(host.bits) - 1) }
    }

    // MARK: Users and faults

    private mutating func act(_ kind: SimulatedAct.Kind) {
        switch kind {
        case .launch(let shape, let contract): launch(shape, contract)
        case .stop(let target): command(target) { life, now throws(Refusal) in try life.stop(grace: 0, reason: .init("User", ""), at: now) }
        case .start(let target): command(target) { life, now throws(Refusal) in try life.start(at: now) }
        case .reboot(let target): command(target) { life, now throws(Refusal) in try life.reboot(at: now) }
        case .terminate(let target): command(target) { life, now throws(Refusal) in life.terminate(reason: .init("User", ""), at: now) }
        case .hostCrash(let node, let length): crash(node, power: true, length)
        case .agentCrash(let node, let length): crash(node, power: false, length)
        case .connectCrash(let length):
            connect.crash()
            connectAbsences += 1
            queue.add(.connectStarts, at: now + length)
        case .partition(let node, let length): nodes[node].partitionedUntil = max(nodes[node].partitionedUntil, now + length)
        case .guestSwitchesOff(let target):
            guard let id = instance(target), let host = connect.records[id]?.host else { return }
            nodes[Int(host.bits) - 1].switchOff(id)
            look(at: id, on: Int(host.bits) - 1)
        }
    }

    private func instance(_ target: Int) -> InstanceID? { order.isEmpty ? nil : order[target % order.count] }

    private mutating func launch(_ shape: Int, _ contract: Int) {
        guard connect.isUp else { return outcome.refused["unreachable", default: 0] += 1 }
        let id = InstanceID(bits: UInt64(order.count) + 1)
        do throws(Refusal) {
            try connect.launch(id, plan.shapes[shape].resources, ContractID(bits: UInt64(contract) + 1), at: now)
            order.append(id)
            outcome.launched += 1
            answerPolls()
        } catch {
            outcome.refused[error.rule, default: 0] += 1
        }
    }

    private mutating func command(_ target: Int, _ body: (inout InstanceLifecycle, Instant) throws(Refusal) -> Bool) {
        guard connect.isUp, let id = instance(target) else { return }
        let now = self.now
        // A refusal is an answer like another.
        do throws(Refusal) { try connect.change(id) { life throws(Refusal) in try body(&life, now) } } catch {}
        answerPolls()
    }

    private mutating func crash(_ node: Int, power: Bool, _ length: Span) {
        nodes[node].crash(power: power)
        nodes[node].absences += 1
        queue.add(.nodeStarts(node), at: now + length)
    }

    private mutating func startNode(_ node: Int) {
        nodes[node].absences -= 1
        guard nodes[node].absences == 0 else { return }
        nodes[node].start()
        sendPoll(node)
        for instance in nodes[node].entries.keys.sorted() { look(at: instance, on: node) }
    }

    // MARK: Hosts

    private mutating func receive(_ message: SimulatedMessage, at number: Int) {
        guard nodes[number].isUp else { return }
        switch message {
        case .page(let page, let poll):
            guard let fresh = nodes[number].take(page, poll: poll) else { return }
            sendPoll(number)
            for instance in fresh { look(at: instance, on: number) }
        case .acknowledged(let seen, let report):
            nodes[number].acknowledge(seen, report: report)
            sendReport(number)
        case .poll, .report: break
        }
    }

    private mutating func sendPoll(_ number: Int) {
        let message = nodes[number].nextPoll()
        send(.toConnect(number, message), between: number)
        queue.add(.pollLost(number, nodes[number].poll), at: now + Self.pollWait)
    }

    private mutating func sendReport(_ number: Int) {
        guard let message = nodes[number].nextReport() else { return }
        send(.toConnect(number, message), between: number)
        if let report = nodes[number].report { queue.add(.reportLost(number, report), at: now + Self.reportWait) }
    }

    /// Takes the next step of an instance, if there is one, and reports what is news.
    private mutating func look(at instance: InstanceID, on number: Int) {
        nodes[number].noteRunning(instance)
        if let work = nodes[number].begin(instance) {
            let time = delay(plan.stepTime) * (nodes[number].isSlow ? 20 : 1)
            queue.add(.stepEnds(number, instance, work), at: now + time)
        }
        sendReport(number)
    }

    private mutating func endStep(_ work: Int, of instance: InstanceID, at number: Int) {
        let fails = !isHealed && Int.random(in: 0..<1_000, using: &generator) < plan.failedStepsPerThousand
        guard nodes[number].end(work, of: instance, fails: fails) else { return }
        guard fails, let failures = nodes[number].entries[instance]?.failures else { return look(at: instance, on: number) }
        queue.add(.retry(number, instance), at: now + .seconds(MachineDecision.retrySeconds(afterFailures: failures)))
        sendReport(number)
    }
}

// MARK: - Auditing

extension FleetSimulation {
    private func utilisation() -> [String: Int64] {
        let hosts = connect.occupancy.hostIDs.compactMap { connect.occupancy.placeable($0) }
        let (promised, taken) = (hosts.map(\.promised).reduce(.zero, +), hosts.map(\.allocated).reduce(.zero, +))
        return Dictionary(
            uniqueKeysWithValues: zip(promised.components, taken.components).filter { $0.0.amount > 0 }.map {
                ($0.0.name, $0.1.amount * 1_000 / $0.0.amount)
            })
    }

    /// Once everything had time to settle: what is wanted is so, on one host, and counted exactly.
    private mutating func audit() {
        var found = connect.occupancy.violations()
        found += connect.occupancy.differences(from: connect.rebuilt()).map { "memory and tables differ: \($0)" }
        var machines: [InstanceID: [HostID]] = [:]
        for node in nodes {
            for (id, entry) in node.entries where entry.isAlive { machines[id, default: []].append(node.id) }
        }
        for id in order {
            guard let record = connect.records[id] else {
                found.append("\(id) was accepted and is lost")
                continue
            }
            found += complaints(id, record, runningOn: machines[id] ?? [])
            if record.life.state == .running { outcome.running += 1 }
            if record.life.state == .terminated { outcome.terminated += 1 }
        }
        for (id, hosts) in machines where connect.records[id] == nil { found.append("\(id) runs on \(hosts) and nobody asked for it") }
        outcome.problems = found
    }

    private func complaints(_ id: InstanceID, _ record: SimulatedConnect.Record, runningOn hosts: [HostID]) -> [String] {
        var found: [String] = []
        let settled: InstanceLifecycle.State =
            switch record.life.desired {
            case .running: .running
            case .stopped: .stopped
            case .absent: .terminated
            }
        if record.life.state != settled { found.append("\(id) is \(record.life.state.rawValue), wanted \(record.life.desired.rawValue)") }
        let expected = record.life.desired == .running ? [record.host] : []
        if hosts != expected { found.append("\(id) runs on \(hosts), wanted on \(expected)") }
        return found
    }
}
