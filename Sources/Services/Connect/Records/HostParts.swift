import CloudAPI
import Fleet
import Primitives
import Store

/// What of a host's inventory placement asks about: NUMA cells and GPUs. Kept by itself, since an inventory is long and its host's own,
/// while hosts of a pod have the same parts.
struct HostParts: Codable, Hashable, Sendable {
    /// Before oversubscription. Empty: one cell, or nobody knows.
    var cells: [PlacementHost.Cell] = []
    var gpuModel: String?
    var gpus: Int64 = 0

    init() {}

    /// Of several models of GPU, placement knows the one there is most of.
    init(_ inventory: HostInventoryView) {
        if (2...PlacementHost.mostCells).contains(inventory.cells.count) {
            cells = inventory.cells.sorted { $0.cell < $1.cell }.map {
                PlacementHost.Cell(milliCPU: Self.times($0.cpus, 1_000), memoryMiB: $0.memoryMiB)
            }
        }
        let placed = inventory.placedGPUs
        gpuModel = placed.first?.model
        gpus = Int64(min(PlacementHost.mostGPUs, placed.count))
    }

    /// What placement is told of a host's cells.
    func cells(promised ratio: Oversubscription) -> [PlacementHost.Cell] {
        cells.map {
            PlacementHost.Cell(
                milliCPU: Self.times($0.milliCPU, ratio.cpu, per: 1_000), memoryMiB: Self.times($0.memoryMiB, ratio.memory, per: 1_000))
        }
    }

    /// The product over a divisor, or the largest number where that is larger: a node may tell any number.
    private static func times(_ amount: Int64, _ factor: Int64, per divisor: Int128 = 1) -> Int64 {
        Int64(clamping: Int128(amount) * Int128(factor) / divisor)
    }
}

/// Where a host stands and what it is, as the topology has it.
struct HostSite: Sendable {
    var kind: Topology.Pod.Kind
    var storage: Topology.Pod.Storage
    var policy: PlacementPolicy
    /// Name of the pod's hardware profile.
    var profile: String?
    /// Nil: the zone does not state it.
    var jurisdiction: String?
    var rack: String?
    /// Its own fault domains and its rack's.
    var domains: Set<String>
    var parts: HostParts

    private static let profileTexts = DecodedTexts<PodProfile>()
    private static let partsTexts = DecodedTexts<HostParts>()
    private static let namesTexts = DecodedTexts<Set<String>>()

    init(_ row: Row) throws {
        kind = try row.value("kind")
        storage = try row.value("storage")
        policy = try row.value("policy")
        profile = try row.optionalText("profile").map { try Self.profileTexts.value($0).name }
        jurisdiction = try row.optionalText("jurisdiction")
        rack = try row.optionalText("rack")
        domains = []
        for column in ["domains", "rack_domains"] {
            if let text = try row.optionalText(column), text != "[]" { domains.formUnion(try Self.namesTexts.value(text)) }
        }
        parts = try row.optionalText("parts").map { try Self.partsTexts.value($0) } ?? HostParts()
    }

    /// The one name by which placement knows the domains of one kind: of a host on two feeds, both of them.
    func domain(_ kind: Topology.FaultDomain.Kind, _ kinds: [String: Topology.FaultDomain.Kind]) -> String {
        domains.filter { kinds[$0] == kind }.sorted().joined(separator: "+")
    }

    /// Kinds of all fault domains, by name.
    static func domainKinds(in context: any ReadContext) throws -> [String: Topology.FaultDomain.Kind] {
        let rows = try context.query("SELECT name, kind FROM fault_domains")
        return Dictionary(uniqueKeysWithValues: try rows.map { (try $0.text("name"), try $0.value("kind")) })
    }
}
