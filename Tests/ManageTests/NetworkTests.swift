import CloudAPI
import Foundation
import Primitives
import ServiceKit
import Synchronization
import TestSupport
import Testing

/// Networks of accounts: kept by the connect of a datacenter where the buyer has a contract.
@Suite(.timeLimit(.minutes(5))) struct NetworkTests {
    private func machine(_ manage: ManageFixture, on network: NetworkID? = nil) async throws -> InstanceID {
        let body = LaunchInstances(image: manage.town.image, offering: "t2.nano", network: network)
        let id = try #require(try await manage.call(ManageAPI.launchInstances, body: body, token: manage.user).items.first?.id)
        try await eventually("it runs") { try await manage.state(id) == .running }
        return id
    }

    private func create(_ cidr: String, _ manage: ManageFixture, zone: String? = nil) async throws -> ManagedNetworkView {
        try await manage.call(
            ManageAPI.createNetwork, body: CreateManagedNetwork(cidr: cidr, name: "web", zone: zone), token: manage.user)
    }

    private func delete(_ id: NetworkID, _ manage: ManageFixture) async throws -> ManagedNetworkView {
        try await manage.call(ManageAPI.deleteNetwork, path: ["network": id.description], body: Empty(), token: manage.user)
    }

    private func rule(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch { return (error as? ProblemDocument)?.rule }
    }

    @Test(arguments: DatabaseKind.allCases) func aNetworksLife(_ kind: DatabaseKind) async throws {
        try await withManage(kind) { manage in
            #expect(await rule { _ = try await create("10.1.0.0/24", manage) } == "network.contract", "there is no contract yet")
            manage.exchange.offer((20_000, 8))
            _ = try await machine(manage)
            #expect(await rule { _ = try await create("8.8.8.0/24", manage) } == "network.cidr", "what connect refuses is not kept")
            #expect(await rule { _ = try await create("10.1.0.0/24", manage, zone: "mars") } == "network.contract")
            let made = try await create("10.1.0.0/24", manage)
            #expect(made.state == .available && made.zone == Town.zone && made.name == "web" && made.datacenter == manage.town.datacenter)
            #expect(try await manage.call(ManageAPI.listNetworks, body: Empty()).items.map(\.id) == [made.id])
            let shown = try await manage.call(ManageAPI.showNetwork, path: ["network": made.id.description], body: Empty())
            #expect(shown.seen?.gateway == "10.1.0.1" && shown.seen?.account == made.account)

            let machine = try await machine(manage, on: made.id)
            let asked = manage.connect.state.withLock { state in state.creations.first { $0.id == machine } }
            #expect(asked?.network == made.id && asked?.zone == Town.zone && asked?.account == made.account)
            let unknown = LaunchInstances(image: manage.town.image, offering: "t2.nano", network: NetworkID(bits: 5))
            #expect(
                await rule { _ = try await manage.call(ManageAPI.launchInstances, body: unknown, token: manage.user) } == "network.unknown")

            #expect(await rule { _ = try await delete(made.id, manage) } == "network.in-use")
            #expect(try await manage.call(ManageAPI.listNetworks, body: Empty()).items.map(\.state) == [.available])
            manage.connect.update(machine, .terminated)
            #expect(try await delete(made.id, manage).state == .deleted)
            #expect(try await manage.call(ManageAPI.listNetworks, body: Empty()).items.isEmpty)
        }
    }
}
