import CloudAPI
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// Networks of buyers: whose they are, which addresses their instances have, and how they end.
@Suite struct NetworkTests {
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func aNetworksLife(_ kind: DatabaseKind) async throws {
        try await NetworkScene.with(kind) { scene in
            let made = try await scene.create(1) { $0.name = "web" }
            #expect(made.state == .available && made.gateway == "10.1.0.1" && made.vni == 1 && made.internet)
            #expect(made.addresses == 251 && made.addressesFree == 251 && made.instances == 0 && made.name == "web")
            #expect(try await scene.intents(of: 0).networks == nil, "nobody is on it")
            let machine = try await scene.launch(7, on: 1, host: 0)
            #expect(machine.privateAddress == "10.1.0.4" && machine.network == made.id)
            let page = try await scene.intents(of: 0)
            let intent = try #require(page.intents.first)
            #expect(intent.network == made.id && intent.address == "10.1.0.4" && intent.owner?.count == 16)
            let network = try #require(page.networks?.first)
            #expect(network.desired == .present && network.vni == 1 && network.cidr == "10.1.0.0/24" && network.gateway == "10.1.0.1")
            #expect(network.mtu == 1_450 && network.hasInternet && network.peers == [])
            try await scene.settle()
            let there = try await scene.show(1)
            #expect(there.instances == 1 && there.addressesFree == 250)
            #expect(there.hosts?.map(\.host) == [scene.hosts[0].id] && there.hosts?.first?.observed == .present)

            let used = await scene.problem { try await scene.delete(1) }
            #expect(used?.rule == "network.in-use" && used?.status == 409 && used?.detail.contains("\(machine.id)") == true)
            try await scene.act(.terminate, on: 7)
            #expect(await scene.problem { try await scene.delete(1) }?.rule == "network.in-use", "until the host has said that it is gone")
            try await scene.settleMachines()
            #expect(try await scene.instance(7).state == .terminated)
            #expect(try await scene.network(1, on: 0)?.desired == .absent)
            #expect(try await scene.delete(1).state == .deleting)
            #expect(try await scene.delete(1).state == .deleting)
            #expect(await scene.problem { try await scene.launch(8, on: 1) }?.rule == "network.deleting")
            #expect(try await scene.create(2).vni == 2, "a host may still carry the other")
            try await scene.settleNetworks()
            #expect(try await scene.show(1).state == .deleted)
            #expect(try await scene.intents(of: 0).networks == nil)
            #expect(try await scene.list() == [NetworkID(bits: 2)])
            #expect(try await scene.create(3).vni == 1, "it is free again")
            #expect(try await scene.delete(2).state == .deleted, "it never was anywhere")
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func itIsItsBuyersAndAccounts(_ kind: DatabaseKind) async throws {
        try await NetworkScene.with(kind) { scene in
            try await scene.create(1)
            #expect(try await scene.show(1, by: 1).id == NetworkID(bits: 1), "another contract of the buyer")
            let first = try await scene.launch(7, on: 1, host: 0)
            #expect(try await scene.launch(8, on: 1, host: 0, by: 1).privateAddress == "10.1.0.5")
            for attempt in [
                await scene.problem { _ = try await scene.show(1, by: 2) }, await scene.problem { try await scene.delete(1, by: 2) },
                await scene.problem { try await scene.launch(9, on: 1, by: 2) },
                await scene.problem { try await scene.launch(9, on: 1) { $0.account = AccountID(bits: 2) } },
            ] {
                #expect(attempt?.rule == "network.unknown" && attempt?.status == 404)
            }
            #expect(try await scene.list(by: 2).isEmpty)
            #expect(await scene.problem { try await scene.create(1, by: 2) }?.rule == "network.exists")
            // The same addresses again, on the same host.
            let other = try await scene.create(2, by: 2)
            #expect(other.vni == 2)
            let stranger = try await scene.launch(9, on: 2, host: 0, by: 2)
            #expect(stranger.privateAddress == first.privateAddress && stranger.host == first.host)
            let intents = try await scene.intents(of: 0).intents
            let owners = Dictionary(uniqueKeysWithValues: intents.map { ($0.instance.bits, $0.owner) })
            #expect(owners[7] == owners[8] && owners[7] != owners[9] && owners[9] != .some(nil))
            let all = try await scene.connect.manage(ConnectAPI.listNetworks, body: Empty()).items
            #expect(all.map(\.id.bits) == [1, 2] && all.map(\.buyer) == [scene.connect.town.buyer, ParticipantID(bits: 9)])
            let some = try await scene.connect.manage(
                ConnectAPI.listNetworks, query: ["account": AccountID(bits: 5).description], body: Empty())
            #expect(some.items.isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(5))) func addressesAreFreeOnceTheirInstanceIsGone() async throws {
        try await NetworkScene.with { scene in
            try await scene.create(1, "10.1.0.0/28")
            #expect(try await scene.launch(1, on: 1, address: "10.1.0.9").privateAddress == "10.1.0.9")
            let taken = await scene.problem { try await scene.launch(2, on: 1, address: "10.1.0.9") }
            #expect(taken?.rule == "network.address" && taken?.status == 409 && taken?.nearest == "10.1.0.10")
            for wrong in ["10.1.0.1", "10.1.0.15", "10.2.0.7"] {
                let problem = await scene.problem { try await scene.launch(2, on: 1, address: wrong) }
                #expect(problem?.rule == "network.address" && problem?.status == 422 && problem?.nearest != nil)
            }
            #expect(await scene.problem { try await scene.launch(2, on: 1, address: "x") }?.rule == "network.address")
            #expect(await scene.problem { try await scene.launch(2, on: nil, address: "10.1.0.9") }?.rule == "network.address")
            #expect(await scene.problem { try await scene.launch(2, on: 99) }?.rule == "network.unknown")
            for number in 2...11 as ClosedRange<UInt64> { try await scene.launch(number, on: 1) }
            let full = await scene.problem { try await scene.launch(12, on: 1) }
            #expect(full?.rule == "network.full" && full?.status == 507 && full?.nearest != nil)
            #expect(try await scene.show(1).addressesFree == 0)
            try await scene.settle()
            try await scene.act(.terminate, on: 1)
            #expect(await scene.problem { try await scene.launch(12, on: 1) }?.rule == "network.full", "its guest may still run")
            try await scene.settle()
            #expect(try await scene.launch(12, on: 1).privateAddress == "10.1.0.9")
            #expect(try await scene.instance(1).privateAddress == nil)
        }
    }

    /// Stopped or running, here or there: the address stays with the instance.
    @Test(.timeLimit(.minutes(5))) func theSameRequestAgainIsTheSame() async throws {
        try await NetworkScene.with { scene in
            let made = try await scene.create(1, key: "one")
            #expect(try await scene.create(1, key: "one").vni == made.vni)
            #expect(try await scene.create(1).created == made.created)
            #expect(await scene.problem { try await scene.create(1, "10.2.0.0/24") }?.rule == "network.exists")
            #expect(await scene.problem { try await scene.create(1) { $0.internet = false } }?.rule == "network.exists")
            let first = try await scene.launch(7, on: 1)
            #expect(try await scene.launch(7, on: 1).privateAddress == first.privateAddress)
            #expect(try await scene.launch(7, on: 1, address: first.privateAddress).host == first.host)
            #expect(await scene.problem { try await scene.launch(7, on: 1, address: "10.1.0.77") }?.rule == "instance.exists")
            #expect(await scene.problem { try await scene.launch(7, on: nil) }?.rule == "instance.exists")
            try await scene.settle()
            try await scene.act(.stop, on: 7)
            try await scene.settle()
            #expect(try await scene.instance(7).privateAddress == first.privateAddress)
            #expect(try await scene.show(1).instances == 1)
            try await scene.act(.start, on: 7)
            #expect(try await scene.instance(7).privateAddress == first.privateAddress)
        }
    }

    @Test(.timeLimit(.minutes(5))) func whatCannotBeIsRefusedWithWhatCan() async throws {
        try await NetworkScene.with { scene in
            let long = String(repeating: "n", count: 256)
            #expect(await scene.problem { try await scene.create(1, "10.1.0.1/24") }?.nearest == "10.1.0.0/24")
            #expect(await scene.problem { try await scene.create(1, "8.8.8.0/24") }?.rule == "network.cidr")
            #expect(await scene.problem { try await scene.create(1) { $0.name = long } }?.rule == "network.name")
            let nowhere = await scene.problem { try await scene.create(1) { $0.zone = "mars" } }
            #expect(nowhere?.rule == "network.zone" && nowhere?.nearest?.contains(Town.zone) == true)
            try await scene.create(1) { $0.zone = Town.zone }
            #expect(try await scene.launch(7, on: 1).zone == Town.zone)
            for number in 2...100 as ClosedRange<UInt64> { try await scene.create(number) }
            let many = await scene.problem { try await scene.create(101) }
            #expect(many?.rule == "network.count" && many?.status == 507)
            try await scene.create(101) { $0.account = AccountID(bits: 2) }
            try await scene.delete(50)
            #expect(try await scene.create(102).vni == 50)
        }
    }

    /// All at once: no address twice, and none left over.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func manyAtOnceGetOneAddressEach(_ kind: DatabaseKind) async throws {
        try await NetworkScene.with(kind) { scene in
            try await scene.create(1, "10.1.0.0/27")
            let found = await withTaskGroup(of: String?.self) { group in
                for number in 1...40 as ClosedRange<UInt64> {
                    group.addTask {
                        let wish = number % 3 == 0 ? "10.1.0.\(number % 20 + 4)" : nil
                        return try? await scene.launch(number, on: 1, address: wish, by: Int(number % 2)).privateAddress
                    }
                }
                return await group.reduce(into: [String]()) { all, one in if let one { all.append(one) } }
            }
            #expect(Set(found).count == found.count && found.count <= 27)
            for number in 41...80 as ClosedRange<UInt64> { _ = try? await scene.launch(number, on: 1) }
            #expect(try await scene.show(1).addressesFree == 0)
            #expect(try await scene.show(1).instances == 27)
            let all = try await scene.connect.manage(ConnectAPI.listInstances, query: ["limit": "100"], body: Empty()).items
            #expect(Set(all.compactMap(\.privateAddress)).count == 27)
        }
    }

    @Test(.timeLimit(.minutes(5))) func aGangAndAReservationHaveTheirAddresses() async throws {
        try await NetworkScene.with { scene in
            try await scene.create(1)
            let gang = [
                scene.request(1, on: 1), scene.request(2, on: 1, address: "10.1.0.4"), scene.request(3, on: nil), scene.request(4, on: 1),
            ]
            let views = try await scene.connect.call(
                ConnectAPI.createInstanceGang, as: scene.buyers[0], body: CreateInstanceGang(instances: gang)
            ).instances
            #expect(views.map(\.privateAddress) == ["10.1.0.5", "10.1.0.4", views[2].privateAddress, "10.1.0.6"])
            #expect(views[2].privateAddress?.hasPrefix("10.77.") == true && views[2].network == nil)

            let until = SystemTime().now() + .seconds(600)
            let held = try await scene.connect.call(
                ConnectAPI.createInstanceReservation, as: scene.buyers[0],
                body: CreateInstanceReservation(instances: [scene.request(5, on: 1)], until: until))
            #expect(try await scene.launch(6, on: 1).privateAddress == "10.1.0.8", "10.1.0.7 is held")
            #expect(try await scene.show(1).instances == 5)
            #expect(try await scene.connect.service.violations() == [])
            let path = ["reservation": held.id.description]
            let taken = try await scene.connect.call(
                ConnectAPI.confirmInstanceReservation, as: scene.buyers[0], path: path, body: Empty())
            #expect(taken.instances.map(\.privateAddress) == ["10.1.0.7"])
        }
    }

    @Test(.timeLimit(.minutes(5))) func theBuyersLastContractIsTheEndOfItsNetworks() async throws {
        try await NetworkScene.with(.sqlite, hosts: 1) {
            ($0.retentionSeconds, $0.networkRetentionSeconds) = (1, 1)
        } _: { scene in
            try await scene.create(1)
            try await scene.create(2, by: 2)
            try await scene.launch(7, on: 2, by: 2)
            try await scene.settle()
            scene.connect.exchange.end(ContractID(bits: 3), because: "over")
            let path = ["network": NetworkID(bits: 2).description]
            try await eventually("the instance is gone, and then the network") {
                try await scene.settle()
                return try await scene.connect.manage(ConnectAPI.showNetwork, path: path, body: Empty()).state == .deleted
            }
            scene.connect.exchange.end(ContractID(bits: 1), because: "over")
            try await eventually("the first contract has ended") {
                await refusal { _ = try await scene.connect.capacity(as: scene.buyers[0]) } == "contract.ended"
            }
            #expect(try await scene.show(1, by: 1).state == .available, "its buyer has another contract")
        }
    }
}

/// What hosts are told of networks and what they tell.
@Suite struct NetworkHostTests {
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func peersComeAndGoWithInstances(_ kind: DatabaseKind) async throws {
        try await NetworkScene.with(kind, hosts: 3) { scene in
            try await scene.create(1)
            try await scene.launch(1, on: 1, host: 0)
            try await scene.settle()
            let alone = try #require(try await scene.network(1, on: 0))
            let revision = try await scene.intents(of: 0).revision
            try await scene.launch(2, on: 1, host: 0)
            #expect(try await scene.network(1, on: 0)?.generation == alone.generation, "the same hosts")

            // A host that waits is told at once.
            let latest = try await scene.intents(of: 0).revision
            async let told = scene.intents(of: 0, after: latest, wait: 10)
            try await scene.launch(3, on: 1, host: 2)
            let page = try await told
            #expect(page.networks?.first?.peers == ["10.99.0.3"] && !page.full)
            #expect(page.networks?.first?.generation ?? 0 > alone.generation)
            let there = try #require(try await scene.intents(of: 2, after: revision).networks?.first)
            #expect(there.peers == ["10.99.0.1"] && there.generation == page.networks?.first?.generation)
            #expect(try await scene.intents(of: 1, after: revision).isEmpty, "a host that is not on it hears nothing")
            try await scene.launch(4, on: 1, host: 1)
            #expect(try await scene.network(1, on: 0)?.peers == ["10.99.0.2", "10.99.0.3"])
            try await scene.settle()

            try await scene.act(.terminate, on: 3)
            #expect(try await scene.network(1, on: 0)?.peers == ["10.99.0.2", "10.99.0.3"], "it may still run")
            try await scene.settleMachines()
            #expect(try await scene.network(1, on: 0)?.peers == ["10.99.0.2"])
            let gone = try #require(try await scene.network(1, on: 2))
            #expect(gone.desired == .absent && gone.peers == [])
            // What it said before counts for nothing.
            try await scene.report([scene.seen(there, .absent)], from: 2)
            #expect(try await scene.network(1, on: 2)?.desired == .absent)
            // It comes back before the host has let go.
            try await scene.launch(5, on: 1, host: 2)
            #expect(try await scene.network(1, on: 2)?.desired == .present)
            try await scene.report([scene.seen(gone, .absent)], from: 2)
            #expect(try await scene.network(1, on: 2)?.desired == .present, "it was told otherwise since")
            try await scene.settle()
            try await scene.act(.terminate, on: 5)
            try await scene.settle()
            #expect(try await scene.network(1, on: 2) == nil)
            #expect(try await scene.show(1).hosts?.map(\.host).count == 2)
        }
    }

    @Test(.timeLimit(.minutes(5))) func whatAHostCannotDoIsSeen() async throws {
        try await NetworkScene.with { scene in
            try await scene.create(1)
            try await scene.launch(1, on: 1, host: 0)
            let intent = try #require(try await scene.network(1, on: 0))
            let reason = StateReason(code: "Server.network.link", message: "no such device")
            try await scene.report([scene.seen(intent, .failed, reason)], from: 0)
            #expect(try await scene.show(1).hosts?.first?.reason == reason)
            #expect(try await scene.show(1).hosts?.first?.observed == .failed)
            try await scene.settle()
            #expect(try await scene.show(1).hosts?.first?.reason == nil)
            try await scene.report(
                [NetworkObservation(network: NetworkID(bits: 77), generation: 1, state: .present, reason: nil, at: SystemTime().now())],
                from: 0)
        }
    }

    /// On a host without a tunnel nobody on a network is placed, and the refusal says so.
    @Test(.timeLimit(.minutes(5))) func withoutATunnelThereAreNoNetworks() async throws {
        try await NetworkScene.with(hosts: 2, bare: 1) { scene in
            try await scene.create(1)
            for number in 1...6 as ClosedRange<UInt64> {
                #expect(try await scene.launch(number, on: 1).host == scene.hosts[0].id)
            }
            let refused = await scene.problem { try await scene.launch(7, on: 1, host: 1) }
            #expect(refused?.rule == "placement.capacity" && refused?.detail.contains("1 by tunnel") == true)
            #expect(refused?.nearest?.isEmpty == false)
            #expect(try await scene.launch(7, on: nil, host: 1).host == scene.hosts[1].id)
            let hello = NetworkScene.hello(1, tunnel: "10.99.0.22", mtu: 1_400)
            _ = try await scene.connect.call(ConnectAPI.hello, as: scene.hosts[1].credential, body: hello)
            #expect(try await scene.launch(8, on: 1, host: 1).network == NetworkID(bits: 1))
            let near = try #require(try await scene.network(1, on: 0))
            #expect(near.peers == ["10.99.0.22"] && near.mtu == 1_350, "the narrowest of them")
            let revision = try await scene.intents(of: 0).revision
            let moved = NetworkScene.hello(1, tunnel: "10.99.0.23")
            _ = try await scene.connect.call(ConnectAPI.hello, as: scene.hosts[1].credential, body: moved)
            let told = try await scene.intents(of: 0, after: revision).networks?.first
            #expect(told?.peers == ["10.99.0.23"] && told?.mtu == 1_450 && told?.generation ?? 0 > near.generation)
            _ = try await scene.connect.call(ConnectAPI.hello, as: scene.hosts[1].credential, body: moved)
            #expect(try await scene.network(1, on: 0)?.generation == told?.generation, "nothing new")
            for wrong in [NetworkScene.hello(1, tunnel: "nowhere"), NetworkScene.hello(1, tunnel: "10.99.0.2", mtu: 1)] {
                #expect(
                    await scene.problem {
                        _ = try await scene.connect.call(ConnectAPI.hello, as: scene.hosts[1].credential, body: wrong)
                    }?.rule == "node.tunnel")
            }
        }
    }

    /// Packets for two hosts with one address would go to either: the second one has no networks, and says why.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func anAddressIsOneHosts(_ kind: DatabaseKind) async throws {
        try await NetworkScene.with(kind) { scene in
            func hello(_ host: Int, _ tunnel: String) async throws {
                _ = try await scene.connect.call(
                    ConnectAPI.hello, as: scene.hosts[host].credential, body: NetworkScene.hello(host, tunnel: tunnel))
            }
            func tunnel(_ host: Int) async throws -> TunnelView? {
                try await scene.connect.manage(
                    ConnectAPI.showHost, path: ["host": scene.hosts[host].id.description], body: Empty()
                ).tunnel
            }
            try await scene.create(1)
            try await scene.launch(1, on: 1, host: 0)
            try await scene.launch(2, on: 1, host: 1)
            #expect(try await scene.network(1, on: 0)?.peers == ["10.99.0.2"])
            // The same in other digits. It is welcome, and keeps what it runs.
            try await hello(1, "10.99.000.1")
            #expect(try await scene.instance(2).host == scene.hosts[1].id)
            #expect(try await scene.network(1, on: 0)?.peers == [], "nothing is sent there that is for another")
            let refused = try #require(try await tunnel(1)?.refusal)
            #expect(refused.rule == "host.tunnel" && refused.message.contains("10.99.0.1, which is that of host n0"))
            #expect(refused.nearest?.contains("--tunnel-address") == true)
            #expect(try await tunnel(0) == TunnelView(address: "10.99.0.1", refusal: nil))
            #expect(await scene.problem { try await scene.launch(3, on: 1, host: 1) }?.rule == "placement.capacity")
            #expect(try await scene.launch(4, on: nil, host: 1).host == scene.hosts[1].id)

            // Once the first has another, it is the second's.
            try await hello(0, "10.99.0.9")
            #expect(try await tunnel(1) == TunnelView(address: "10.99.0.1", refusal: nil))
            #expect(try await scene.network(1, on: 0)?.peers == ["10.99.0.1"])
            try await scene.launch(5, on: 1, host: 1)
            try await hello(1, "10.99.0.1")
            #expect(try await tunnel(1)?.refusal == nil, "its own again")
        }
    }

