import CloudAPI
import Fleet
import Foundation
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

extension ConnectCore {
    /// A node introduces itself: its host is created at the first hello and brought up to date at each later one.
    func hello(_ hello: NodeHello, from host: HostID) async throws -> NodeWelcome {
        guard GuestNetwork(hello.guestNetwork) != nil else {
            throw Refusal(
                "node.network", .invalid, "'\(hello.guestNetwork)' is not an IPv4 network such as 10.77.0.1/16.",
                facts: ["network": .text(hello.guestNetwork)], nearest: "10.77.0.1/16")
        }
        try Self.checkTunnel(hello)
        try Self.check(capacity: hello.capacity)
        if let inventory = hello.inventory { try Self.check(inventory) }
        let now = time.now()
        let (core, configuration) = (self, self.configuration)
        presence.note(host, at: now)
        let heartbeat = heartbeatSeconds
        let (welcome, refused) = try await write { transaction -> (NodeWelcome, Refusal?) in
            let place = try core.join(hello, as: host, at: now, in: transaction)
            try transaction.execute(
                """
                INSERT INTO hosts (id, pod, name, zone, state, hardware, hypervisor, agent_version, guest_network, last_seen,
                  leased, moves, meter_sequence)
                VALUES ($1, $2, $3, $4, 'up', $5, $6, $7, $8, $9, $10, $11, 0)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, hardware = excluded.hardware, hypervisor = excluded.hypervisor,
                  agent_version = excluded.agent_version, guest_network = excluded.guest_network, last_seen = excluded.last_seen,
                  leased = excluded.leased, moves = excluded.moves
                """,
                [
                    SQLValue(host), SQLValue(place.pod), .text(place.name), .text(place.zone),
                    .text(try WireJSON.text(hello.capacity)), .text(hello.hypervisor), .text(hello.agentVersion), .text(hello.guestNetwork),
                    SQLValue(now), .integer(hello.holdsLease == true ? 1 : 0),
                    SQLValue(try hello.moves.map { try WireJSON.text($0) }),
                ])
            let refused = try HostTunnel.save(hello, of: host, in: transaction)
            if let inventory = hello.inventory {
                try transaction.execute(
                    "UPDATE host_places SET inventory = $2, parts = $3 WHERE host = $1",
                    [SQLValue(host), .text(try WireJSON.text(inventory)), .text(try WireJSON.text(HostParts(inventory)))])
            }
            _ = try transaction.appendChange(topic: "hosts", subject: host.description, kind: "hello", body: "{}", at: now)
            try transaction.noteHost(host)
            let sequence = transaction.reading { $0.hosts[host]?.meterSequence }
            let welcome = NodeWelcome(
                host: host, region: configuration.region, zone: place.zone, heartbeatSeconds: heartbeat,
                meterSeconds: configuration.meterSeconds, meterSequence: sequence ?? 0)
            return (try core.greet(welcome, in: transaction, at: now), refused)
        }
        if let refused { logger.warning("a host has no tunnel", metadata: ["host": "\(host)", "why": "\(refused.message)"]) }
        logger.info("node is here", metadata: ["host": "\(host)", "name": "\(hello.hostName)"])
        return welcome
    }

    /// No host has more than 2^40 of anything.
    private static func check(capacity: Resources) throws(Refusal) {
        guard let wrong = capacity.components.first(where: { !(0...1 << 40).contains($0.amount) }) else { return }
        throw Refusal(
            "node.capacity", .invalid, "A host has 0 to \(1 << 40) \(wrong.name), not \(wrong.amount).",
            facts: ["component": .text(wrong.name), "amount": .number(wrong.amount)], nearest: "what its hardware has")
    }

    /// No host has more than 4,096 cells or devices, nor a cell more than 2^30 hardware threads and 2^40 MiB.
    private static func check(_ inventory: HostInventoryView) throws(Refusal) {
        let most: Int64 = 4_096
        for (what, count) in [("cells", inventory.cells.count), ("devices", inventory.devices.count)] where count > most {
            throw Refusal(
                "node.inventory", .invalid, "A host has at most \(most) \(what), not \(count).",
                facts: [what: .number(Int64(count)), "most": .number(most)], nearest: "what its hardware has")
        }
        for cell in inventory.cells where !(0...1 << 30).contains(cell.cpus) || !(0...1 << 40).contains(cell.memoryMiB) {
            throw Refusal(
                "node.inventory", .invalid,
                "A NUMA cell has 0 to \(1 << 30) hardware threads and 0 to \(1 << 40) MiB of memory, not \(cell.cpus) and \(cell.memoryMiB).",
                facts: ["cell": .number(cell.cell), "cpus": .number(cell.cpus), "memoryMiB": .number(cell.memoryMiB)],
                nearest: "what its hardware has")
        }
    }

