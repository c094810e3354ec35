import CloudAPI
import Fleet
import Primitives
import Store

/// What this datacenter is, as products ask for it: its zones and its pods.
struct SiteFacts: Sendable {
    private struct Pod: Sendable {
        let id: PodID
        let zone: String
        let kind: String
        let profile: String?
        let storage: String
        /// Thousandths of processors promised.
        let cpuRatio: Int64
    }

    /// What of a product pods may not be, in the order in which it is looked at.
    enum Misfit: Sendable {
        /// What they are, each named once.
        case kind([String]), profile([String]), storage([String]), jurisdiction([String])
        /// The lowest ratio there is.
        case oversubscription(Int64)
    }

    /// The law that applies in each zone.
    private var zoneLaws: [String: String?] = [:]
    private var pods: [Pod] = []

    init(in context: any ReadContext) throws {
        for row in try context.query("SELECT name, jurisdiction FROM zones") {
            zoneLaws[try row.text("name")] = .some(try row.optionalText("jurisdiction"))
        }
        for row in try context.query(
            "SELECT id, zone, kind, profile, storage, oversubscription FROM pods WHERE removed IS NULL ORDER BY id")
        {
            let ratio = try row.json("oversubscription", OversubscriptionRatios.self)?.cpu ?? 1_000
            pods.append(
                Pod(
                    id: try row.id("id"), zone: try row.text("zone"), kind: try row.text("kind"),
                    profile: try row.json("profile", PodProfile.self)?.name, storage: try row.text("storage"), cpuRatio: ratio))
        }
    }

    var zones: [String] { zoneLaws.keys.sorted() }

    func has(_ zone: String?) -> Bool { zone.map { zoneLaws[$0] != nil } ?? true }

    /// The pods that may deliver a product.
    func pods(for product: ProductDefinition) -> Packing.Pods { .only(Set(fits(product).pods.map(\.id))) }

    /// Why no pod that stands where a product is delivered may deliver it; nil when one may, or none stands there.
    func misfit(of product: ProductDefinition) -> Misfit? { fits(product).misfit }

    private func fits(_ product: ProductDefinition) -> (pods: [Pod], misfit: Misfit?) {
        let there = pods.filter { product.zone == nil || $0.zone == product.zone }
        guard !there.isEmpty else { return ([], nil) }
        let kind = product.hosting.rawValue
        let alike = there.filter { $0.kind == kind }
        guard !alike.isEmpty else { return ([], .kind(named(there.map(\.kind)))) }
        let built = alike.filter { product.profile == nil || $0.profile == product.profile }
        guard !built.isEmpty else { return ([], .profile(named(alike.map { $0.profile ?? "none stated" }))) }
        let stored = built.filter { $0.storage == product.storage.rawValue }
        guard !stored.isEmpty else { return ([], .storage(named(built.map(\.storage)))) }
        // Where no zone says which law applies, the exchange's admission of the seller stands for it.
        let statesLaw = zoneLaws.values.contains { $0 != nil }
        let lawful = stored.filter { !statesLaw || law(of: $0) == product.jurisdiction }
        guard !lawful.isEmpty else { return ([], .jurisdiction(named(stored.map { law(of: $0) ?? "none stated" }))) }
        let honest = lawful.filter { $0.cpuRatio <= product.largestOversubscription }
        guard !honest.isEmpty else { return ([], .oversubscription(lawful.map(\.cpuRatio).min() ?? 1_000)) }
        return (honest, nil)
    }

    private func law(of pod: Pod) -> String? { zoneLaws[pod.zone] ?? nil }
    private func named(_ values: [String]) -> [String] { Set(values).sorted() }
}
