import CloudAPI
import CloudClient
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Whatever was asked for and came to pass, the tables say it: what is read from them decides as what was kept in memory.
@Suite struct PlacementRebuildTests {
    private static func terms(_ generator: inout SeededGenerator) -> PlacementTerms {
        var terms = PlacementTerms()
        let domains: [PlacementDomain] = [.host, .rack, .pod]
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: terms.groups = [GroupTerm(name: "apart", rule: .apart, domain: .host)]
        case 1: terms.groups = [GroupTerm(name: "near", rule: .together, domain: .rack)]
        case 2: terms.groups = [GroupTerm(name: "even", rule: .spread, domain: .rack, maxSkew: 2)]
        case 3: terms.numa = true
        case 4: terms.gpu = GPUTerm(count: 1, milliEach: [1_000, 500, 250].randomElement(using: &generator))
        case 5: terms.avoiding = ["h1"]
        case 6:
            terms.groups = [
                GroupTerm(name: "both", rule: .apart, domain: domains.first), GroupTerm(name: "near", rule: .together, domain: .rack),
            ]
        default: break
        }
        if Bool.random(using: &generator) { terms.firmness = .interruptible }
        terms.priority = Int64.random(in: -3...3, using: &generator)
        return terms
    }

    private static let probes: [(PlacementTerms, Resources)] = {
        var generator = SeededGenerator(seed: 99)
        return (0..<24).map { number in
            (terms(&generator), Resources(milliCPU: 500 << Int64(number % 5), memoryMiB: 1_024 << Int64(number % 5), diskMiB: 2_048))
        }
    }()

    /// How each probe would fare with each buyer.
    private func answers(_ scene: PlacementScene, _ buyers: [PlacementScene.Buyer]) async throws -> [String] {
        var answers: [String] = []
        for buyer in buyers {
            for (terms, resources) in Self.probes {
                do {
                    let forecast = try await scene.explain(terms, resources, by: buyer)
                    answers.append("\(forecast.fitting) \(forecast.fallen) \(forecast.rule ?? "") \(forecast.preemption?.instances ?? 0)")
                } catch let problem as ProblemDocument {
                    answers.append(problem.rule)
                }
            }
        }
        return answers
    }

    @Test(.timeLimit(.minutes(3)), arguments: DatabaseKind.allCases) func whatIsStoredDecidesAlike(_ kind: DatabaseKind) async throws {
        let hosts = (0..<6).map {
            PlacementScene.hello("h\($0)", rack: "r\($0 % 3)", cells: $0 % 2 == 0 ? 2 : 0, gpus: $0 < 2 ? 2 : 0)
        }
        let racks = { (connect: ConnectFixture) async throws in
            for rack in 0..<3 {
                _ = try await connect.manage(ConnectAPI.putRack, path: ["rack": "r\(rack)"], body: RackSettings(pod: "pod-1"))
            }
        }
        try await PlacementScene.with(on: kind, hosts: hosts, racks) { scene in
            var lot = Town.lot
            lot.milliGPU = 1_000
            let rich = scene.connect.exchange.define(21) { $0.lot = lot }
            let alone = scene.connect.exchange.define(22) { product in
                product.lot = lot
                product.tenancy = .exclusive
            }
            let buyers = [
                try await scene.buyer(1, lots: 40, of: rich), try await scene.buyer(2, lots: 40, of: alone, as: ParticipantID(bits: 77)),
            ]
            var generator = SeededGenerator(seed: kind == .sqlite ? 3 : 4)
            for round in 0..<4 {
                for _ in 0..<14 {
                    let number = UInt64.random(in: 1...40, using: &generator)
                    let buyer = buyers[Int(number % 2)]
                    switch Int.random(in: 0..<9, using: &generator) {
                    case 0..<5: _ = try? await scene.launch(number, by: buyer, Self.terms(&generator))
                    case 5: try? await scene.act(.stop, on: number, by: buyer)
                    case 6: try? await scene.act(.start, on: number, by: buyer)
                    case 7: try? await scene.act(.terminate, on: number, by: buyer)
                    default: try await scene.settle()
                    }
                }
                #expect(try await scene.connect.service.violations() == [], "round \(round)")
                let before = try await answers(scene, buyers)
                try await scene.connect.service.rebuild()
                #expect(try await answers(scene, buyers) == before, "round \(round)")
                #expect(try await scene.connect.service.violations() == [], "round \(round), rebuilt")
            }
        }
    }
}
