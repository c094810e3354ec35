import CloudAPI
import Fleet
import Foundation
import Logging
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// A node introduces itself: its host is created at the first hello and brought up to date at each later one.
    func hello(_ hello: NodeHello, from host: HostID) async throws -> NodeWelcome {
        guard GuestNetwork(hello.guestNetwork) != nil else {
            throw Refusal("node.network", .invalid, "'\(hello.guestNetwork)' is not an IPv4 network such as 10.77.0.1/16.")
        }
        let now = time.now()
        let (core, configuration) = (self, self.configuration)
        let answer = try await database.write { transaction -> Result<NodeWelcome, Refusal> in
            guard
                let row = try transaction.queryOne(
                    "SELECT p.id, p.zone FROM node_enrolments e JOIN pods p ON p.id = e.pod WHERE e.host = $1", [SQLValue(host)])
            else { throw Refusal("node.unknown", .forbidden, "Host \(host) was not enrolled here.") }
            try transaction.execute(
                """
                INSERT INTO hosts (id, pod, name, zone, state, hardware, hypervisor, agent_version, guest_network, last_seen, meter_sequence)
                VALUES ($1, $2, $3, $4, 'up', $5, $6, $7, $8, $9, 0)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, hardware = excluded.hardware, hypervisor = excluded.hypervisor,
                  agent_version = excluded.agent_version, guest_network = excluded.guest_network, last_seen = excluded.last_seen
                """,
                [
                    SQLValue(host), .text(try row.text("id")), .text(hello.hostName), .text(try row.text("zone")),
                    .text(try WireJSON.text(hello.capacity)), .text(hello.hypervisor), .text(hello.agentVersion), .text(hello.guestNetwork),
                    SQLValue(now),
                ])
            _ = try transaction.appendChange(topic: "hosts", subject: host.description, kind: "hello", body: "{}", at: now)
            let sequence = try transaction.queryOne("SELECT meter_sequence FROM hosts WHERE id = $1", [SQLValue(host)])?.integer(
                "meter_sequence")
            let welcome = NodeWelcome(
                host: host, region: configuration.region, zone: try row.text("zone"), heartbeatSeconds: configuration.heartbeatSeconds,
                meterSeconds: configuration.meterSeconds, meterSequence: sequence ?? 0)
            return try core.greet(welcome, in: transaction, at: now)
        }
        let welcome = try answer.get()
        logger.info("node is here", metadata: ["host": "\(host)", "name": "\(hello.hostName)"])
        return welcome
    }

    /// What a host should run: everything when it asks from the beginning, else what changed.
    func intents(for host: HostID, after: Int64, wait: Duration) async throws -> IntentPage {
        let topic = Self.hostTopic(host)
        let core = self
        guard after > 0 else {
            return try await database.read { context in
                IntentPage(
                    revision: max(1, try context.latestRevision()), full: true, intents: try core.intents(of: nil, for: host, in: context))
            }
        }
        let (changes, latest) = try await database.awaitChanges(topics: [topic], after: after, wait: wait)
        let changed = Set(changes.map(\.subject)).compactMap(InstanceID.init).sorted()
        let intents = try await database.read { try core.intents(of: changed, for: host, in: $0) }
        return IntentPage(revision: latest, full: false, intents: intents)
    }

    /// Takes in what a node saw and measured. Reports may come twice or late: readings are known by their sequence, observations
    /// by their generation.
    func report(_ report: NodeReport, from host: HostID) async throws -> NodeReportAnswer {
        let now = time.now()
        let core = self
        return try await database.write { transaction in
            guard let row = try transaction.queryOne("SELECT meter_sequence FROM hosts WHERE id = $1", [SQLValue(host)]) else {
                throw Refusal("node.unknown", .conflict, "Host \(host) has not said hello yet.", nearest: "hello, then the report")
            }
            let hearing = try core.hear(report, from: host, in: transaction, at: now)
            if hearing.believes {
                for observation in report.observations { try core.observe(observation, from: host, at: now, in: transaction) }
            }
            let stored = try core.store(report.meters, from: host, above: try row.integer("meter_sequence"), at: now, in: transaction)
            for console in report.consoles { try core.store(console, from: host, in: transaction) }
            try transaction.execute(
                "UPDATE hosts SET last_seen = $2, meter_sequence = $3 WHERE id = $1", [SQLValue(host), SQLValue(now), .integer(stored)])
            return NodeReportAnswer(meterSequence: stored, tellAll: hearing.isBack ? true : nil)
        }
    }

    private func observe(_ seen: InstanceObservation, from host: HostID, at now: Instant, in transaction: any WriteContext) throws {
        guard var record = try InstanceRecord.load(seen.instance, in: transaction), record.host == host,
            let state = InstanceLifecycle.Seen(rawValue: seen.state.rawValue)
        else { return }
        let old = record.life
        let reason = seen.reason.map { InstanceLifecycle.Reason($0.code, $0.message) }
        guard record.life.observe(state, generation: seen.generation, reason: reason, executed: seen.executed, at: now) else { return }
        try handOver(&record, in: transaction, at: now)
        try record.saveChange(kind: "observed", since: old, in: transaction, at: now)
    }

    /// Stores readings that follow on the highest stored one without a gap. Returns the highest stored sequence.
    private func store(
        _ readings: [MeterReading], from host: HostID, above stored: Int64, at now: Instant, in transaction: any WriteContext
    ) throws -> Int64 {
        var highest = stored
        for reading in readings.sorted(by: { $0.sequence < $1.sequence }) where reading.sequence > highest {
            guard reading.sequence == highest + 1, reading.host == host else { break }
            let position = try transaction.appendChange(
                topic: Self.contractTopic(reading.contract), subject: reading.instance.description, kind: "meter", body: "{}", at: now)
            try transaction.execute(
                """
                INSERT INTO meters (position, host, sequence, instance, contract, period_start, period_end, resources)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                """,
                [
                    .integer(position), SQLValue(host), .integer(reading.sequence), SQLValue(reading.instance), SQLValue(reading.contract),
                    SQLValue(reading.period.start), SQLValue(reading.period.end), .text(try WireJSON.text(reading.resources)),
                ])
            highest = reading.sequence
        }
        return highest
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
