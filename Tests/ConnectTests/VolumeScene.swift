import CloudAPI
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import Synchronization
import TestSupport
import Testing

/// A buyer with two contracts, and hosts that do what is wanted of volumes and say so.
struct VolumeScene: Sendable {
    let connect: ConnectFixture
    let contracts: [ContractView]
    let buyers: [Credential]
    let hosts: [TestHost]
    let image: ImageID

    /// - Parameter storage: of the pod the hosts are in.
    static func with(
        _ kind: DatabaseKind = .sqlite, storage: StorageArchitecture = .das, hosts count: Int = 2,
        _ body: (VolumeScene) async throws -> Void
    ) async throws {
        try await ConnectFixture.with(on: kind) { connect in
            let product = connect.exchange.define(31) { $0.storage = storage }
            let contracts = [connect.exchange.sell(1, lots: 6, of: product), connect.exchange.sell(2, lots: 4, of: product)]
            let buyers = try contracts.map { try connect.certificate($0).credential }
            for (contract, credential) in zip(contracts, buyers) { try await connect.know(contract, credential) }
            let settings = PodSettings(
                zone: Town.zone, kind: .virtual, storage: storage, oversubscription: .init(cpu: 8_000, memory: 1_000, disk: 1_000))
            _ = try await connect.manage(ConnectAPI.putPod, path: ["pod": "disks"], body: settings)
            var hosts: [TestHost] = []
            for number in 0..<count {
                var hello = TestHost.hello
                hello.hostName = "n\(number)"
                hosts.append(try await TestHost.enrolled(at: connect, for: CreateNodeEnrolment(pod: "disks"), hello))
            }
            try await body(
                VolumeScene(connect: connect, contracts: contracts, buyers: buyers, hosts: hosts, image: try await connect.image()))
            #expect(try await connect.service.violations() == [])
            try await connect.service.rebuild()
            #expect(try await connect.service.violations() == [])
        }
    }

    // MARK: The buyer

    func create(
        _ number: UInt64, MiB size: Int64 = 1_024, by buyer: Int = 0, key: String? = nil, edit: (inout CreateVolume) -> Void = { _ in }
    ) async throws -> VolumeView {
        var request = CreateVolume(id: VolumeID(bits: number), sizeMiB: size, account: AccountID(bits: 1))
        edit(&request)
        return try await connect.call(ConnectAPI.createVolume, as: buyers[buyer], body: request, idempotencyKey: key)
    }

    @discardableResult
    func act(
        _ action: VolumeAction, on number: UInt64, by buyer: Int = 0, key: String? = nil, edit: (inout ActOnVolume) -> Void = { _ in }
    ) async throws -> VolumeView {
        var request = ActOnVolume(action: action)
        edit(&request)
        return try await connect.call(
            ConnectAPI.actOnVolume, as: buyers[buyer], path: ["volume": VolumeID(bits: number).description], body: request,
            idempotencyKey: key)
    }

    @discardableResult
    func attach(_ number: UInt64, to instance: InstanceView, device: String? = nil) async throws -> VolumeView {
        try await act(.attach, on: number) {
            $0.instance = instance.id
            $0.device = device
        }
    }

    func show(_ number: UInt64) async throws -> VolumeView {
        try await connect.call(
            ConnectAPI.showVolume, as: buyers[0], path: ["volume": VolumeID(bits: number).description], body: Empty())
    }

    func launch(_ number: UInt64, by buyer: Int = 0, near volumes: [UInt64]? = nil) async throws -> InstanceView {
        var request = TestHost.instance(number, image)
        request.volumes = volumes?.map { VolumeID(bits: $0) }
        return try await connect.call(ConnectAPI.createInstance, as: buyers[buyer], body: request)
    }

    func terminate(_ instance: InstanceView, by buyer: Int = 0) async throws {
        _ = try await connect.call(
            ConnectAPI.actOnInstance, as: buyers[buyer], path: ["instance": instance.id.description],
            body: ActOnInstance(action: .terminate))
    }

    func used(by buyer: Int = 0) async throws -> ContractCapacity { try await connect.capacity(as: buyers[buyer]) }

    /// The problem that a call ends in.
    func problem(_ body: () async throws -> Void) async -> ProblemDocument? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ProblemDocument
        }
    }

    // MARK: The hosts

    func intents(of host: TestHost) async throws -> IntentPage {
        try await connect.call(ConnectAPI.intents, as: host.credential, query: ["after": "0"], body: Empty())
    }

    func host(_ id: HostID?) throws -> TestHost { try #require(hosts.first { $0.id == id }) }
    func other(than id: HostID?) throws -> TestHost { try #require(hosts.first { $0.id != id }) }

    func report(_ seen: [VolumeObservation], _ machines: [InstanceObservation] = [], from host: TestHost) async throws {
        _ = try await connect.call(
            ConnectAPI.report, as: host.credential,
            body: NodeReport(at: SystemTime().now(), observations: machines, meters: [], consoles: [], volumes: seen))
    }

    func seen(_ intent: VolumeIntent, _ state: VolumeObserved, reason: StateReason? = nil) -> VolumeObservation {
        VolumeObservation(
            volume: intent.volume, generation: intent.generation, state: state, reason: reason,
            sizeMiB: state == .absent ? nil : intent.sizeMiB, at: SystemTime().now())
    }

    /// All hosts do at once what is wanted of them, and say so.
    func settle() async throws {
        for host in hosts {
            let page = try await intents(of: host)
            let now = SystemTime().now()
            let disks = (page.volumes ?? []).map { intent in
                switch intent.desired {
                case .available: seen(intent, .present)
                case .attached: seen(intent, .attached)
                case .absent, .released: seen(intent, .absent)
                }
            }
            let machines = page.intents.map { intent in
                InstanceObservation(
                    instance: intent.instance, generation: intent.generation,
                    state: intent.desired == .running ? .running : intent.desired == .stopped ? .stopped : .absent, reason: nil,
                    executed: intent.desired == .running ? now : nil, at: now)
            }
            try await report(disks, machines, from: host)
        }
    }
}
