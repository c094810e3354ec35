import Foundation
import Primitives
import Testing

@Suite struct IDTests {
    @Test func theTextHasThePrefixAnd17Digits() {
        #expect(ContractID(bits: 0).description == "ctr-00000000000000000")
        #expect(ContractID(bits: 0xAF31_C229_9D04_BE17).description == "ctr-0af31c2299d04be17")
        #expect(InstanceID(bits: .max).description == "i-0ffffffffffffffff")
        #expect(ZoneID(bits: 1).description == "zone-00000000000000001")
    }

    @Test func everyIdentifierReadsBack() throws {
        var generator = SeededGenerator(seed: 1)
        for shift in 0..<64 {
            for _ in 0..<20 {
                let id = OrderID(bits: generator.next() >> UInt64(shift))
                #expect(OrderID(id.description) == id)
                #expect(id.description.count == 21)
                #expect(try JSONDecoder().decode([OrderID].self, from: JSONEncoder().encode([id])) == [id])
            }
        }
    }

    @Test(arguments: [
        "", "-", "ord", "ord-", "ord-0", "ord-0af31c2299d04be1", "ord-0af31c2299d04be177", "ord-1af31c2299d04be17", "ord-0AF31C2299D04BE17",
        "ctr-0af31c2299d04be17", "ord_0af31c2299d04be17", "ord-0af31c2299d04be1g", "ord-0af31c2299d04be1 ", " ord-0af31c2299d04be1",
        "ORD-0af31c2299d04be17",
        "ord-0af31c2299d04be١", "ord-+af31c2299d04be17", "or-00af31c2299d04be17",
    ])
    func otherTextIsNoIdentifier(_ text: String) throws {
        #expect(OrderID(text) == nil)
        let error = #expect(throws: DecodingError.self) { try JSONDecoder().decode(OrderID.self, from: JSONEncoder().encode(text)) }
        guard case .dataCorrupted(let context) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.debugDescription.contains("ord-"), "the message shows the form: \(context.debugDescription)")
    }

    /// Order of identifiers, of their bits and of their texts are one.
    @Test func orderIsThatOfTheText() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<1_000 {
            let (a, b) = (HostID(bits: generator.next()), HostID(bits: generator.next()))
            #expect((a < b) == (a.description < b.description))
            #expect((a < b) == (a.bits < b.bits))
        }
    }

    @Test func identifiersAreKeysOfJSONObjects() throws {
        let lots = [ProductID(bits: 1): 5, ProductID(bits: 2): 7]
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(lots)
        #expect(String(decoding: data, as: UTF8.self) == #"{"prd-00000000000000001":5,"prd-00000000000000002":7}"#)
        #expect(try JSONDecoder().decode([ProductID: Int].self, from: data) == lots)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([OrderID: Int].self, from: data) }
    }

    /// What a source gives is what the identifier holds, for every kind.
    @Test func aSourceNamesAnyKind() {
        struct Fixed: IDSource { func nextBits() -> UInt64 { 42 } }
        let order: OrderID = Fixed().next()
        #expect(order.bits == 42)
        #expect(Fixed().next(TradeID.self) == TradeID(bits: 42))
    }

    @Test func prefixesAreDistinct() {
        let prefixes = [
            ParticipantKind.prefix, ProductKind.prefix, SeriesKind.prefix, OrderKind.prefix, TradeKind.prefix, ContractKind.prefix,
            PostingKind.prefix,
            AccountKind.prefix, UserKind.prefix, TokenKind.prefix, DatacenterKind.prefix, ZoneKind.prefix, PodKind.prefix, HostKind.prefix,
            ChargeKind.prefix, InstanceKind.prefix, ReservationKind.prefix, CapacityReservationKind.prefix, ImageKind.prefix,
            VolumeKind.prefix, KeyPairKind.prefix,
            NetworkInterfaceKind.prefix, SubnetKind.prefix, NetworkKind.prefix,
        ]
        #expect(Set(prefixes).count == prefixes.count)
    }
}
