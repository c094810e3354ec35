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
        /// The highest meter reading stored.
        var meterSequence: Int64
    }

    var occupancy = Occupancy()
    var hosts: [HostID: HostFacts] = [:]
    var contracts: [ContractID: ContractRecord] = [:]

    /// What the tables say. Pages keep the rows of a large datacenter from being in memory all at once.
    static func load(from context: any ReadContext) throws -> FleetState {
        var state = FleetState()
        for host in try HostRecord.plain(in: context) { try state.set(host) }
        for contract in try ContractRecord.all(in: context) { state.contracts[contract.id] = contract }
        var last = ""
        while true {
            let rows = try context.query(
                """
                SELECT id, contract, host, milli_cpu, memory_mib, disk_mib, address, desired, state, generation, executed FROM instances
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
        occupancy.setHost(try host.entry)
        hosts[host.id] = HostFacts(name: host.name, meterSequence: host.meterSequence)
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
                milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib"), diskMiB: try row.integer("disk_mib")),
            address: try row.optionalText("address").flatMap(GuestNetwork.address), desired: try row.value("desired"),
            state: try row.value("state"), generation: try row.integer("generation"), executed: try row.optionalInstant("executed"))
    }
}

extension InstanceRecord {
    /// What it holds; nil once it is terminated.
    func holding(by party: ParticipantID) -> Occupancy.Holding? {
        guard life.state != .terminated else { return nil }
        let size = spec.resources
        return Occupancy.Holding(
            contract: contract, party: party, host: host,
            resources: Resources(milliCPU: size.milliCPU, memoryMiB: size.memoryMiB, diskMiB: size.diskMiB),
            address: address.flatMap(GuestNetwork.address), desired: life.desired, state: life.state, generation: life.generation,
            executed: life.executed)
    }
}

extension HostRecord {
    var entry: Occupancy.HostEntry {
        get throws {
            guard let network = GuestNetwork(guestNetwork) else {
                throw StoreError.corrupted("the network of host \(id) is '\(guestNetwork)'")
            }
            var host = PlacementHost(id: id, zone: zone, pod: pod, rack: "", capacity: oversubscription.promised(of: hardware))
            host.state = state
            host.ratios = oversubscription
            return Occupancy.HostEntry(host, network: network)
        }
    }
}
