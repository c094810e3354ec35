import CloudAPI
import Fleet
import Foundation
import Primitives
import Store

/// What connect decides by, kept in memory; the tables are the truth and this follows them.
struct FleetState: Sendable {
    /// Of a host what placement does not look at.
    struct HostFacts: Hashable, Sendable {
        var name: String
        var podName: String
        /// The highest meter reading stored.
        var meterSequence: Int64
        /// Its fencing token.
        var epoch: Int64
        /// Proven to run nothing, and not back in service yet.
        var isFenced: Bool

        init(_ host: HostRecord) {
            (name, podName, meterSequence) = (host.name, host.podName, host.meterSequence)
            (epoch, isFenced) = (host.epoch, host.isFenced)
        }
    }

    var occupancy = Occupancy()
    var hosts: [HostID: HostFacts] = [:]
    var contracts: [ContractID: ContractRecord] = [:]
    var products: [ProductID: ProductDefinition] = [:]
    /// Those that are not deleted.
    var networks: [NetworkID: NetworkRecord] = [:]
    /// Of pods that have or had hosts, by name.
    private(set) var pods: [String: PodID] = [:]
    /// By zone; empty: not stated.
    private(set) var jurisdictions: [String: String] = [:]
    /// How long instances live.
    var lifetimes = LifetimeBook()

    /// What the tables say. Pages keep the rows of a large datacenter from being in memory all at once.
    static func load(from context: any ReadContext) throws -> FleetState {
        var state = FleetState()
        for host in try HostRecord.plain(in: context) { try state.set(host) }
        for contract in try ContractRecord.all(in: context) { state.contracts[contract.id] = contract }
        state.products = try ProductRecord.all(in: context)
        for network in try NetworkRecord.all(in: context) { state.set(network) }
        for place in try ReservedPlace.all(in: context) {
            state.occupancy.set(place.instance, try place.holding(by: state.party(of: place.contract)))
        }
        for (place, holding) in try LiveMoveRecord.holdings(in: context, party: state.party) {
            state.occupancy.set(place, holding)
        }
        var last = ""
        while true {
            let rows = try context.query(
                """
                SELECT id, contract, host, milli_cpu, memory_mib, disk_mib, milli_gpu, address, desired, state, generation, executed, terms, spot,
                  network, network_address, move
                FROM instances
                WHERE id > $1 AND state <> 'terminated' ORDER BY id LIMIT 5000
                """, [.text(last)])
            for row in rows {
                let contract = try row.id("contract", as: ContractID.self)
                state.occupancy.set(try row.id("id"), try Occupancy.Holding(row, of: contract, by: state.party(of: contract)))
            }
            guard rows.count == 5_000, let end = rows.last else { break }
            last = try end.text("id")
        }
        for (volume, holding) in try VolumeRecord.holdings(in: context) { state.occupancy.set(volume, holding) }
        return state
    }

    /// The buyer.
    func party(of contract: ContractID) -> ParticipantID { contracts[contract]?.view.buyer ?? ParticipantID(bits: 0) }

    mutating func set(_ host: HostRecord) throws {
        set(try host.entry, HostFacts(host))
    }

    /// - Parameter facts: nil: nothing is known of it beside its entry.
    mutating func set(_ entry: Occupancy.HostEntry, _ facts: HostFacts?) {
        occupancy.setHost(entry)
        hosts[entry.id] = facts
        jurisdictions[entry.zone] = entry.placement.jurisdiction
        if let facts { pods[facts.podName] = entry.placement.pod }
    }

    func capacity(of contract: ContractRecord) -> ContractCapacity {
        let used = occupancy.usage(of: contract.id)
        return ContractCapacity(
            contract: contract.id, lots: contract.view.lots, total: contract.volume, used: used.resources, instances: used.instances,
            volumes: used.volumes, period: contract.view.period)
    }
}

extension Occupancy.Holding {
    fileprivate init(_ row: Row, of contract: ContractID, by party: ParticipantID) throws {
        self.init(
            contract: contract, party: party, host: try row.id("host"),
            resources: Resources(
                milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib"),
                milliGPU: try row.integer("milli_gpu")),
            address: try row.optionalText("address").flatMap(GuestNetwork.address), desired: try row.value("desired"),
            state: try row.value("state"), generation: try row.integer("generation"), executed: try row.optionalInstant("executed"),
            terms: try HeldTermsTexts.shared.value(try row.optionalText("terms"), of: party),
            spot: PlacementSpot(number: try row.integer("spot")) ?? .anywhere)
        guard let own = try row.optionalID("network", as: NetworkID.self) else { return }
        (network, heading) = (own, try row.heading())
        address = try row.optionalText("network_address").flatMap(GuestNetwork.address)
    }
}

extension InstanceRecord {
    /// What it holds; nil once it is terminated.
    func holding(by party: ParticipantID) throws -> Occupancy.Holding? {
        guard life.state != .terminated else { return nil }
        return Occupancy.Holding(
            contract: contract, party: party, host: host, resources: resources, address: address.flatMap(GuestNetwork.address),
            desired: life.desired, state: life.state, generation: life.generation,
            executed: life.executed, terms: try HeldTermsTexts.shared.value(termsText, of: party), spot: spot,
            network: spec.network, heading: spec.network == nil ? nil : life.heading)
    }
}

extension HostRecord {
    var entry: Occupancy.HostEntry {
        get throws {
            guard let network = GuestNetwork(guestNetwork) else {
                throw StoreError.corrupted("the network of host \(id) is '\(guestNetwork)'")
            }
            var host = PlacementHost(
                id: id, zone: zone, pod: pod, rack: site.rack ?? "", capacity: oversubscription.promised(of: hardware))
            (host.power, host.network, host.facility) = (power, self.network, facility)
            host.state = state
            host.ratios = oversubscription
            host.kind = site.kind == .metal ? .metal : .virtual
            host.profile = site.profile ?? ""
            host.storage = PlacementHost.Storage(rawValue: site.storage.rawValue) ?? .das
            host.pool = site.storage == .das ? nil : podName
            host.jurisdiction = site.jurisdiction ?? ""
            host.hasTunnel = hasTunnel
            host.cells = site.parts.cells(promised: oversubscription)
            host.gpuCount = Int(clamping: min(Int64(PlacementHost.mostGPUs), hardware.milliGPU / 1_000))
            host.capacity.milliGPU = Int64(host.gpuCount) * 1_000
            host.gpuModel = host.gpuCount > 0 ? site.parts.gpuModel : nil
            return Occupancy.HostEntry(host, network: network, policy: site.policy)
        }
    }
}
