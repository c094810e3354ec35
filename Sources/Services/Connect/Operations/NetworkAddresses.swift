import CloudAPI
import Fleet
import Primitives
import Store

// Addresses of instances that are on tenants' networks.
extension ConnectCore {
    /// Gives each request that names a network its address there, and has it placed where the network can be. Those that wish for an
    /// address come first.
    func assignAddresses(_ admissions: inout [Admission], of contract: ContractRecord) throws {
        for admission in admissions { try Self.checkAddress(admission.spec) }
        guard admissions.contains(where: { $0.spec.network != nil }) else { return }
        var promised: [NetworkID: Set<UInt32>] = [:]
        let order =
            admissions.indices.filter { admissions[$0].spec.address != nil }
            + admissions.indices.filter { admissions[$0].spec.address == nil }
        for index in order {
            guard let id = admissions[index].spec.network else { continue }
            let spec = admissions[index].spec
            let address = try memory.reading { state in
                let network = try state.network(id, of: contract.view.buyer, account: spec.account)
                try network.check(zone: admissions[index].request.zone ?? spec.zone)
                guard let pool = state.occupancy.network(id)?.addresses else { preconditionFailure("a network without addresses") }
                return try pool.choose(spec.address.flatMap(GuestNetwork.address), besides: promised[id] ?? [], of: id)
            }
            promised[id, default: []].insert(address)
            admissions[index].spec.address = GuestNetwork.text(address)
            admissions[index].request.network = id
            admissions[index].request.zone = admissions[index].request.zone ?? memory.reading { $0.networks[id]?.request.zone }
        }
    }

    private static func checkAddress(_ spec: CreateInstance) throws(Refusal) {
        guard let address = spec.address else { return }
        guard spec.network != nil else {
            throw Refusal(
                "network.address", .invalid, "An address can be wished for on a network of the buyer's own only.",
                facts: ["address": .text(address)], nearest: "the same with a network, or without the address")
        }
        guard GuestNetwork.address(address) != nil else {
            throw Refusal(
                "network.address", .invalid, "'\(address)' is not an IPv4 address.", facts: ["address": .text(address)],
                nearest: "an address of the network's block such as 10.0.0.5, or none: the first free one is taken")
        }
    }
}

extension FleetState {
    /// A network that instances of this buyer and account may be on. Others do not learn that it is there.
    func network(_ id: NetworkID, of buyer: ParticipantID, account: AccountID) throws(Refusal) -> NetworkRecord {
        guard let network = networks[id], network.buyer == buyer, network.request.account == account else {
            throw Refusal(
                "network.unknown", .notFound, "There is no network \(id) of this buyer and account here.",
                facts: ["network": .text(id.description), "account": .text(account.description)],
                nearest: "one that GET /v1/networks shows for that account")
        }
        guard network.state == .available else { throw network.isBeingDeleted }
        return network
    }
}

extension NetworkRecord {
    var isBeingDeleted: Refusal {
        Refusal(
            "network.deleting", .conflict, "Network \(id) is being deleted.", facts: ["network": .text(id.description)],
            nearest: "another network")
    }

    fileprivate func check(zone: String?) throws(Refusal) {
        guard let own = request.zone, let zone, zone != own else { return }
        throw Refusal(
            "network.zone", .invalid, "Network \(id) is in zone \(own), the instance would be in \(zone).",
            facts: ["network": .text(id.description), "zone": .text(own), "wanted": .text(zone)],
            nearest: "zone \(own), or a network without a zone")
    }
}
