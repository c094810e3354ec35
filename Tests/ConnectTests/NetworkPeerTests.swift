import CloudAPI
import Connect
import Drivers
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Whom hosts send to on a tenant's network when other hosts fail or take each other's place.
@Suite struct NetworkPeerTests {
    /// Its host failed and is fenced: it keeps network and address, and whoever is on the network learns where it is now.
    @Test(.timeLimit(.minutes(4)), arguments: DatabaseKind.allCases) func anEvacuationKeepsNetworkAndAddress(_ kind: DatabaseKind)
        async throws
    {
        let power = SimulatedPower(SimulatedBehaviour(seed: 1))
        try await NetworkScene.with(kind, hosts: 3) { configuration in
            // Long enough for a busy machine: no host that reports all the time is ever silent for so long.
            (configuration.suspectSeconds, configuration.hostFailSeconds, configuration.flapLimit) = (15, 18, 1_000)
            configuration.power = power
        } _: { scene in
            try await scene.create(1)
            // Lower addresses are free again by the time of the failure, so that a new one would be another.
            try await scene.launch(3, on: 1, host: 0)
            try await scene.launch(2, on: 1, host: 1)
            for host in [1, 2] { try await scene.act(.cordon, onHost: host) }
            let before = try await scene.launch(1, on: 1, address: "10.1.0.40")
            #expect(before.host == scene.hosts[0].id)
            try await scene.act(.uncordon, onHost: 2)
            try await scene.settle()
            try await scene.act(.terminate, on: 3)
            try await scene.settle()
            #expect(try await scene.network(1, on: 1)?.peers == ["10.99.0.1"])
            let alone = try #require(try await scene.intents(of: 0).intents.first { $0.instance == InstanceID(bits: 1) })

            try await eventually("it runs on the third host") {
                try await scene.settle([1, 2])
                let view = try await scene.instance(1)
                return view.host == scene.hosts[2].id && view.state == .running
            }
            #expect(power.switchedOff == [scene.hosts[0].id])
            let after = try await scene.instance(1)
            #expect(after.privateAddress == "10.1.0.40" && after.network == NetworkID(bits: 1) && after.macAddress == before.macAddress)
            let intent = try #require(try await scene.intents(of: 2).intents.first { $0.instance == InstanceID(bits: 1) })
            #expect(intent.network == NetworkID(bits: 1) && intent.address == "10.1.0.40" && intent.macAddress == alone.macAddress)
            #expect(try await scene.network(1, on: 2)?.peers == ["10.99.0.2"])
            #expect(try await scene.network(1, on: 1)?.peers == ["10.99.0.3"], "a host that runs nothing is nobody's peer")

            // It comes back, has let go of both, and is told of neither any more.
            let hello = NetworkScene.hello(0, tunnel: "10.99.0.1")
            let welcome = try await scene.connect.call(ConnectAPI.hello, as: scene.hosts[0].credential, body: hello)
            let epoch = try #require(welcome.epoch)
            #expect(try await scene.intents(of: 0).intents.map(\.desired) == [.absent])
            #expect(try await scene.intents(of: 0).intents.first?.keepsDisk == true)
            try await eventually("it is in service, and has nothing to do with the network") {
                try await scene.settle([0], epoch: epoch)
                try await scene.settle([1, 2])
                let left = try await scene.intents(of: 0)
                return (left.networks ?? []).isEmpty && left.intents.isEmpty
            }
            #expect(try await scene.network(1, on: 1)?.peers == ["10.99.0.3"])
            #expect(Set((try await scene.show(1).hosts ?? []).map(\.host)) == [scene.hosts[1].id, scene.hosts[2].id])
        }
    }

    /// A host says that it has the address of another.
    @Test(.timeLimit(.minutes(5))) func nobodyIsToldOfAnAddressTwice() async throws {
        try await NetworkScene.with(hosts: 3) { scene in
            try await scene.create(1)
            for host in 0..<3 { try await scene.launch(UInt64(host + 1), on: 1, host: host) }
            #expect(try await scene.network(1, on: 0)?.peers == ["10.99.0.2", "10.99.0.3"])
            let hello = NetworkScene.hello(2, tunnel: "10.99.0.2")
            _ = try await scene.connect.call(ConnectAPI.hello, as: scene.hosts[2].credential, body: hello)
            #expect(try await scene.network(1, on: 0)?.peers == ["10.99.0.2"])
        }
    }
}
