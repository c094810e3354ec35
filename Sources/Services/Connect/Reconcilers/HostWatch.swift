import CloudAPI
import Drivers
import Fleet
import Logging
import Primitives
import ServiceKit
import Store

// Hosts that are silent, failed, fenced or being drained: a small transaction for a few that need something.

extension ConnectCore {
    /// Looks at every host that is silent or not simply in service. While connect itself was away it could not hear anybody.
    func watchHosts() async throws {
        let now = time.now()
        let candidates = uneasyHosts(at: now)
        let uneasy =
            candidates.isEmpty
            ? [] : try await database.read { [self] context in try candidates.compactMap { try hostLife($0, in: context) } }
        var due = uneasy.filter { needsAttention($0, at: now) }.map(\.id)[...]
        while !due.isEmpty {
            let some = Array(due.prefix(Self.hostsAtOnce))
            due = due.dropFirst(some.count)
            try await write { [self] transaction in
                for id in some { try attend(to: id, in: transaction, at: now) }
            }
        }
        showHostMetrics(uneasy)
    }

    private static let hostsAtOnce = 32

    /// Those about which there may be something to decide, as memory knows: silent for long, or not simply in service.
    private func uneasyHosts(at now: Instant) -> [HostID] {
        let silentSince = now - hostPolicy.suspectAfter
        let calm = memory.reading { state in
            state.occupancy.hostIDs.map { ($0, state.occupancy.host($0)?.state) }
        }.filter { $0.1 != .retired }
        let silent = silentSince > started ? presence.silent(since: silentSince, among: calm.map(\.0)) : []
        return calm.filter { $0.1 != .up && $0.1 != .cordoned || silent.contains($0.0) }.map(\.0).sorted()
    }

    /// Most of those that are uneasy are just waiting.
    private func needsAttention(_ host: HostLifeRecord, at now: Instant) -> Bool {
        var life = host.life
        if life.pass(to: now, listeningSince: started, hostPolicy) != nil || life != host.life { return true }
        switch life.health {
        case .fenced: return true
        case .waiting: return life.isFenced || host.sharesStorage && means(for: host, at: now) != .none
        case .up: return life.duty == .draining
        default: return false
        }
    }

    private func attend(to id: HostID, in transaction: FleetTransaction, at now: Instant) throws {
        guard var host = try hostLife(id, in: transaction) else { return }
        let old = host.life
        let turn = host.life.pass(to: now, listeningSince: started, hostPolicy)
        if turn == .failed { try noteFailure(of: host, in: transaction, at: now) }
        let undecided = host.life.health == .waiting && !host.life.isFenced && host.sharesStorage
        if turn == .failed || undecided { try decide(&host, in: transaction, at: now) }
        if host.life.isFenced, host.life.health != .returning { try evacuate(&host, in: transaction, at: now) }
        if host.life.health == .up, host.life.duty == .draining { try drain(host, in: transaction, at: now) }
        try host.save(since: old, in: transaction, at: now)
        if host.life.state != old.state {
            logger.warning(
                "a host is \(host.life.state.rawValue)",
                metadata: ["host": "\(id)", "name": "\(host.name)", "was": "\(old.state.rawValue)", "why": "\(host.life.trouble ?? "")"])
        }
    }

    // MARK: - Failure

    /// The machines that should run there say so; whether they do, nobody knows.
    private func noteFailure(of host: HostLifeRecord, in transaction: FleetTransaction, at now: Instant) throws {
        let why =
            host.sharesStorage
            ? "Its host \(host.name) has not been heard of since \(host.life.lastHeard). It starts on another once that one is known to be off."
            : "Its host \(host.name) has not been heard of since \(host.life.lastHeard). Its disk is there, so it waits for it."
        for var record in try Self.instances(on: host.id, in: transaction) {
            let life = record.life
            if record.life.hostFailed(why, at: now) { try record.saveChange(kind: "host-failed", since: life, in: transaction, at: now) }
        }
    }

    private func decide(_ host: inout HostLifeRecord, in transaction: FleetTransaction, at now: Instant) throws {
        let row = try transaction.queryOne(
            """
            SELECT CAST(COUNT(*) AS BIGINT) AS hosts, CAST(COALESCE(SUM(CASE WHEN state IN ('suspect', 'fencing', 'fenced', 'waiting')
              THEN 1 ELSE 0 END), 0) AS BIGINT) AS silent FROM hosts WHERE pod = $1 AND state <> 'retired'
            """, [SQLValue(host.pod)])
        let pod = HostFailure.Pod(
            sharesStorage: host.sharesStorage, hosts: try row?.integer("hosts") ?? 1, silent: try row?.integer("silent") ?? 1)
        switch HostFailure.next(pod, means(for: host, at: now), hostPolicy) {
        case .fence, .fenceByLease: _ = try host.life.beginFencing(at: now)
        case .wait(let why): host.life.wait(why, at: now)
        }
    }

    /// Starts what ran on a fenced host elsewhere, some at a time; what was to stop or go there has.
    private func evacuate(_ host: inout HostLifeRecord, in transaction: FleetTransaction, at now: Instant) throws {
        let all = try Self.instances(on: host.id, in: transaction)
        // Those on their way while they run: their other host says first whether it has them.
        let moving = all.count { $0.life.move?.kind == .live }
        let records = try all.filter { $0.life.move?.kind != .live }.compactMap { try settleFenced($0, in: transaction, at: now) }
        let guests = records.map { record in
            HostFailure.Guest(
                id: record.id, resources: record.spec.resources, restartPriority: record.spec.restartPriority ?? 50,
                resumes: record.life.desired == .running || record.life.move?.resumes == true,
                canMove: host.sharesStorage || record.life.neverRan)
        }
        let movable = guests.count { $0.canMove }
        let moved = movable == 0 ? 0 : try evacuate(guests, records, from: host.id, in: transaction, at: now)
        host.life.settle(left: records.count - moved + moving, movable: movable - moved + moving, at: now)
    }

