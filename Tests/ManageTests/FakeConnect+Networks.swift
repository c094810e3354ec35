import CloudAPI
import Foundation
import Primitives
import ServiceKit
import Synchronization
import TestSupport

/// Networks that are at once what is wanted of them.
extension FakeConnect {
    func addNetworks(to router: ProgramRouter) {
        router.on(ConnectAPI.createNetwork) { [self] call in
            try await interruptions.around("createNetwork") { try create(call.body) }
        }
        router.on(ConnectAPI.showNetwork) { [self] call in try view(try call.id("network", as: NetworkID.self)) }
        router.on(ConnectAPI.deleteNetwork) { [self] call in
            let id = try call.id("network", as: NetworkID.self)
            return try await interruptions.around("deleteNetwork") { try delete(id) }
        }
    }

    private func view(_ id: NetworkID) throws -> NetworkView {
        guard let view = state.withLock({ $0.networks[id] }) else { throw Refusal("network.unknown", .notFound, "no such network") }
        return view
    }

    private func create(_ request: CreateNetwork) throws -> NetworkView {
        let now = SystemTime().now()
        try state.withLock { state in
            guard state.networks[request.id] == nil else { return }
            guard request.cidr != "8.8.8.0/24" else { throw Refusal("network.cidr", .invalid, "not private", nearest: "10.1.0.0/24") }
            state.networks[request.id] = NetworkView(
                id: request.id, buyer: town.buyer, account: request.account, name: request.name, state: .available, cidr: request.cidr,
                gateway: "10.1.0.1", vni: 1, zone: request.zone, internet: request.internet ?? true, generation: 1, instances: 0,
                addresses: 251, addressesFree: 251, hosts: [], created: now, stateChanged: now)
        }
        return try view(request.id)
    }

    private func delete(_ id: NetworkID) throws -> NetworkView {
        let isUsed = state.withLock { state in
            state.creations.contains { $0.network == id && state.instances[$0.id]?.state == .running }
        }
        guard !isUsed else { throw Refusal("network.in-use", .conflict, "machines are on it") }
        var gone = try view(id)
        gone.state = .deleted
        let answer = gone
        state.withLock { $0.networks[id] = answer }
        return answer
    }
}
