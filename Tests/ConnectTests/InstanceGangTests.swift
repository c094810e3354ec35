import CloudAPI
import CloudClient
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Several instances at once, and room that is held for them.
@Suite struct InstanceGangTests {
    private let apart = PlacementTerms(groups: [GroupTerm(name: "members", rule: .apart)])

    private func launch(
        _ numbers: ClosedRange<UInt64>, _ terms: PlacementTerms?, by buyer: PlacementScene.Buyer, in scene: PlacementScene
    ) async throws -> [InstanceView] {
        try await scene.connect.call(
            ConnectAPI.createInstanceGang, as: buyer.credential,
            body: CreateInstanceGang(instances: numbers.map { scene.spec($0, terms) })
        ).instances
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func aGangComesWholeOrNotAtAll(_ kind: DatabaseKind) async throws {
        try await PlacementScene.with(on: kind, hosts: ["a", "b", "c"].map { PlacementScene.hello($0) }) { scene in
            let buyer = try await scene.buyer(1, lots: 5)
            let problem = await scene.problem { _ = try await launch(1...4, apart, by: buyer, in: scene) }
            #expect(problem?.rule == "placement.capacity" && problem?.facts?["placed"] == .number(3))
            #expect(problem?.nearest?.contains("without group members") == true)
            #expect(try await scene.connect.capacity(as: buyer.credential).instances == 0, "nothing is left of it")
            let made = try await launch(1...3, apart, by: buyer, in: scene)
            #expect(Set(made.compactMap(\.host)).count == 3 && made.map(\.id) == (1...3).map { InstanceID(bits: $0) })
            let again = try await launch(1...3, apart, by: buyer, in: scene)
            #expect(again.map(\.privateAddress) == made.map(\.privateAddress), "the same request")
            #expect(await refusal { _ = try await launch(3...4, nil, by: buyer, in: scene) } == "instance.exists")
            let volume = await scene.problem { _ = try await launch(4...6, nil, by: buyer, in: scene) }
            #expect(volume?.rule == "contract.volume" && volume?.facts?["needed"] == .number(3_000), "of all three together")
            let twice = CreateInstanceGang(instances: [scene.spec(7), scene.spec(7)])
            #expect(
                await refusal { _ = try await scene.connect.call(ConnectAPI.createInstanceGang, as: buyer.credential, body: twice) }
                    == "gang.members")
            #expect(try await scene.connect.service.violations() == [])
        }
    }

    private func reserve(
        _ numbers: ClosedRange<UInt64>, for span: Span, by buyer: PlacementScene.Buyer, in scene: PlacementScene
    ) async throws -> InstanceReservationView {
        try await scene.connect.call(
            ConnectAPI.createInstanceReservation, as: buyer.credential,
            body: CreateInstanceReservation(instances: numbers.map { scene.spec($0, apart) }, until: SystemTime().now() + span))
    }

    private func show(
        _ id: InstanceReservationID, by buyer: PlacementScene.Buyer, in scene: PlacementScene
    ) async throws -> InstanceReservationView {
        try await scene.connect.call(
            ConnectAPI.showInstanceReservation, as: buyer.credential, path: ["reservation": id.description], body: Empty())
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func reservedRoomIsHeldConfirmedOrGivenBack(_ kind: DatabaseKind) async throws {
        try await PlacementScene.with(on: kind, hosts: ["a", "b"].map { PlacementScene.hello($0) }) { scene in
            let buyer = try await scene.buyer(1, lots: 2)
            let stranger = try await scene.buyer(2, as: ParticipantID(bits: 77))
            let held = try await reserve(1...2, for: .minutes(10), by: buyer, in: scene)
            #expect(held.state == .held && held.places.count == 2 && Set(held.places.map(\.host)).count == 2)
            try await scene.connect.service.rebuild()
            #expect(try await scene.connect.service.violations() == [])
            #expect(await refusal { _ = try await scene.launch(3, by: buyer) } == "contract.volume", "its volume is taken up")
            #expect(await refusal { _ = try await scene.launch(1, by: buyer, apart) } == "instance.exists", "it is confirmed, not launched")
            #expect(await refusal { _ = try await show(held.id, by: stranger, in: scene) } == "reservation.unknown")
            let path = ["reservation": held.id.description]
            let confirmed = try await scene.connect.call(
                ConnectAPI.confirmInstanceReservation, as: buyer.credential, path: path, body: Empty())
            #expect(confirmed.instances.compactMap(\.host) == held.places.map(\.host))
            #expect(try await show(held.id, by: buyer, in: scene).state == .confirmed)
            #expect(try await scene.connect.capacity(as: buyer.credential).instances == 2)
            #expect(
                await refusal {
                    _ = try await scene.connect.call(
                        ConnectAPI.confirmInstanceReservation, as: buyer.credential, path: path, body: Empty())
                } == "reservation.over")
            try await scene.settle()
            #expect(try await scene.connect.service.violations() == [])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func roomThatNobodyConfirmsComesBack(_ kind: DatabaseKind) async throws
    {
        try await PlacementScene.with(on: kind, hosts: [PlacementScene.hello("a"), PlacementScene.hello("b")]) { scene in
            let buyer = try await scene.buyer(1, lots: 2)
            let late = await scene.problem { _ = try await reserve(1...1, for: .days(3), by: buyer, in: scene) }
            #expect(late?.rule == "reservation.until" && late?.nearest?.hasPrefix("until ") == true)
            let short = try await reserve(1...2, for: .seconds(2), by: buyer, in: scene)
            try await eventually("it is given back") { try await show(short.id, by: buyer, in: scene).state == .expired }
            #expect(try await scene.connect.capacity(as: buyer.credential).used == .zero)
            let long = try await reserve(1...2, for: .minutes(5), by: buyer, in: scene)
            let released = try await scene.connect.call(
                ConnectAPI.releaseInstanceReservation, as: buyer.credential, path: ["reservation": long.id.description], body: Empty())
            #expect(released.state == .released && released.places.isEmpty)
            let all = try await scene.connect.call(ConnectAPI.listInstanceReservations, as: buyer.credential, body: Empty()).items
            #expect(Set(all.map(\.state)) == [.expired, .released])
            _ = try await launch(1...2, apart, by: buyer, in: scene)
            #expect(try await scene.connect.service.violations() == [])
        }
    }
}
