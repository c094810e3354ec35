import CloudAPI
import Crypto
import Fleet
import Foundation
import Primitives
import Rating
import ServiceKit
import Store

extension ConnectCore {
    /// How long before its deadline a report is sent with what is known then.
    private static let margin = Span.seconds(3)

    /// What this datacenter delivered in a stretch, by its nodes' meter readings; nil while readings may still come.
    func measure(_ stretch: DeliveryView) async throws -> ReportDelivery? {
        let lag = Span.seconds(configuration.meterSeconds + 2 * heartbeatSeconds)
        let now = time.now()
        try await writePresence()
        return try await database.read { context in
            guard let contract = try ContractRecord.load(stretch.contract, in: context) else { return nil }
            let readings = try DeliveryReadings(of: stretch, lot: contract.view.lot, at: now, in: context)
            let measure = DeliveryMeasure(
                of: stretch.period, lots: stretch.lots, runs: readings.runs, expected: readings.expected, lag: lag)
            if !measure.isComplete, let due = stretch.due, now < due - Self.margin { return nil }
            let parts = [
                UnavailabilityView(cause: .instance, lotMicroseconds: measure.interrupted),
                UnavailabilityView(cause: .host, lotMicroseconds: measure.silent),
            ]
            return ReportDelivery(
                period: stretch.period, demandedLotMicroseconds: measure.demanded, deliveredLotMicroseconds: measure.delivered,
                unavailable: parts.filter { $0.lotMicroseconds > 0 }, evidenceHash: readings.hash)
        }
    }
}

/// What the tables say of a stretch of a contract, and a hash of it.
private struct DeliveryReadings {
    private(set) var runs: [DeliveryMeasure.Run] = []
    private(set) var expected: [DeliveryMeasure.Expected] = []
    private var evidence = SHA256()

    var hash: String { evidence.finalize().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined() }

    init(of stretch: DeliveryView, lot: Resources, at now: Instant, in context: any ReadContext) throws {
        let bounds = [SQLValue(stretch.contract), SQLValue(stretch.period.start), SQLValue(stretch.period.end)]
        let meters = try context.query(
            """
            SELECT host, sequence, instance, period_start, period_end, resources FROM meters
            WHERE contract = $1 AND period_end > $2 AND period_start < $3 ORDER BY host, sequence
            """, bounds)
        for row in meters {
            let period = Period(start: try row.instant("period_start"), end: try row.instant("period_end"))
            let resources = try WireJSON.decode(Resources.self, from: Data(try row.text("resources").utf8))
            runs.append(.init(instance: try row.id("instance"), period: period, lots: resources.lots(of: lot) ?? 0))
            let line =
                "\(try row.text("host")) \(try row.integer("sequence")) \(try row.text("instance")) \(period.start.microseconds) \(period.end.microseconds)\n"
            evidence.update(data: Data(line.utf8))
        }
        let spans = try context.query(
            """
            SELECT r.instance, r.began, r.ended, i.milli_cpu, i.memory_mib, i.disk_mib, h.last_seen
            FROM running_spans r JOIN instances i ON i.id = r.instance JOIN hosts h ON h.id = i.host
            WHERE r.contract = $1 AND (r.ended IS NULL OR r.ended > $2) AND r.began < $3 ORDER BY r.instance, r.began
            """, bounds)
        for row in spans {
            let (began, ended) = (try row.instant("began"), try row.optionalInstant("ended"))
            let resources = Resources(
                milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"))
            expected.append(
                .init(
                    instance: try row.id("instance"), period: Period(start: began, end: max(began, ended ?? now)),
                    lots: resources.lots(of: lot) ?? 0, isHeard: try ended != nil || row.instant("last_seen") >= stretch.period.end))
            let line = "expected \(try row.text("instance")) \(began.microseconds) \(ended.map { "\($0.microseconds)" } ?? "-")\n"
            evidence.update(data: Data(line.utf8))
        }
    }
}

/// When machines were seen to run, until they were told to stop: what delivery is measured against.
enum RunningSpans {
    /// Notes what the state of an instance now means for it. Again changes nothing.
    static func note(_ record: InstanceRecord, in transaction: any WriteContext) throws {
        // On its way to another host it is still to run: the time it does not is missing.
        if record.life.move?.resumes == true { return }
        if record.life.state == .running {
            try transaction.execute(
                """
                INSERT INTO running_spans (instance, contract, began) SELECT id, contract, state_changed FROM instances
                WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM running_spans WHERE instance = $1 AND ended IS NULL)
                """, [SQLValue(record.id)])
        } else {
            try transaction.execute(
                """
                UPDATE running_spans SET ended = CASE WHEN began < $2 THEN $2 ELSE began END WHERE instance = $1 AND ended IS NULL
                """, [SQLValue(record.id), SQLValue(record.life.stateChanged)])
        }
    }
}
