import CloudAPI
import CloudClient
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// What a launch may ask for, what its product promises, and that both are kept.
@Suite struct PlacementTermsTests {
    @Test(.timeLimit(.minutes(5))) func aProductsTermsCannotBeLoosened() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let plain = try await scene.buyer(1)
            let interruptible = try await scene.buyer(2, of: scene.connect.exchange.define(21) { $0.firmness = .interruptible })
            let exclusive = try await scene.buyer(3, of: scene.connect.exchange.define(22) { $0.tenancy = .exclusive })
            let looser: [(PlacementScene.Buyer, String, PlacementTerms)] = [
                (plain, "storage", PlacementTerms(storage: .nas)), (plain, "jurisdiction", PlacementTerms(jurisdiction: "SE")),
                (plain, "zone", PlacementTerms(zone: "elsewhere")), (plain, "kind", PlacementTerms(kind: .metal)),
                (plain, "largestOversubscription", PlacementTerms(largestOversubscription: .init(cpu: 32_000, memory: 1_000, disk: 2_000))),
                (plain, "tenancy", PlacementTerms(tenancy: TenancyTerms(host: TenancyTerm(.exclusive)))),
                (plain, "tenancy", PlacementTerms(tenancy: TenancyTerms(pod: TenancyTerm(.group)))),
                (interruptible, "firmness", PlacementTerms(firmness: .firm)),
                (exclusive, "tenancy", PlacementTerms(tenancy: TenancyTerms(host: TenancyTerm(.shared)))),
            ]
            for (number, (buyer, term, terms)) in looser.enumerated() {
                let problem = await scene.problem { _ = try await scene.launch(UInt64(number) + 100, by: buyer, terms) }
                #expect(problem?.rule == "placement.product-terms" && problem?.facts?["term"] == .text(term), "\(term)")
                #expect(problem?.facts?["promised"] != nil && problem?.facts?["wanted"] != nil && problem?.nearest != nil)
            }
            let invalid: [(String, PlacementTerms)] = [
                ("placement.priority", PlacementTerms(priority: 101)), ("placement.pod", PlacementTerms(pod: "p9")),
                ("placement.host", PlacementTerms(avoiding: ["n9"])), ("placement.gpu", PlacementTerms(gpu: GPUTerm(count: 0))),
                ("placement.group-name", PlacementTerms(groups: [GroupTerm(name: "", rule: .apart)])),
                ("placement.groups", PlacementTerms(groups: [GroupTerm(name: "g", rule: .spread, maxSkew: 0)])),
            ]
            for (rule, terms) in invalid {
                #expect(await refusal { _ = try await scene.launch(200, by: plain, terms) } == rule)
            }
            #expect(try await scene.connect.capacity(as: plain.credential).instances == 0)
            let view = try await scene.launch(1, by: interruptible)
            #expect(view.placement?.firmness == .interruptible && view.placement?.storage == .das)
            #expect(view.placement?.largestOversubscription?.cpu == 16_000, "the product's")
        }
    }

    /// A pod that promises more than a product allows is not for it, nor one on other storage or under another law.
    @Test(.timeLimit(.minutes(5))) func hostsThatAreNotAsPromisedAreLeftOut() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let strict = try await scene.buyer(1, of: scene.connect.exchange.define(21) { $0.largestOversubscription = 4_000 })
            let shared = try await scene.buyer(2, of: scene.connect.exchange.define(22) { $0.storage = .nas })
            for (number, buyer, rule) in [(1, strict, "oversubscription"), (2, shared, "storage")]
                as [(UInt64, PlacementScene.Buyer, String)]
            {
                let problem = await scene.problem { _ = try await scene.launch(number, by: buyer) }
                #expect(problem?.rule == "placement.capacity" && problem?.facts?[rule] == .number(1), "\(rule)")
            }
            let plain = try await scene.buyer(3)
            _ = try await scene.launch(3, by: plain)
            _ = try await scene.connect.manage(
                ConnectAPI.putZone, path: ["zone": Town.zone], body: ZoneSettings(jurisdiction: "SE"))
            let problem = await scene.problem { _ = try await scene.launch(4, by: plain) }
            #expect(problem?.facts?["jurisdiction"] == .number(1), "the zone says now that it is not in Germany")
            _ = try await scene.connect.manage(
                ConnectAPI.putZone, path: ["zone": Town.zone], body: ZoneSettings(jurisdiction: "DE"))
            #expect(try await scene.launch(4, by: plain).placement?.jurisdiction == "DE")
            #expect(try await scene.connect.service.violations() == [])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func exclusiveHostsAreSharedWithNobody(_ kind: DatabaseKind) async throws {
        try await PlacementScene.with(on: kind, hosts: [PlacementScene.hello("a"), PlacementScene.hello("b")]) { scene in
            let alone = try await scene.buyer(1, of: scene.connect.exchange.define(21) { $0.tenancy = .exclusive })
            let other = try await scene.buyer(2, as: ParticipantID(bits: 77))
            let first = try await scene.launch(1, by: alone)
            #expect(first.placement?.tenancy?.host?.sharing == .exclusive)
            #expect(try await scene.launch(2, by: alone).host == first.host, "its own may share it")
            let theirs = try await scene.launch(3, by: other)
            #expect(theirs.host != first.host)
            try await scene.connect.service.rebuild()
            let pinned = PlacementTerms(host: first.hostName)
            let problem = await scene.problem { _ = try await scene.launch(4, by: other, pinned) }
            #expect(problem?.facts?["tenancy.host"] == .number(1) && problem?.facts?["host"] == .number(1))
            let taken = PlacementTerms(host: theirs.hostName)
            #expect(await scene.problem { _ = try await scene.launch(5, by: alone, taken) }?.facts?["tenancy.host"] == .number(1))
        }
    }

    /// What a no offers is within the product, and speaks of what was asked for.
    @Test(.timeLimit(.minutes(5))) func whatANoOffersCanBeHad() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a"), PlacementScene.hello("b")]) { scene in
            let plain = try await scene.buyer(1)
            let exclusive = scene.connect.exchange.define(22) { $0.tenancy = .exclusive }
            let alone = try await scene.buyer(2, of: exclusive, as: ParticipantID(bits: 77))
            _ = try await scene.launch(1, by: plain, PlacementTerms(host: "a"))
            let taken = try await scene.explain(PlacementTerms(host: "a"), by: alone)
            #expect(taken.changes == ["host \(scene.hosts[1].id)"], "\(taken)")
            // Direct attached disks are a pool of their host alone, and were asked for as a pool.
            let pool = PlacementTerms(host: "a", tenancy: TenancyTerms(pool: TenancyTerm(.exclusive)), storage: .das)
            let forecast = try await scene.connect.manage(
                ConnectAPI.explainPlacement, body: ExplainPlacement(resources: Town.lot, placement: pool))
            #expect(forecast.changes.contains("shared instead of other terms of tenancy at the pool"), "\(forecast)")
            _ = try await scene.connect.manage(
                ConnectAPI.actOnHost, path: ["host": scene.hosts[1].id.description], body: ActOnHost(action: .cordon, reason: "test"))
            let closed = try await scene.explain(by: alone)
            #expect(closed.changes == [] && closed.nearest == "the same once a host is up that can take it", "\(closed)")
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func groupsLieTogetherOrApart(_ kind: DatabaseKind) async throws {
        let hosts = [("a", "r1"), ("b", "r1"), ("c", "r2")].map { PlacementScene.hello($0, rack: $1) }
        let racks = { (connect: ConnectFixture) async throws in
            for rack in ["r1", "r2"] {
                _ = try await connect.manage(ConnectAPI.putRack, path: ["rack": rack], body: RackSettings(pod: "pod-1"))
            }
        }
        try await PlacementScene.with(on: kind, hosts: hosts, racks) { scene in
            let buyer = try await scene.buyer(1)
            let apart = PlacementTerms(groups: [GroupTerm(name: "quorum", rule: .apart, domain: .rack)])
            let (one, two) = (try await scene.launch(1, by: buyer, apart), try await scene.launch(2, by: buyer, apart))
            let rack = { (view: InstanceView) in view.hostName == "c" ? "r2" : "r1" }
            #expect(rack(one) != rack(two))
            try await scene.connect.service.rebuild()
            let problem = await scene.problem { _ = try await scene.launch(3, by: buyer, apart) }
            #expect(problem?.facts?["apart"] == .number(3) && problem?.nearest == "without group quorum")
            let other = PlacementTerms(groups: [GroupTerm(name: "quorum", rule: .together, domain: .rack)])
            let conflict = await scene.problem { _ = try await scene.launch(3, by: buyer, other) }
            #expect(conflict?.rule == "placement.group-rule" && conflict?.detail.contains("Group quorum") == true)
            let theirs = try await scene.buyer(2, as: ParticipantID(bits: 77))
            _ = try await scene.launch(4, by: theirs, other)
            try await scene.act(.terminate, on: 1, by: buyer)
            try await scene.settle()
            #expect(rack(try await scene.launch(5, by: buyer, apart)) == rack(one))
            #expect(try await scene.connect.service.violations() == [])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func GPUsAndCellsAreGivenOnce(_ kind: DatabaseKind) async throws {
        let size = Resources(milliCPU: 8_000, memoryMiB: 32_768, diskMiB: 200_000)
        try await PlacementScene.with(on: kind, hosts: [PlacementScene.hello("a", resources: size, cells: 2, gpus: 2)]) { scene in
            var lot = Town.lot
            lot.milliGPU = 1_000
            let product = scene.connect.exchange.define(21) {
                $0.unitClass = "gpu-A100"
                $0.lot = lot
            }
            let buyer = try await scene.buyer(1, lots: 3, of: product)
            let whole = PlacementTerms(numa: true, gpu: GPUTerm(count: 1))
            let one = try await scene.launch(1, by: buyer, whole)
            #expect(one.gpus?.count == 1 && one.cell != nil && one.resources.milliGPU == 1_000)
            #expect(one.placement?.gpu?.models == ["A100"])
            #expect(
                await refusal { _ = try await scene.launch(9, by: buyer, PlacementTerms(gpu: GPUTerm(models: ["H100"], count: 1))) }
                    == "placement.product-terms")
            let told = try await scene.connect.call(
                ConnectAPI.intents, as: try #require(scene.hosts.first { $0.id == one.host }).credential, query: ["after": "0"],
                body: Empty())
            #expect(told.intents.map(\.gpus) == [one.gpus] && told.intents.map(\.cell) == [one.cell], "the node is told which")
            let half = PlacementTerms(gpu: GPUTerm(count: 1, milliEach: 500))
            let two = try await scene.launch(2, by: buyer, half)
            let three = try await scene.launch(3, by: buyer, half)
            #expect(two.gpus == three.gpus && two.gpus != one.gpus)
            #expect(try await scene.connect.capacity(as: buyer.credential).used.milliGPU == 2_000)
            try await scene.settle()
            try await scene.act(.stop, on: 1, by: buyer)
            try await scene.settle()
            try await scene.connect.service.rebuild()
            #expect(try await scene.connect.service.violations() == [])
            let taken = await scene.problem { _ = try await scene.launch(4, by: buyer, whole) }
            #expect(taken?.rule == "contract.volume", "a stopped instance counts under its contract")
            try await scene.act(.start, on: 1, by: buyer)
            let again = try await scene.connect.call(
                ConnectAPI.showInstance, as: buyer.credential, path: ["instance": one.id.description], body: Empty())
            #expect(again.gpus == one.gpus && again.cell != nil)
            #expect(try await scene.connect.service.violations() == [])
        }
    }

    /// The policy of a pod says which host is taken, from its next decision on and after a restart.
    @Test(.timeLimit(.minutes(5))) func aPodsPolicyAndRatiosCount() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a"), PlacementScene.hello("b")]) { scene in
            let buyer = try await scene.buyer(1)
            let first = try await scene.launch(1, by: buyer).host
            #expect(try await scene.launch(2, by: buyer).host == first, "packing")
            var settings = try await scene.connect.manage(ConnectAPI.showPod, path: ["pod": "pod-1"], body: Empty()).settings
            #expect(settings.policy == nil)
            settings.policy = .spreading
            settings.oversubscription.cpu = 1_000
            let changed = try await scene.connect.manage(ConnectAPI.putPod, path: ["pod": "pod-1"], body: settings)
            #expect(changed.settings.policy == .spreading)
            #expect(try await scene.launch(3, by: buyer).host != first, "spreading")
            try await scene.connect.service.rebuild()
            #expect(try await scene.launch(4, by: buyer).host != first)
            let forecast = try await scene.explain(nil, Resources(milliCPU: 9_000, memoryMiB: 1_024, diskMiB: 1_024), by: buyer)
            #expect(forecast.fallen == [FallenHosts(rule: "milliCPU", hosts: 2)], "8 processors, each promised once")
            let written = try await scene.connect.manage(ConnectAPI.exportTopology, body: Empty())
            #expect(written.zones.first?.pods?.first?.policy == .spreading)
        }
    }
}