    @Test(.timeLimit(.minutes(5))) func aRetiredHostsAddressIsFree() async throws {
        try await NetworkScene.with { scene in
            _ = try await scene.connect.call(
                ConnectAPI.hello, as: scene.hosts[1].credential, body: NetworkScene.hello(1, tunnel: "10.99.0.1"))
            let path = ["host": scene.hosts[1].id.description]
            #expect(try await scene.connect.manage(ConnectAPI.showHost, path: path, body: Empty()).tunnel?.refusal != nil)
            _ = try await scene.connect.manage(
                ConnectAPI.retireHost, path: ["host": scene.hosts[0].id.description], body: Empty())
            #expect(
                try await scene.connect.manage(ConnectAPI.showHost, path: path, body: Empty()).tunnel
                    == TunnelView(address: "10.99.0.1", refusal: nil))
        }
    }

    /// It keeps network and address, and both hosts are on the network while it moves.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func aMoveKeepsNetworkAndAddress(_ kind: DatabaseKind) async throws {
        try await NetworkScene.with(kind) { scene in
            try await scene.create(1)
            try await scene.launch(1, on: 1, host: 1)
            try await scene.act(.terminate, on: 1)
            try await scene.settle()
            // Not the lowest, so that a new one would be another.
            let before = try await scene.launch(2, on: 1, address: "10.1.0.40") { $0.placement = nil }
            try await scene.settle()
            let here = try #require(scene.hosts.firstIndex { $0.id == before.host })
            let there = 1 - here
            _ = try await scene.connect.manage(
                ConnectAPI.drainHost, path: ["host": scene.hosts[here].id.description], body: DrainHost(reason: "a fan", mayRestart: true))
            try await eventually("it is to move") { try await scene.network(1, on: there) != nil }
            #expect(try await scene.network(1, on: there)?.peers == ["10.99.0.\(here + 1)"])
            try await eventually("it runs there") {
                try await scene.settleMachines()
                let view = try await scene.instance(2)
                return view.host == scene.hosts[there].id && view.state == .running
            }
            // The host it left has let go of it.
            try await scene.settleMachines()
            let after = try await scene.instance(2)
            #expect(after.privateAddress == "10.1.0.40" && after.network == NetworkID(bits: 1) && after.macAddress == before.macAddress)
            #expect(try await scene.network(1, on: here)?.desired == .absent)
            #expect(try await scene.network(1, on: there)?.peers == [])
            try await scene.settle()
            #expect(try await scene.network(1, on: here) == nil)
            #expect(try await scene.show(1).hosts?.map(\.host) == [scene.hosts[there].id])
        }
    }

    /// Callers that do what comes to their minds, several at once: memory is what the tables say.
    @Test(.timeLimit(.minutes(3)), arguments: DatabaseKind.allCases) func memoryIsWhatTheTablesSay(_ kind: DatabaseKind) async throws {
        try await NetworkScene.with(kind, hosts: 3) { scene in
            var generator = SeededGenerator(seed: 12)
            for round in 0..<6 {
                let choices = (0..<16).map { _ in
                    (
                        UInt64.random(in: 1...10, using: &generator), UInt64.random(in: 1...3, using: &generator),
                        Int.random(in: 0..<10, using: &generator)
                    )
                }
                await withTaskGroup(of: Void.self) { group in
                    for (number, network, choice) in choices {
                        group.addTask {
                            switch choice {
                            case 0, 1: _ = try? await scene.create(network, "10.1.0.0/28")
                            case 2..<5: _ = try? await scene.launch(number + UInt64(round) * 10, on: network, host: Int(number % 3))
                            case 5: _ = try? await scene.act(.terminate, on: number + UInt64(max(0, round - 1)) * 10)
                            case 6: _ = try? await scene.delete(network)
                            case 7: _ = try? await scene.settleNetworks()
                            default: _ = try? await scene.settle()
                            }
                        }
                    }
                }
                let found = try await scene.connect.service.violations()
                #expect(found == [], "round \(round)")
            }
        }
    }
}