    /// What a host should run: everything when it asks from the beginning, else what changed. To ask is a sign of life. Those who wait
    /// are woken host by host; the tables are read only when there may be something.
    func intents(for host: HostID, after: Int64, wait: Duration) async throws -> IntentPage {
        presence.note(host, at: time.now())
        guard after > 0 else { return try await allIntents(for: host) }
        let deadline = ContinuousClock.now + wait
        var seen = after
        while true {
            if bell.mayHaveNews(for: host, after: seen) {
                let page = try await changedIntents(for: host, after: seen)
                guard page.isEmpty else { return page }
                seen = page.revision
            }
            let left = deadline - .now
            guard left > .zero, !Task.isCancelled, !Task.isShuttingDownGracefully else {
                return IntentPage(revision: seen, full: false, intents: [])
            }
            let revision = seen
            await withGracefulShutdownHandler {
                await bell.wait(for: host, after: revision, timeout: left)
            } onGracefulShutdown: {
                bell.close()
            }
        }
    }

    private func allIntents(for host: HostID) async throws -> IntentPage {
        try await database.read { [self] context in
            let instances = owned(try intents(of: nil, for: host, in: context))
            return IntentPage(
                revision: max(1, try context.latestRevision()), full: true, intents: instances,
                volumes: try volumeIntents(for: host, in: context),
                networks: try networkIntents(for: host, with: instances, in: context))
        }
    }

    private func changedIntents(for host: HostID, after: Int64) async throws -> IntentPage {
        let limit = 500
        return try await database.read { [self] context in
            let changes = try context.changes(topics: topics(of: host, in: context), after: after, limit: limit)
            let latest = changes.count == limit ? changes.last?.revision : nil
            let subjects = Set(changes.map(\.subject))
            let instances = owned(try intents(of: subjects.compactMap(InstanceID.init).sorted(), for: host, in: context))
            return IntentPage(
                revision: try latest ?? max(after, context.latestRevision()), full: false, intents: instances,
                volumes: try volumeIntents(for: host, of: subjects, in: context),
                networks: try networkIntents(for: host, of: subjects, with: instances, in: context))
        }
    }

    /// Takes in what a node saw and measured. Reports may come twice or late: readings are known by their sequence, observations
    /// by their generation. What changes nothing is not written; reports that wait together are one transaction.
    func report(_ report: NodeReport, from host: HostID) async throws -> NodeReportAnswer {
        let now = time.now()
        guard let (facts, state) = memory.reading({ state in state.hosts[host].map { ($0, state.occupancy.host(host)?.state) } }) else {
            throw Refusal("node.unknown", .conflict, "Host \(host) has not said hello yet.", nearest: "hello, then the report")
        }
        presence.note(host, at: now)
        if let load = report.load { loads.note(load, of: host, at: now) }
        // Of a host in service that speaks under its present epoch only the news counts; any other is heard by its life.
        let isCalm = state?.isInService == true && report.epoch ?? 0 == facts.epoch
        let news = isCalm ? memory.reading { state in report.observations.filter { state.occupancy.isNews($0, from: host) } } : []
        let disks = isCalm ? (report.volumes ?? []).filter { isNews($0, from: host) } : []
        let networks = try await self.news(of: report.networks, from: host)
        let readings = report.meters.filter { $0.sequence > facts.meterSequence }
        guard !isCalm || !news.isEmpty || !disks.isEmpty || !networks.isEmpty || !readings.isEmpty || !report.consoles.isEmpty else {
            return NodeReportAnswer(meterSequence: facts.meterSequence, tellAll: misses(report, from: host))
        }
        let core = self
        let (stored, isBack) = try await write { transaction in
            let hearing = try core.hear(report, from: host, in: transaction, at: now)
            for seen in isCalm ? news : report.observations where hearing.believes {
                try core.observe(seen, from: host, at: now, in: transaction)
            }
            for seen in isCalm ? disks : report.volumes ?? [] where hearing.believes {
                try core.observe(seen, from: host, at: now, in: transaction)
            }
            for seen in networks { try core.observe(seen, from: host, at: now, in: transaction) }
            let stored = try core.store(readings, from: host, at: now, in: transaction)
            for console in report.consoles { try core.store(console, from: host, in: transaction) }
            return (stored, hearing.isBack)
        }
        return NodeReportAnswer(meterSequence: stored, tellAll: isBack ? true : misses(report, from: host))
    }

    /// True when what is settled on a host is not what it says, nil when it is.
    private func misses(_ report: NodeReport, from host: HostID) -> Bool? {
        guard let settled = report.settled else { return nil }
        return settled == SettledDigest(memory.reading { $0.occupancy.settled(on: host) }) ? nil : true
    }

