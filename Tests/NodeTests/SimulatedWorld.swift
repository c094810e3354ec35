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
    let storage: SimulatedStorage
    let images: SimulatedImageStore
    let network: SimulatedNetwork
    let behaviour: SimulatedBehaviour

    /// - Parameter former: the same host before its power was cut: its disks are there, nothing runs.
    init(
        _ behaviour: SimulatedBehaviour = SimulatedBehaviour(seed: 1), after former: SimulatedWorld? = nil,
        tunnel: TunnelEnd? = TunnelEnd(address: IPv4Address(bits: 0xc000_0201))
    ) throws {
        self.behaviour = behaviour
        storage = former?.storage ?? SimulatedStorage(SimulatedBehaviour(seed: 1))
        images = former?.images ?? SimulatedImageStore(SimulatedBehaviour(seed: 1))
        network = SimulatedNetwork(try #require(IPv4Prefix("10.99.0.1/16")), behaviour, tunnel: tunnel)
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
