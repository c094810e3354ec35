import CloudAPI
import Drivers
import Foundation
import Node
import Primitives
import Synchronization
import Testing

/// Tenants' networks on a node: made before the machines that are on them, changed under them, removed after them, found again by the next process.
@Suite(.serialized) struct NetworkServiceTests {
    private let network = NetworkID(bits: 0xe1)

    private func wish(_ desired: NetworkDesired, _ generation: Int64, vni: Int64 = 5_001, peers: [String] = []) -> NetworkIntent {
        NetworkIntent(
            network: network, generation: generation, desired: desired, vni: vni, cidr: "10.1.0.0/24", gateway: "10.1.0.1", mtu: 1_450,
            hasInternet: true, peers: peers)
    }

    private func guest(_ number: UInt64, generation: Int64 = 1, desired: DesiredState = .running) -> InstanceIntent {
        sampleIntent(number, generation: generation, desired: desired, address: "10.1.0.1\(number)").with { $0.network = network }
    }

    private func told(_ state: NetworkObserved, _ generation: Int64, by connect: FakeConnect) async throws {
        try await eventually("\(state) at generation \(generation)") {
            connect.seen(network)?.state == state && connect.seen(network)?.generation == generation
        }
    }

    @Test(.timeLimit(.minutes(4))) func aNetworksLife() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { node in
                connect.want(wish(.present, 1))
                try await told(.present, 1, by: connect)
                connect.want(guest(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                #expect(try await world.network.ports().map(\.network) == [network])
                #expect(node.metadataPort(of: network) != nil && node.metadataPort(of: network) != node.metadataPort)

                connect.want(wish(.present, 2, peers: ["192.0.2.7"]))
                try await told(.present, 2, by: connect)
                #expect(try await world.network.networks().first?.peers.map(\.description) == ["192.0.2.7"])

                // Both in one go: the network waits for its last machine.
                connect.want(wish(.absent, 3))
                connect.want(guest(1, generation: 2, desired: .absent))
                try await told(.absent, 3, by: connect)
                #expect(try await world.network.networks().isEmpty)
                #expect(connect.seen(1)?.state == .absent)
                try await eventually("nobody listens") { node.metadataPort(of: network) == nil }
                connect.want(wish(.present, 4))
                try await told(.present, 4, by: connect)
            }
        }
    }

    /// That it is wanted again comes while the node forgets it.
    @Test(.timeLimit(.minutes(4))) func aNetworkThatComesBackAtOnceIsNotForgotten() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                for round in 0..<25 as Range<Int64> {
                    connect.want(wish(.present, 2 * round + 1))
                    try await told(.present, 2 * round + 1, by: connect)
                    connect.want(wish(.absent, 2 * round + 2))
                    try await told(.absent, 2 * round + 2, by: connect)
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func aMachineWaitsForItsNetworkAndSaysSo() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(guest(1))
                try await eventually("it says what is missing") { connect.seen(1)?.reason?.code == "Server.network.unknown" }
                connect.want(wish(.present, 1))
                try await eventually("running") { connect.seen(1)?.state == .running && connect.seen(1)?.reason == nil }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func withoutATunnelItIsRefused() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld(tunnel: nil)
            try await world.serve(connect) { _ in
                connect.want(wish(.present, 1))
                connect.want(guest(1))
                try await told(.failed, 1, by: connect)
                #expect(connect.seen(network)?.reason?.code == "Server.network.tunnel")
                try await eventually("so does its machine") { connect.seen(1)?.reason?.code == "Server.network.tunnel" }
                #expect(connect.state.withLock { $0.hello }?.tunnelAddress == nil)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func theHostSaysWhereItsTunnelsEnd() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            let edit: (inout NodeConfiguration) -> Void = {
                $0.tunnelAddress = "192.0.2.1"
                $0.tunnelMTU = 9_000
            }
            try await world.serve(connect, edit: edit) { _ in
                try await eventually("hello") { connect.state.withLock { $0.hello } != nil }
                #expect(connect.state.withLock { $0.hello }?.tunnelAddress == "192.0.2.1")
                #expect(connect.state.withLock { $0.hello }?.tunnelMTU == 9_000)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func anotherNodeProcessGoesOn() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(wish(.present, 1))
                connect.want(guest(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
            }
            let executed = connect.seen(1)?.executed
            // While nobody watches somebody takes it away; connect is away as well when the next process starts.
            world.network.lose(network)
            connect.setAway(true)
            try await world.serve(connect) { node in
                try await eventually("it is back") { try await world.network.networks().map(\.network) == [network] }
                try await eventually("and its guests are answered") { node.metadataPort(of: network) != nil }
                connect.setAway(false)
                connect.want(wish(.present, 2, peers: ["192.0.2.9"]))
                try await told(.present, 2, by: connect)
                #expect(connect.seen(1)?.executed == executed, "the machine noticed nothing")
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func whatConnectDoesNotListStaysAndStaleWishesAreRefused() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(wish(.present, 5))
                try await told(.present, 5, by: connect)
                connect.want(wish(.absent, 4))
                connect.want(sampleIntent(2))
                try await eventually("what came later") { connect.seen(2)?.state == .running }
                #expect(try await world.network.networks().count == 1)
            }
            connect.drop(network)
            try await world.serve(connect) { _ in
                connect.want(sampleIntent(2, generation: 2, desired: .stopped))
                try await eventually("a full list was heard") { connect.seen(2)?.state == .stopped }
                #expect(try await world.network.networks().count == 1, "a record lost must not cut guests off")
            }
        }
    }

    /// After an update of the node connect says whose a machine is, which was never said before.
    @Test(.timeLimit(.minutes(4))) func anOwnerThatBecomesKnownIsFollowedWithoutARestart() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await world.serve(connect) { _ in
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                let executed = connect.seen(1)?.executed
                #expect(try await world.network.ports().first?.owner == nil)
                connect.want(sampleIntent(1).with { $0.owner = "0123456789abcdef" })
                try await eventually("followed") { try await world.network.ports().first?.owner == "0123456789abcdef" }
                #expect(connect.seen(1)?.executed == executed)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func failuresOfTheDriverPass() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            world.network.change { $0.failuresPerThousand = 150 }
            try await world.serve(connect) { _ in
                connect.want(wish(.present, 1))
                connect.want(guest(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                world.network.change { $0.failuresPerThousand = 0 }
                connect.want(guest(1, generation: 2, desired: .absent))
                connect.want(wish(.absent, 2))
                try await eventually("all gone") { connect.seen(network)?.state == .absent }
            }
        }
    }
}