    private func observe(_ seen: InstanceObservation, from host: HostID, at now: Instant, in transaction: FleetTransaction) throws {
        if let move = seen.move { return try hear(move, of: seen.instance, from: host, in: transaction, at: now) }
        guard var record = try InstanceRecord.load(seen.instance, in: transaction), record.host == host,
            let state = InstanceLifecycle.Seen(rawValue: seen.state.rawValue)
        else { return }
        if record.life.move?.kind == .live { return try hear(seen, ofMoving: record, in: transaction, at: now) }
        let old = record.life
        let reason = seen.reason.map { InstanceLifecycle.Reason($0.code, $0.message) }
        guard record.life.observe(state, generation: seen.generation, reason: reason, executed: seen.executed, at: now) else { return }
        try handOver(&record, in: transaction, at: now)
        try record.saveChange(kind: "observed", since: old, in: transaction, at: now)
    }

    /// Stores readings that follow on the highest stored one without a gap. Returns the highest stored sequence. A reading that cannot be
    /// is counted and left out: refused, it would hold up all that its host says, and kept, somebody would be charged for it.
    private func store(
        _ readings: [MeterReading], from host: HostID, at now: Instant, in transaction: FleetTransaction
    ) throws -> Int64 {
        let stored = transaction.reading { $0.hosts[host]?.meterSequence ?? 0 }
        var fresh: [MeterReading] = []
        for reading in readings.sorted(by: { $0.sequence < $1.sequence }) where reading.sequence > stored + Int64(fresh.count) {
            guard reading.sequence == stored + Int64(fresh.count) + 1, reading.host == host else { break }
            fresh.append(reading)
        }
        guard !fresh.isEmpty else { return stored }
        try keep(fresh.filter { isSound($0, at: now) }, from: host, at: now, in: transaction)
        let highest = stored + Int64(fresh.count)
        try transaction.execute(
            "UPDATE hosts SET meter_sequence = $2, last_seen = $3 WHERE id = $1", [SQLValue(host), .integer(highest), SQLValue(now)])
        transaction.noteMeters(of: host, upTo: highest)
        return highest
    }

    /// Nobody has 2^40 of anything, no node cuts stretches of more than a day unless it is told to, and no clock is an hour ahead.
    private func isSound(_ reading: MeterReading, at now: Instant) -> Bool {
        let isSound =
            reading.period.end <= now + .hours(1) && reading.period.length <= .seconds(max(86_400, configuration.meterSeconds))
            && reading.resources.components.allSatisfy { (0...1 << 40).contains($0.amount) }
        if !isSound {
            logger.error(
                "a meter reading that cannot be is left out",
                metadata: ["host": "\(reading.host)", "sequence": "\(reading.sequence)", "instance": "\(reading.instance)"])
        }
        return isSound
    }

    private func keep(_ fresh: [MeterReading], from host: HostID, at now: Instant, in transaction: FleetTransaction) throws {
        guard !fresh.isEmpty else { return }
        let last = try transaction.appendChanges(
            fresh.map {
                NewChange(topic: Self.contractTopic($0.contract), subject: $0.instance.description, kind: "meter", body: "{}", at: now)
            })
        let first = last - Int64(fresh.count) + 1
        try transaction.executeMany(
            """
            INSERT INTO meters (position, host, sequence, instance, contract, period_start, period_end, resources)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            try fresh.enumerated().map { offset, reading in
                [
                    .integer(first + Int64(offset)), SQLValue(host), .integer(reading.sequence), SQLValue(reading.instance),
                    SQLValue(reading.contract), SQLValue(reading.period.start), SQLValue(reading.period.end),
                    .text(try WireJSON.text(reading.resources)),
                ]
            })
    }

    private func store(_ console: ConsoleView, from host: HostID, in transaction: any WriteContext) throws {
        guard let record = try InstanceRecord.load(console.instance, in: transaction), record.host == host,
            console.output.utf8.count <= 96 * 1024
        else { return }
        try transaction.execute(
            """
            INSERT INTO consoles (instance, output, at) VALUES ($1, $2, $3)
            ON CONFLICT (instance) DO UPDATE SET output = excluded.output, at = excluded.at
            """, [SQLValue(console.instance), .text(console.output), SQLValue(console.at)])
    }
}

extension Occupancy {
    /// Whether an observation of a host may change what is known: most tell the same again. That it has let go of what is not its own
    /// any more is news.
    fileprivate func isNews(_ seen: InstanceObservation, from host: HostID) -> Bool {
        if seen.move != nil { return true }
        guard let held = self[seen.instance], held.host == host else { return seen.state == .absent }
        guard held.generation == seen.generation else { return false }
        guard seen.reason == nil, seen.executed == nil || seen.executed == held.executed else { return true }
        return switch seen.state {
        case .running: held.state != .running
        case .stopped: held.state != .stopped
        case .preparing, .stopping: false
        case .absent, .failed: true
        }
    }
}
