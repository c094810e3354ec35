import CloudAPI
import Drivers
import Foundation
import Node
import Primitives
import ServiceKit
import Testing

/// The simulated world of one host, which outlives the node.
final class SimulatedWorld: Sendable {
    let host = SimulatedHost(clock: SystemTime().now)
    let storage = SimulatedStorage(SimulatedBehaviour(seed: 1))
    let images = SimulatedImageStore(SimulatedBehaviour(seed: 1))
    let network: SimulatedNetwork
    let behaviour: SimulatedBehaviour

    init(_ behaviour: SimulatedBehaviour = SimulatedBehaviour(seed: 1)) throws {
        self.behaviour = behaviour
        network = SimulatedNetwork(try #require(IPv4Prefix("10.99.0.1/16")), behaviour)
    }

    var drivers: NodeDrivers {
        NodeDrivers(compute: SimulatedCompute(host, behaviour), storage: storage, images: images, network: network)
    }

    func isRunning(_ number: UInt64) -> Bool { host.machines().contains { $0.instance == instance(number) && $0.state == .running } }

    /// Runs a node over this world, then the body, then stops it.
    func serve(
        _ connect: FakeConnect, edit: (inout NodeConfiguration) -> Void = { _ in }, _ body: (NodeService) async throws -> Void
    ) async throws {
        var configuration = await connect.configuration()
        edit(&configuration)
        let node = try await NodeService(configuration, drivers: drivers, logger: FakeConnect.logger)
        try await running(node.services) { try await body(node) }
    }
}
