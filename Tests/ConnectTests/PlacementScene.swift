import CloudAPI
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport

/// A connect with hosts and buyers, for tests of where instances go.
struct PlacementScene: Sendable {
    let connect: ConnectFixture
    let image: ImageID
    let hosts: [TestHost]

    struct Buyer: Sendable {
        let contract: ContractView
        let credential: Credential
    }

    /// - Parameters:
    ///   - hosts: what each says when it joins, in this order.
    ///   - notice: seconds that interruptible ones are told before.
    static func with(
        on kind: DatabaseKind = .sqlite, hosts: [NodeHello], notice: Int64 = 120,
        _ adjust: (ConnectFixture) async throws -> Void = { _ in },
        _ body: (PlacementScene) async throws -> Void
    ) async throws {
        try await ConnectFixture.with(on: kind) {
            $0.interruptionNoticeSeconds = notice
        } _: { connect in
            try await adjust(connect)
            var joined: [TestHost] = []
            for hello in hosts { joined.append(try await TestHost.enrolled(at: connect, hello)) }
            try await body(PlacementScene(connect: connect, image: try await connect.image(), hosts: joined))
        }
    }

    static func hello(
        _ name: String, rack: String? = nil, resources: Resources = TestHost.hello.capacity, cells: Int64 = 0, gpus: Int = 0
    ) -> NodeHello {
        var hello = TestHost.hello
        hello.hostName = name
        hello.capacity = resources
        hello.rack = rack
        guard cells > 0 || gpus > 0 else { return hello }
        hello.inventory = HostInventoryView(
            product: "R7",
            cells: (0..<cells).map {
                CellView(cell: $0, cpus: resources.milliCPU / 1_000 / cells, memoryMiB: resources.memoryMiB / cells)
            }, devices: (0..<gpus).map { DeviceView(kind: .gpu, name: "gpu\($0)", model: "A100") })
        return hello
    }

    func buyer(
        _ number: UInt64, lots: Int64 = 20, of product: ProductView? = nil, as participant: ParticipantID? = nil
    ) async throws -> Buyer {
        let contract = connect.exchange.sell(number, lots: lots, of: product, to: participant)
        let credential = try connect.certificate(contract).credential
        try await connect.know(contract, credential)
        return Buyer(contract: contract, credential: credential)
    }

    func spec(_ number: UInt64, _ terms: PlacementTerms? = nil, _ resources: Resources = Town.lot) -> CreateInstance {
        var spec = TestHost.instance(number, image, resources: resources)
        spec.placement = terms
        return spec
    }

    func launch(
        _ number: UInt64, by buyer: Buyer, _ terms: PlacementTerms? = nil, _ resources: Resources = Town.lot
    ) async throws -> InstanceView {
        try await connect.call(ConnectAPI.createInstance, as: buyer.credential, body: spec(number, terms, resources))
    }

    func act(_ action: InstanceAction, on number: UInt64, by buyer: Buyer) async throws {
        _ = try await connect.call(
            ConnectAPI.actOnInstance, as: buyer.credential, path: ["instance": InstanceID(bits: number).description],
            body: ActOnInstance(action: action))
    }

    /// Each host does at once what is wanted of it, and says so.
    func settle() async throws {
        for host in hosts {
            let page = try await connect.call(ConnectAPI.intents, as: host.credential, query: ["after": "0"], body: Empty())
            let now = SystemTime().now()
            let seen = page.intents.map { intent in
                let state: ObservedState =
                    switch intent.desired {
                    case .running: .running
                    case .stopped: .stopped
                    case .absent: .absent
                    }
                return InstanceObservation(
                    instance: intent.instance, generation: intent.generation, state: state, reason: nil,
                    executed: state == .running ? now : nil, at: now)
            }
            _ = try await connect.call(
                ConnectAPI.report, as: host.credential, body: NodeReport(at: now, observations: seen, meters: [], consoles: []))
        }
    }

    func explain(_ terms: PlacementTerms? = nil, _ resources: Resources = Town.lot, by buyer: Buyer) async throws -> PlacementForecast {
        try await connect.call(
            ConnectAPI.explainPlacement, as: buyer.credential, body: ExplainPlacement(resources: resources, placement: terms))
    }

    /// The problem a call ends in; nil when it does not.
    func problem(_ body: () async throws -> Void) async -> ProblemDocument? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ProblemDocument
        }
    }
}
