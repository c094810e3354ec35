import CloudAPI
import Connect
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Pods of bare metal: a machine is a host.
@Suite struct BareMetalTests {
    private static let size = Resources(milliCPU: 16_000, memoryMiB: 65_536, diskMiB: 400_000)

    private func makeMetal(_ connect: ConnectFixture) async throws {
        var settings = try await connect.manage(ConnectAPI.showPod, path: ["pod": "pod-1"], body: Empty()).settings
        settings.kind = .metal
        settings.profile = PodProfile(name: "r7")
        settings.oversubscription = OversubscriptionRatios(cpu: 1_000, memory: 1_000, disk: 1_000)
        _ = try await connect.manage(ConnectAPI.putPod, path: ["pod": "pod-1"], body: settings)
    }

    private func scene(_ kind: DatabaseKind, _ body: (PlacementScene, ProductView) async throws -> Void) async throws {
        let hosts = ["a", "b"].map { PlacementScene.hello($0, resources: Self.size) }
        try await PlacementScene.with(on: kind, hosts: hosts, notice: 3, makeMetal) { scene in
            let product = scene.connect.exchange.define(21) {
                $0.unitClass = "metal-r7"
                // A little less than a host has: hosts of one profile differ a little.
                $0.lot = Resources(milliCPU: 16_000, memoryMiB: 64_000, diskMiB: 390_000)
                $0.largestOversubscription = 1_000
            }
            try await body(scene, product)
            #expect(try await scene.connect.service.violations() == [])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func aMachineIsAHost(_ kind: DatabaseKind) async throws {
        try await scene(kind) { scene, product in
            let lot = product.definition.lot
            let buyer = try await scene.buyer(1, lots: 2, of: product)
            let other = try await scene.buyer(2, lots: 2, of: product, as: ParticipantID(bits: 77))
            let larger = lot + Resources(memoryMiB: 1)
            let small = await scene.problem { _ = try await scene.launch(9, by: buyer) }
            #expect(small?.rule == "instance.whole-host" && small?.nearest == lot.amounts)
            let large = await scene.problem { _ = try await scene.launch(9, by: buyer, nil, larger) }
            #expect(large?.rule == "instance.whole-host")
            #expect(await refusal { _ = try await scene.explain(nil, larger, by: buyer) } == "instance.whole-host")
            let one = try await scene.launch(1, by: buyer, nil, lot)
            #expect(one.placement?.kind == .metal)
            let two = try await scene.launch(2, by: other, nil, lot)
            #expect(one.host != two.host)
            try await scene.connect.service.rebuild()
            let full = await scene.problem { _ = try await scene.launch(3, by: buyer, nil, lot) }
            #expect(full?.rule == "placement.capacity" && full?.facts?["occupied"] == .number(2))
            try await scene.settle()
            try await scene.act(.stop, on: 2, by: other)
            try await scene.settle()
            let stopped = await scene.problem { _ = try await scene.launch(3, by: buyer, nil, lot) }
            #expect(stopped?.facts?["occupied"] == .number(2), "its disks are there")
            try await scene.act(.terminate, on: 2, by: other)
            try await scene.settle()
            #expect(try await scene.launch(3, by: buyer, nil, lot).host == two.host)
            let spent = await scene.problem { _ = try await scene.launch(4, by: buyer, nil, lot) }
            #expect(spent?.rule == "contract.volume" && spent?.nearest?.contains("at most") == false)
        }
    }

    /// Nobody keeps an interruptible host by switching its machine off, before the notice or in it.
    @Test(.timeLimit(.minutes(5)), arguments: [false, true]) func switchingOffKeepsNoHost(_ afterwards: Bool) async throws {
        try await scene(.sqlite) { scene, product in
            let lot = product.definition.lot
            let spot = scene.connect.exchange.define(22) {
                $0.unitClass = "metal-r7"
                $0.lot = lot
                $0.largestOversubscription = 1_000
                $0.firmness = .interruptible
            }
            let soft = try await scene.buyer(2, lots: 1, of: spot, as: ParticipantID(bits: 77))
            let firm = try await scene.buyer(1, lots: 2, of: product)
            _ = try await scene.launch(1, by: soft, nil, lot)
            _ = try await scene.launch(2, by: firm, nil, lot)
            try await scene.settle()
            if !afterwards {
                try await scene.act(.stop, on: 1, by: soft)
                try await scene.settle()
            }
            #expect(await refusal { _ = try await scene.launch(3, by: firm, nil, lot) } == "placement.reclaiming")
            if afterwards {
                try await scene.act(.stop, on: 1, by: soft)
                try await scene.settle()
            }
            try await eventually("its host is given up", within: .seconds(60)) {
                try await scene.settle()
                return (try? await scene.launch(3, by: firm, nil, lot)) != nil
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func virtualMachinesVolumesAndMovesAreNotForIt() async throws {
        try await scene(.sqlite) { scene, product in
            let plain = try await scene.buyer(2)
            let kind = await scene.problem { _ = try await scene.launch(1, by: plain) }
            #expect(kind?.rule == "placement.capacity" && kind?.facts?["kind"] == .number(2))
            let buyer = try await scene.buyer(1, lots: 2, of: product)
            let volume = await scene.problem {
                _ = try await scene.connect.call(
                    ConnectAPI.createVolume, as: buyer.credential,
                    body: CreateVolume(id: VolumeID(bits: 1), sizeMiB: 1_024, account: AccountID(bits: 1)))
            }
            #expect(volume?.rule == "volume.metal" && volume?.nearest != nil)
            // Nor a volume under another contract, beside a machine that is a host or brought to it.
            let machine = try await scene.launch(5, by: buyer, nil, product.definition.lot)
            #expect(machine.placement?.profile == "r7")
            let beside = CreateVolume(id: VolumeID(bits: 2), sizeMiB: 1_024, instance: machine.id, account: AccountID(bits: 1))
            let refused = await scene.problem {
                _ = try await scene.connect.call(ConnectAPI.createVolume, as: plain.credential, body: beside)
            }
            #expect(refused?.rule == "volume.metal")
            let foreign = scene.connect.exchange.define(22) {
                $0.unitClass = "metal-r9"
                $0.lot = product.definition.lot
                $0.largestOversubscription = 1_000
            }
            let other = try await scene.buyer(3, of: foreign)
            let profile = await scene.problem { _ = try await scene.launch(6, by: other, nil, product.definition.lot) }
            #expect(profile?.facts?["profile"] == .number(2), "as large, and not what was bought")
            let moves = await scene.problem {
                _ = try await scene.connect.manage(
                    ConnectAPI.planRebalancing, path: ["pod": "pod-1"], body: RebalancePod(goal: .consolidate))
            }
            #expect(moves?.rule == "rebalancing.metal")
            let none = await scene.problem {
                _ = try await scene.connect.manage(ConnectAPI.showRebalancing, path: ["pod": "pod-1"], body: Empty())
            }
            #expect(none?.rule == "rebalancing.unknown", "what was begun before can be looked at")
        }
    }
}
