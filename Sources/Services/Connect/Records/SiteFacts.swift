import CloudAPI
import Store

/// What this datacenter is, as products ask for it: its zones, and how far the processors of their pods are oversubscribed at most.
struct SiteFacts: Sendable {
    private var ratios: [String: Int64] = [:]

    init(in context: any ReadContext) throws {
        for row in try context.query("SELECT name FROM zones") { ratios[try row.text("name")] = 1_000 }
        for row in try context.query("SELECT zone, oversubscription FROM pods WHERE removed IS NULL") {
            let ratio = try row.json("oversubscription", OversubscriptionRatios.self)?.cpu ?? 1_000
            ratios[try row.text("zone"), default: 1_000] = max(ratios[try row.text("zone")] ?? 0, ratio)
        }
    }

    var zones: [String] { ratios.keys.sorted() }

    func has(_ zone: String?) -> Bool { zone.map { ratios[$0] != nil } ?? true }

    /// Thousandths; the largest of a zone, or of all.
    func cpuRatio(in zone: String?) -> Int64 { zone.map { ratios[$0] ?? 1_000 } ?? ratios.values.max() ?? 1_000 }
}
