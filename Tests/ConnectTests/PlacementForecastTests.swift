import CloudAPI
import CloudClient
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// What would happen, and how much still fits.
@Suite struct PlacementForecastTests {
    @Test(.timeLimit(.minutes(5))) func aForecastIsWhatHappens() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a"), PlacementScene.hello("b")]) { scene in
            let buyer = try await scene.buyer(1, lots: 12)
            let stranger = try await scene.buyer(2, as: ParticipantID(bits: 77))
            let forecast = try await scene.explain(by: buyer)
            #expect(forecast.fitting == 2 && forecast.hosts == 2 && forecast.rule == nil && forecast.pod == "pod-1")
            let made = try await scene.launch(1, by: buyer)
            #expect(made.host == forecast.host && made.placement == forecast.terms)
            let large = Resources(milliCPU: 2_000, memoryMiB: 40_000, diskMiB: 2_048)
            let refused = try await scene.explain(nil, large, by: buyer)
            #expect(refused.host == nil && refused.rule == "placement.capacity")
            #expect(refused.fallen == [FallenHosts(rule: "memoryMiB", hosts: 2)] && !refused.changes.isEmpty)
            let problem = await scene.problem { _ = try await scene.launch(2, by: buyer, nil, large) }
            #expect(problem?.detail == refused.message && problem?.nearest == refused.nearest)
            let volume = try await scene.explain(nil, Town.lot * 12, by: buyer)
            #expect(volume.rule == "contract.volume" && volume.host == nil)
            #expect(try await scene.connect.capacity(as: buyer.credential).instances == 1, "nothing was made")
            // The operator asks for a contract; a buyer for its own only.
            let asked = ExplainPlacement(contract: buyer.contract.id, resources: Town.lot)
            #expect(try await scene.connect.manage(ConnectAPI.explainPlacement, body: asked).terms == forecast.terms)
            #expect(
                await refusal { _ = try await scene.connect.call(ConnectAPI.explainPlacement, as: stranger.credential, body: asked) }
                    == "contract.unknown")
            #expect(
                await refusal {
                    _ = try await scene.connect.call(
                        ConnectAPI.simulatePlacement, as: buyer.credential,
                        body: SimulatePlacement(mix: [MixShape(name: "s", resources: Town.lot)]))
                } != nil, "only the operator simulates")
        }
    }

    /// Groups are the buyer's, and are called as the buyer calls them.
    @Test(.timeLimit(.minutes(5))) func groupsAreNamed() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let buyer = try await scene.buyer(1)
            let apart = PlacementTerms(groups: [GroupTerm(name: "db", rule: .apart)])
            _ = try await scene.launch(1, by: buyer, apart)
            let forecast = try await scene.explain(apart, by: buyer)
            #expect(forecast.changes.contains("without group db") && forecast.nearest == "without group db")
            let other = PlacementTerms(groups: [GroupTerm(name: "db", rule: .together)])
            let problem = await scene.problem { _ = try await scene.explain(other, by: buyer) }
            #expect(problem?.detail.contains("roup db ") == true, "\(String(describing: problem))")
        }
    }

    /// The operator may have mistyped a contract; a contract that presents itself is only late.
    @Test(.timeLimit(.minutes(5))) func aContractThatIsNotThereIsNotWaitedFor() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let buyer = try await scene.buyer(1)
            let wrong = ExplainPlacement(contract: ContractID(bits: 0xabc), resources: Town.lot)
            let problem = await scene.problem { _ = try await scene.connect.manage(ConnectAPI.explainPlacement, body: wrong) }
            #expect(problem?.status == 404 && problem?.rule == "contract.unknown")
            #expect(problem?.nearest?.contains(buyer.contract.id.description) == true)
            let late = try scene.connect.certificate(scene.connect.exchange.sell(2, lots: 1)).credential
            let answer = await scene.problem {
                _ = try await scene.connect.call(ConnectAPI.explainPlacement, as: late, body: ExplainPlacement(resources: Town.lot))
            }
            #expect(answer == nil || answer?.status == 503, "it has come meanwhile, or has not reached this datacenter yet")
        }
    }

    @Test(.timeLimit(.minutes(5))) func firmInstancesMayPreempt() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let soft = try await scene.buyer(1, of: scene.connect.exchange.define(21) { $0.firmness = .interruptible })
            let firm = try await scene.buyer(2)
            for number in 1...8 as ClosedRange<UInt64> {
                _ = try await scene.launch(number, by: soft, PlacementTerms(priority: number == 3 ? -1 : 0))
            }
            let forecast = try await scene.explain(by: firm)
            #expect(forecast.preemption?.instances == 1 && forecast.host == nil)
            #expect(try await scene.explain(by: soft).preemption == nil)
            var patient = scene.spec(9)
            patient.preempt = false
            let asked = patient
            let problem = await scene.problem {
                _ = try await scene.connect.call(ConnectAPI.createInstance, as: firm.credential, body: asked)
            }
            #expect(problem?.facts?["preemptible"] == .number(1))
            #expect(problem?.nearest?.contains("after pre-empting 1 interruptible") == true)
            // Asked for, notice is given: to one, once, of the lowest priority.
            for _ in 0..<2 { #expect(await refusal { _ = try await scene.launch(9, by: firm) } == "placement.reclaiming") }
            let views = try await scene.connect.call(ConnectAPI.listInstances, as: soft.credential, body: Empty()).items
            #expect(views.filter { $0.interruption != nil }.map(\.id) == [InstanceID(bits: 3)])
        }
    }

    /// Counted by hand: lots that fit each host, one after the other.
    @Test(.timeLimit(.minutes(5))) func aSimulationEndsWhereCountingDoes() async throws {
        let sizes = [(8_000, 32_768), (16_000, 16_384), (4_000, 65_536)].map {
            Resources(milliCPU: $0.0, memoryMiB: $0.1, diskMiB: 2_000_000)
        }
        let hosts = sizes.enumerated().map { PlacementScene.hello("h\($0)", resources: $1) }
        try await PlacementScene.with(hosts: hosts) { scene in
            let buyer = try await scene.buyer(1)
            _ = try await scene.launch(1, by: buyer)
            let views = try await scene.connect.manage(ConnectAPI.listHosts, body: Empty()).items
            let fits = views.map { ($0.capacity - $0.allocated).wholeLots(of: Town.lot) }.reduce(0, +)
            let mix = SimulatePlacement(mix: [MixShape(name: "lot", resources: Town.lot)])
            let outcome = try await scene.connect.manage(ConnectAPI.simulatePlacement, body: mix)
            #expect(outcome.instances == fits && outcome.hosts == 3 && outcome.endedAt == "lot")
            #expect(outcome.binding == "memoryMiB", "processors are promised eight times")
            let memory = try #require(outcome.components?.first { $0.name == "memoryMiB" })
            #expect(memory.hostsShort == 3 && memory.free < 3 * Town.lot.memoryMiB)
            let two = SimulatePlacement(
                mix: [
                    MixShape(name: "small", resources: Resources(milliCPU: 500, memoryMiB: 1_024, diskMiB: 2_048), share: 3),
                    MixShape(name: "large", resources: Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 4_096), share: 1),
                ], most: 8)
            let bounded = try await scene.connect.manage(ConnectAPI.simulatePlacement, body: two)
            #expect(bounded.shapes == [MixCount(name: "small", instances: 6), MixCount(name: "large", instances: 2)])
            #expect(bounded.endedAt == nil && bounded.binding == nil)
            #expect(try await scene.connect.capacity(as: buyer.credential).instances == 1, "nothing was made")
            #expect(
                await refusal { _ = try await scene.connect.manage(ConnectAPI.simulatePlacement, body: SimulatePlacement(mix: [])) }
                    == "placement.mix")
        }
    }
}
