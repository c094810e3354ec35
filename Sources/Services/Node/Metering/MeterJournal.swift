package import CloudAPI
package import Drivers
import Foundation
package import Primitives
package import Store
import Synchronization

/// Meter readings on disk until connect has them.
///
/// A reading and the position up to which its run is metered are written in one transaction, so that neither a crash nor a full
/// disk makes a reading missing or double: what could not be written is still to be metered.
package final class MeterJournal: Sendable {
    private let database: any Database
    private let interval: Mutex<Span>
    /// Unacknowledged readings beyond which running machines are not cut any more; their time waits in their runs.
    let bound: Int
    /// Nil until connect has said, once, where this host's numbering begins.
    private let host = Mutex<HostID?>(nil)

    /// Counts acknowledgements, each before it is written.
    private let acknowledgements = Mutex(0)

    static let stretchesPerWrite = 500

    package init(_ database: any Database, interval: Span, bound: Int = 200_000) {
        self.database = database
        self.interval = Mutex(interval)
        self.bound = bound
    }

    package func load() async throws {
        let text = try await database.read { try $0.setting("meter_host") }
        host.withLock { $0 = text.flatMap { HostID($0) } }
    }

    package func setInterval(_ span: Span) { interval.withLock { $0 = span } }
    package var cutInterval: Span { interval.withLock { $0 } }

    /// Takes over connect's numbering: the highest sequence it has stored for this host, which acknowledges all up to it.
    ///
    /// Where the two do not meet, one side has lost something: a node with a new database goes on above `stored`, and a connect
    /// restored from a backup gets what is here numbered so that it follows on.
    /// - Parameter mark: where acknowledgements were when connect was asked. Its answer is old when there were more since: what was
    ///   acknowledged then would be numbered a second time, and be taken for something known.
    package func align(host id: HostID, stored: Int64, asOf mark: Int? = nil) async throws {
        try await database.write { [self] transaction in
            if let mark, mark != self.mark { return }
            if let first = try transaction.queryOne("SELECT MIN(sequence) AS first FROM meters")?.optionalInteger("first"),
                first > stored + 1
            {
                try Self.renumber(by: stored + 1 - first, in: transaction)
            }
            try transaction.execute("DELETE FROM meters WHERE sequence <= $1", [.integer(stored)])
            let last = try transaction.queryOne("SELECT MAX(sequence) AS last FROM meters")?.optionalInteger("last")
            try transaction.set("meter_sequence", "\(last ?? stored)")
            try transaction.set("meter_host", id.description)
        }
        host.withLock { $0 = id }
    }

    package var mark: Int { acknowledgements.withLock { $0 } }

    /// In two steps, because a number must be free before a row takes it.
    private static func renumber(by shift: Int64, in transaction: any WriteContext) throws {
        try transaction.execute("UPDATE meters SET sequence = -(sequence + $1)", [.integer(shift)])
        try transaction.execute("UPDATE meters SET sequence = -sequence")
    }

    /// Brings one instance's readings up to what is seen now. Returns how many were added.
    @discardableResult
    package func record(_ machine: MachineObservation, contract: ContractID, resources: Resources, at now: Instant) async throws -> Int {
        guard host.withLock({ $0 }) != nil else { return 0 }
        // Of a run that is over, and nobody has said yet since when, nothing is metered now.
        if machine.state == .stopped, machine.ended == nil { return 0 }
        let seen = machine.executed.map { SeenRun(executed: $0, ended: machine.state == .stopped ? machine.ended : nil) }
        let terms = MeterTerms(contract: contract, resources: resources)
        var added = 0
        while true {
            let count = try await recordOnce(machine.instance, seen, terms, now)
            added += count
            if count < Self.stretchesPerWrite { return added }
        }
    }

    private func recordOnce(_ instance: InstanceID, _ seen: SeenRun?, _ terms: MeterTerms, _ now: Instant) async throws -> Int {
        let interval = cutInterval
        let known = try await database.read { try Self.run(of: instance, in: $0) }
        let (run, _) = cutMeter(known, seen, terms, now: now, interval: interval, room: 1)
        // Most looks find nothing to write.
        guard run != known else { return 0 }
        return try await database.write { [bound] transaction in
            let known = try Self.run(of: instance, in: transaction)
            let waiting = try transaction.queryOne("SELECT COUNT(*) AS n FROM meters")?.integer("n") ?? 0
            if waiting >= bound, seen?.ended == nil, known != nil { return 0 }
            let (run, stretches) = cutMeter(known, seen, terms, now: now, interval: interval, room: Self.stretchesPerWrite)
            guard let run, run != known else { return stretches.count }
            try Self.save(run, of: instance, in: transaction)
            try Self.append(stretches, of: instance, in: transaction)
            return stretches.count
        }
    }

    private static func run(of instance: InstanceID, in context: any ReadContext) throws -> MeteredRun? {
        try context.queryOne("SELECT executed, metered_to, closed, contract, resources FROM runs WHERE instance = $1", [SQLValue(instance)])
            .map { row in
                MeteredRun(
                    executed: try row.instant("executed"), meteredTo: try row.instant("metered_to"), isClosed: try row.bool("closed"),
                    terms: MeterTerms(
                        contract: try row.id("contract"),
                        resources: try WireJSON.decode(Resources.self, from: Data(try row.text("resources").utf8))))
            }
    }

    private static func save(_ run: MeteredRun, of instance: InstanceID, in transaction: any WriteContext) throws {
        try transaction.execute(
            """
            INSERT INTO runs (instance, executed, metered_to, closed, contract, resources) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (instance) DO UPDATE SET executed = excluded.executed, metered_to = excluded.metered_to, closed = excluded.closed,
              contract = excluded.contract, resources = excluded.resources
            """,
            [
                SQLValue(instance), SQLValue(run.executed), SQLValue(run.meteredTo), SQLValue(run.isClosed), SQLValue(run.terms.contract),
                .text(try WireJSON.text(run.terms.resources)),
            ])
    }

    private static func append(_ stretches: [MeterStretch], of instance: InstanceID, in transaction: any WriteContext) throws {
        guard !stretches.isEmpty else { return }
        let last = try transaction.setting("meter_sequence").flatMap { Int64($0) } ?? 0
        let rows = try stretches.enumerated().map { index, stretch -> [SQLValue] in
            [
                .integer(last + Int64(index) + 1), SQLValue(instance), SQLValue(stretch.terms.contract), SQLValue(stretch.period.start),
                SQLValue(stretch.period.end), .text(try WireJSON.text(stretch.terms.resources)),
            ]
        }
        try transaction.executeMany(
            "INSERT INTO meters (sequence, instance, contract, period_start, period_end, resources) VALUES ($1, $2, $3, $4, $5, $6)", rows)
        try transaction.set("meter_sequence", "\(last + Int64(stretches.count))")
    }

    /// The oldest readings connect has not acknowledged, in order.
    package func unacknowledged(limit: Int) async throws -> [MeterReading] {
        guard let host = host.withLock({ $0 }) else { return [] }
        return try await database.read { context in
            try context.query(
                "SELECT sequence, instance, contract, period_start, period_end, resources FROM meters ORDER BY sequence LIMIT $1",
                [.integer(Int64(limit))]
            ).map { row in
                MeterReading(
                    host: host, sequence: try row.integer("sequence"), instance: try row.id("instance"), contract: try row.id("contract"),
                    period: Period(start: try row.instant("period_start"), end: try row.instant("period_end")),
                    resources: try WireJSON.decode(Resources.self, from: Data(try row.text("resources").utf8)))
            }
        }
    }

    package func acknowledge(upTo sequence: Int64) async throws {
        acknowledgements.withLock { $0 += 1 }
        try await database.write { try $0.execute("DELETE FROM meters WHERE sequence <= $1", [.integer(sequence)]) }
    }
}
