import CloudAPI
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Two contracts of one buyer and one of another, and hosts with tunnels that do what is wanted of networks and say so.
struct NetworkScene: Sendable {
    let connect: ConnectFixture
    /// The first two are one buyer's.
    let buyers: [Credential]
    let hosts: [TestHost]
    let image: ImageID

    static let small = Resources(milliCPU: 100, memoryMiB: 64, diskMiB: 64)
    static let account = AccountID(bits: 1)

    static func hello(_ number: Int, tunnel: String?, mtu: Int64? = nil) -> NodeHello {
        var hello = TestHost.hello
        hello.hostName = "n\(number)"
        (hello.tunnelAddress, hello.tunnelMTU) = (tunnel, mtu)
        return hello
    }

    /// - Parameter bare: how many of the hosts have no tunnel; the last ones.
    static func with(
        _ kind: DatabaseKind = .sqlite, hosts count: Int = 2, bare: Int = 0,
        _ adjust: (inout ConnectConfiguration) -> Void = { _ in }, _ body: (NetworkScene) async throws -> Void
    ) async throws {
        try await ConnectFixture.with(on: kind, adjust) { connect in
            let product = connect.exchange.define(31) { $0.storage = .nas }
            let contracts = [
                connect.exchange.sell(1, lots: 8, of: product), connect.exchange.sell(2, lots: 8, of: product),
                connect.exchange.sell(3, lots: 8, of: product, to: ParticipantID(bits: 9)),
            ]
            let buyers = try contracts.map { try connect.certificate($0).credential }
            for (contract, credential) in zip(contracts, buyers) { try await connect.know(contract, credential) }
            try await connect.setStorage(.nas)
            var hosts: [TestHost] = []
            for number in 0..<count {
                let tunnel = number < count - bare ? "10.99.0.\(number + 1)" : nil
                hosts.append(try await TestHost.enrolled(at: connect, hello(number, tunnel: tunnel)))
            }
            try await body(NetworkScene(connect: connect, buyers: buyers, hosts: hosts, image: try await connect.image()))
            #expect(try await connect.service.violations() == [])
            try await connect.service.rebuild()
            #expect(try await connect.service.violations() == [])
        }
    }

    // MARK: Buyers

    @discardableResult
    func create(
        _ number: UInt64, _ cidr: String = "10.1.0.0/24", by buyer: Int = 0, key: String? = nil,
        edit: (inout CreateNetwork) -> Void = { _ in }
    ) async throws -> NetworkView {
        var request = CreateNetwork(id: NetworkID(bits: number), cidr: cidr, account: Self.account)
        edit(&request)
        return try await connect.call(ConnectAPI.createNetwork, as: buyers[buyer], body: request, idempotencyKey: key)
    }

    func show(_ number: UInt64, by buyer: Int = 0) async throws -> NetworkView {
        try await connect.call(ConnectAPI.showNetwork, as: buyers[buyer], path: path(number), body: Empty())
    }

    @discardableResult
    func delete(_ number: UInt64, by buyer: Int = 0) async throws -> NetworkView {
        try await connect.call(ConnectAPI.deleteNetwork, as: buyers[buyer], path: path(number), body: Empty())
    }

    private func path(_ number: UInt64) -> [String: String] { ["network": NetworkID(bits: number).description] }

    func list(by buyer: Int = 0) async throws -> [NetworkID] {
        try await connect.call(ConnectAPI.listNetworks, as: buyers[buyer], body: Empty()).items.map(\.id)
    }

    func request(_ number: UInt64, on network: UInt64?, _ host: Int? = nil, address: String? = nil) -> CreateInstance {
        var request = TestHost.instance(number, image, resources: Self.small)
        request.network = network.map { NetworkID(bits: $0) }
        request.address = address
        if let host {
            var terms = PlacementTerms()
            terms.host = hosts[host].id.description
            request.placement = terms
        }
        return request
    }

    @discardableResult
    func launch(
        _ number: UInt64, on network: UInt64?, host: Int? = nil, address: String? = nil, by buyer: Int = 0,
        edit: (inout CreateInstance) -> Void = { _ in }
    ) async throws -> InstanceView {
        var request = request(number, on: network, host, address: address)
        edit(&request)
        return try await connect.call(ConnectAPI.createInstance, as: buyers[buyer], body: request)
    }

    @discardableResult
    func act(_ action: InstanceAction, on number: UInt64, by buyer: Int = 0) async throws -> InstanceView {
        try await connect.call(
            ConnectAPI.actOnInstance, as: buyers[buyer], path: ["instance": InstanceID(bits: number).description],
            body: ActOnInstance(action: action))
    }

    func instance(_ number: UInt64, by buyer: Int = 0) async throws -> InstanceView {
        try await connect.call(
            ConnectAPI.showInstance, as: buyers[buyer], path: ["instance": InstanceID(bits: number).description], body: Empty())
    }

    /// The problem that a call ends in.
    func problem(_ body: () async throws -> Void) async -> ProblemDocument? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ProblemDocument
        }
    }

    // MARK: Hosts

    func intents(of host: Int, after: Int64 = 0, wait: Int = 0) async throws -> IntentPage {
        try await connect.call(
            ConnectAPI.intents, as: hosts[host].credential, query: ["after": "\(after)", "wait": "\(wait)"], body: Empty())
    }

    func network(_ number: UInt64, on host: Int) async throws -> NetworkIntent? {
        try await intents(of: host).networks?.first { $0.network == NetworkID(bits: number) }
    }

    func report(
        _ seen: [NetworkObservation], _ machines: [InstanceObservation] = [], from host: Int, epoch: Int64? = nil
    ) async throws {
        _ = try await connect.call(
            ConnectAPI.report, as: hosts[host].credential,
            body: NodeReport(at: SystemTime().now(), observations: machines, meters: [], consoles: [], epoch: epoch, networks: seen))
    }

    func seen(_ intent: NetworkIntent, _ state: NetworkObserved, _ reason: StateReason? = nil) -> NetworkObservation {
        NetworkObservation(network: intent.network, generation: intent.generation, state: state, reason: reason, at: SystemTime().now())
    }

    /// Hosts do at once what is wanted of their machines, and say so.
    func settleMachines(_ some: [Int]? = nil, epoch: Int64? = nil) async throws {
        for host in some ?? Array(hosts.indices) {
            let now = SystemTime().now()
            let machines = try await intents(of: host).intents.map { intent in
                InstanceObservation(
                    instance: intent.instance, generation: intent.generation,
                    state: intent.desired == .running ? .running : intent.desired == .stopped ? .stopped : .absent, reason: nil,
                    executed: intent.desired == .running ? now : nil, at: now)
            }
            try await report([], machines, from: host, epoch: epoch)
        }
    }

    func settleNetworks(_ some: [Int]? = nil, epoch: Int64? = nil) async throws {
        for host in some ?? Array(hosts.indices) {
            let seen = (try await intents(of: host).networks ?? []).map { self.seen($0, $0.desired == .present ? .present : .absent) }
            try await report(seen, from: host, epoch: epoch)
        }
    }

    func settle(_ some: [Int]? = nil, epoch: Int64? = nil) async throws {
        try await settleMachines(some, epoch: epoch)
        try await settleNetworks(some, epoch: epoch)
    }

    func act(_ action: HostAction, onHost number: Int) async throws {
        var body = ActOnHost(action: action)
        if action == .cordon { body.reason = "a fan" }
        _ = try await connect.manage(ConnectAPI.actOnHost, path: ["host": hosts[number].id.description], body: body)
    }
}
