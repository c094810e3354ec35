import Primitives

/// Connect in a simulation: its tables, and what it keeps in memory of them.
struct SimulatedConnect: Sendable {
    struct Record: Hashable, Sendable {
        var contract: ContractID
        var host: HostID
        var resources: Resources
        var address: UInt32
        var life: InstanceLifecycle
    }

    // The tables: they outlive a crash.
    private(set) var records: [InstanceID: Record] = [:]
    private var entries: [Occupancy.HostEntry]
    private var revision: Int64 = 1
    private var changes: [HostID: [(revision: Int64, instance: InstanceID)]] = [:]
    private var perHost: [HostID: Set<InstanceID>] = [:]
    private let volume: Resources

    // In memory.
    private(set) var occupancy = Occupancy()
    private var waiters: [HostID: (after: Int64, poll: Int)] = [:]
    private(set) var isUp = true
    /// Hosts of which something else is wanted since this was last taken.
    private var rung: [HostID] = []

    init(hosts: [Occupancy.HostEntry], volume: Resources) {
        entries = hosts
        self.volume = volume
        for entry in hosts { occupancy.setHost(entry) }
    }

    // MARK: Users

    mutating func launch(_ id: InstanceID, _ resources: Resources, _ contract: ContractID, at now: Instant) throws(Refusal) {
        let free = volume - occupancy.usage(of: contract).resources
        guard resources.fits(in: free) else {
            throw Refusal("contract.volume", .capacity, "Nothing is left of \(contract).", nearest: "the same under another contract")
        }
        var request = PlacementRequest(instance: id, party: Self.party(contract), resources: resources)
        request.contract = contract
        let host = try occupancy.place(request, at: now)
        guard let address = occupancy.freeAddress(on: host) else {
            throw Refusal("network.addresses", .capacity, "Host \(host) has no free address.", nearest: "the same once one is free")
        }
        perHost[host, default: []].insert(id)
        save(id, Record(contract: contract, host: host, resources: resources, address: address, life: .init(launchedAt: now)), old: nil)
    }

    mutating func change(
        _ id: InstanceID, _ body: (inout InstanceLifecycle) throws(Refusal) -> Bool
    ) throws(Refusal) {
        guard var record = records[id] else { return }
        let old = record.life
        guard try body(&record.life) else { return }
        if old.state == .stopped, record.life.state == .pending { try occupancy.checkRoomToStart(id) }
        save(id, record, old: old)
    }

    mutating func giveUpLate(at now: Instant) {
        for (id, var record) in records where record.life.state == .pending {
            let old = record.life
            if record.life.giveUpIfLate(at: now) { save(id, record, old: old) }
        }
    }

    /// One transaction: the rows, and the memory that follows them.
    private mutating func save(_ id: InstanceID, _ record: Record, old: InstanceLifecycle?) {
        records[id] = record
        if record.life.state == .terminated { perHost[record.host]?.remove(id) }
        occupancy.set(id, Self.holding(record))
        guard record.life.generation != old?.generation else { return }
        revision += 1
        changes[record.host, default: []].append((revision, id))
        rung.append(record.host)
    }

    private static func holding(_ record: Record) -> Occupancy.Holding? {
        guard record.life.state != .terminated else { return nil }
        return Occupancy.Holding(
            contract: record.contract, party: party(record.contract), host: record.host, resources: record.resources,
            address: record.address,
            desired: record.life.desired, state: record.life.state, generation: record.life.generation, executed: nil)
    }

    private static func party(_ contract: ContractID) -> ParticipantID { ParticipantID(bits: contract.bits) }

    // MARK: Nodes

    /// Answers at once when there is something, or it is all that is asked for; else keeps the poll waiting.
    mutating func poll(_ host: HostID, after: Int64, poll: Int) -> SimulatedMessage? {
        if let page = page(for: host, after: after) { return .page(page, poll: poll) }
        waiters[host] = (after, poll)
        return nil
    }

    /// The answers to polls that waited for what has changed since.
    mutating func answersDue() -> [(host: HostID, message: SimulatedMessage)] {
        var due: [(host: HostID, message: SimulatedMessage)] = []
        for host in rung {
            guard let waiter = waiters[host], let page = page(for: host, after: waiter.after) else { continue }
            waiters[host] = nil
            due.append((host, .page(page, poll: waiter.poll)))
        }
        rung = []
        return due
    }

    private func page(for host: HostID, after: Int64) -> SimulatedPage? {
        if after == 0 {
            let all = (perHost[host] ?? []).sorted()
            return SimulatedPage(revision: revision, isFull: true, intents: all.compactMap(intent))
        }
        let news = (changes[host] ?? []).reversed().prefix { $0.revision > after }
        guard !news.isEmpty else { return nil }
        return SimulatedPage(revision: revision, isFull: false, intents: Set(news.map(\.instance)).sorted().compactMap(intent))
    }

    private func intent(_ id: InstanceID) -> SimulatedIntent? {
        records[id].map {
            SimulatedIntent(instance: id, desired: $0.life.desired, generation: $0.life.generation, reboots: $0.life.reboots)
        }
    }

    /// Takes in what a host saw. Returns those that were seen running for the first time, with when they were accepted.
    mutating func report(_ seen: [SimulatedObservation], from host: HostID, at now: Instant) -> [(InstanceID, since: Instant)] {
        var started: [(InstanceID, since: Instant)] = []
        for observation in seen {
            guard var record = records[observation.instance], record.host == host else { continue }
            let old = record.life
            guard record.life.observe(observation.seen, generation: observation.generation, reason: nil, executed: nil, at: now) else {
                continue
            }
            if old.state == .pending, record.life.state == .running { started.append((observation.instance, old.stateChanged)) }
            save(observation.instance, record, old: old)
        }
        return started
    }

    // MARK: Crashes

    mutating func crash() {
        isUp = false
        waiters = [:]
        rung = []
        occupancy = Occupancy()
    }

    mutating func start() {
        isUp = true
        occupancy = rebuilt()
    }

    /// What the tables say.
    func rebuilt() -> Occupancy {
        var occupancy = Occupancy()
        for entry in entries { occupancy.setHost(entry) }
        for (id, record) in records { occupancy.set(id, Self.holding(record)) }
        return occupancy
    }
}