    /// What a fenced host was to stop is stopped, what it was to remove is removed; the rest of that goes when the host is back. Nil:
    /// nothing is left to be taken elsewhere.
    private func settleFenced(_ record: InstanceRecord, in transaction: FleetTransaction, at now: Instant) throws -> InstanceRecord? {
        var record = record
        let old = record.life
        guard record.life.hostFenced(at: now) else { return record }
        if record.life.state == .terminated {
            try Departure(instance: record.id, generation: record.life.generation, keepsDisk: false)
                .insert(of: record.host, in: transaction, at: now)
        }
        try record.saveChange(kind: "host-fenced", since: old, in: transaction, at: now)
        return record.life.state == .terminated ? nil : record
    }

    /// Returns how many found another host. What is planned is looked for again when it is done: the moves before it took room.
    private func evacuate(
        _ guests: [HostFailure.Guest], _ records: [InstanceRecord], from host: HostID, in transaction: FleetTransaction, at now: Instant
    ) throws -> Int {
        let byID = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0) })
        let plan = HostFailure.evacuation(of: guests, limit: Self.evacuationsAtOnce) { guest throws(Refusal) in
            guard let record = byID[guest.id] else { throw Refusal.unknownInstance(guest.id, "here") }
            return try findTarget(for: record, at: now).host
        }
        var moved = 0
        for move in plan.moves {
            guard var record = byID[move.guest.id], let target = try? findTarget(for: record, preferring: move.target, at: now) else {
                continue
            }
            let (old, keepsDisk) = (record.life, !record.life.neverRan)
            guard record.life.evacuate(from: host, to: target.host, at: now) else { continue }
            try record.rehome(to: target, keepsDisk: keepsDisk, in: transaction, at: now)
            try record.saveChange(kind: "evacuated", since: old, in: transaction, at: now)
            moved += 1
        }
        return moved
    }

    private static let evacuationsAtOnce = 50

    static func instances(on host: HostID, in context: any ReadContext) throws -> [InstanceRecord] {
        try context.query(
            "SELECT \(InstanceRecord.columns) FROM instances WHERE host = $1 AND state <> 'terminated' ORDER BY id", [SQLValue(host)]
        ).map(InstanceRecord.init)
    }

    // MARK: - Fencing

    /// Switches off what is to be fenced, some hosts at once. An attempt that failed may have worked: nothing moves before one has not.
    func fenceHosts() async throws {
        guard let power = configuration.power else { return }
        let now = time.now()
        let ids = try await database.read {
            try $0.query("SELECT id FROM hosts WHERE state = 'fencing' ORDER BY id").map { try $0.id("id", as: HostID.self) }
        }
        let due = try await ids.prefix(Self.fencingsAtOnce).asyncCompactMap { [self] id in
            try await write { [self] in try takeAttempt(id, in: $0, at: now) }
        }
        await withDiscardingTaskGroup { group in
            for attempt in due { group.addTask { await fence(attempt, power) } }
        }
    }

    private static let fencingsAtOnce = 16

    private struct Attempt: Sendable {
        var target: PowerTarget
        var epoch: Int64
    }

    private func takeAttempt(_ id: HostID, in transaction: FleetTransaction, at now: Instant) throws -> Attempt? {
        guard var host = try hostLife(id, in: transaction) else { return nil }
        let old = host.life
        guard let epoch = host.life.attemptFencing(at: now, hostPolicy) else { return nil }
        try host.save(since: old, in: transaction, at: now)
        return Attempt(target: PowerTarget(id: id, name: host.name), epoch: epoch)
    }

    private func fence(_ attempt: Attempt, _ power: any PowerDriver) async {
        let failure: Refusal?
        do throws(Refusal) {
            try await power.ensureOff(attempt.target)
            failure = nil
        } catch {
            failure = error
        }
        FaultPoint.hit("connect.fence.off")
        let now = time.now()
        do {
            try await write { [self] transaction in
                guard var host = try hostLife(attempt.target.id, in: transaction) else { return }
                let old = host.life
                if let failure {
                    host.life.fencingFailed(failure.description, epoch: attempt.epoch, at: now, hostPolicy)
                } else {
                    host.life.fenced(.power, epoch: attempt.epoch, at: now)
                }
                try host.save(since: old, in: transaction, at: now)
            }
        } catch {
            // The attempt is made again when its time comes.
            logger.warning("a fencing was not noted", metadata: ["host": "\(attempt.target.id)", "error": "\(error)"])
        }
        metrics.count("bourse_host_fencings", ["result": failure == nil ? "off" : "failed"])
    }

    private func showHostMetrics(_ uneasy: [HostLifeRecord]) {
        let counts = Dictionary(grouping: uneasy, by: \.life.state).mapValues(\.count)
        for state in Fleet.Host.State.allCases where state != .up && state != .cordoned && state != .retired {
            metrics.set("bourse_hosts_uneasy", ["state": state.rawValue], to: Double(counts[state] ?? 0))
        }
    }
}

extension Sequence {
    fileprivate func asyncCompactMap<T>(_ body: (Element) async throws -> T?) async rethrows -> [T] {
        var result: [T] = []
        for element in self { if let value = try await body(element) { result.append(value) } }
        return result
    }
}
