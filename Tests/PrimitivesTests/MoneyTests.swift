import Foundation
import Primitives
import Testing

@Suite struct HalfEvenTests {
    @Test(
        arguments: [
            (0, 2, 0), (1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 2, 4), (-1, 2, 0), (-3, 2, -2), (-5, 2, -2), (-7, 2, -4), (1, 3, 0), (2, 3, 1),
            (4, 3, 1),
            (-1, 3, 0), (-2, 3, -1), (10, 4, 2), (14, 4, 4), (9, 1, 9), (-9, 1, -9), (25, 10, 2), (35, 10, 4), (26, 10, 3), (-25, 10, -2),
            (-26, 10, -3),
        ] as [(Int, Int, Int)])
    func halvesGoToTheEvenNeighbour(_ dividend: Int, _ divisor: Int, _ quotient: Int) {
        #expect(Int128(dividend).dividedHalfEven(by: Int128(divisor)) == Int128(quotient))
    }

    /// The nearest integer, the even one of two that are equally near; and rounding has no preferred direction.
    @Test func itIsTheNearestInteger() {
        var generator = SeededGenerator(seed: 6)
        for _ in 0..<20_000 {
            let dividend = Int128(Int64.random(in: -1_000_000...1_000_000, using: &generator))
            let divisor = Int128(Int64.random(in: 1...1_000, using: &generator))
            let quotient = dividend.dividedHalfEven(by: divisor)
            let twiceTheError = (dividend - quotient * divisor) * 2
            #expect(twiceTheError.magnitude <= divisor.magnitude)
            if twiceTheError.magnitude == divisor.magnitude { #expect(quotient % 2 == 0) }
            #expect((-dividend).dividedHalfEven(by: divisor) == -quotient)
        }
    }
}

@Suite struct LotHourChargeTests {
    @Test func wholeHoursAreExact() throws {
        var charge = LotHourCharge()
        let charged1 = charge.charge(pricePerLotHour: 40_000, lots: 2, for: .hours(1))
        #expect(charged1 == 80_000)
        #expect(charge.remainder == 0)
        let charged2 = charge.charge(pricePerLotHour: 40_000, lots: 2, for: .minutes(1))
        #expect(charged2 == 1_333)
        #expect(charge.remainder != 0)
    }

    /// However a stretch of time is cut, the charges of the pieces add up to the charge of the whole.
    @Test func manySmallChargesAreOneLargeOne() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<300 {
            let price = Int64.random(in: 0...5_000_000, using: &generator)
            let lots = Int64.random(in: 1...500, using: &generator)
            var pieces = LotHourCharge()
            var total = Span.zero
            var sum: Int64 = 0
            for _ in 0..<Int.random(in: 1...60, using: &generator) {
                let span = Span(microseconds: .random(in: 0...7_200_000_000, using: &generator))
                let piece = pieces.charge(pricePerLotHour: price, lots: lots, for: span)
                sum += try #require(piece)
                total = total + span
                #expect(pieces.remainder.magnitude <= 1_800_000_000, "the remainder is at most half a micro-unit")
                var whole = LotHourCharge()
                let atOnce = whole.charge(pricePerLotHour: price, lots: lots, for: total)
                #expect(sum == atOnce || pieces.remainder.magnitude == 1_800_000_000)
                // Exactly: what was charged plus what is carried is price × lots × time.
                let accounted = Int128(sum) * 3_600_000_000 + Int128(pieces.remainder)
                let owed = Int128(price) * Int128(lots) * Int128(total.microseconds)
                #expect(accounted == owed)
            }
        }
    }

    /// The remainder survives a restart: a charge that goes on from it differs in nothing.
    @Test func itGoesOnFromAStoredRemainder() throws {
        var kept = LotHourCharge()
        var stored: Int64 = 0
        for step in 1...100 as ClosedRange<Int64> {
            var restarted = LotHourCharge(remainder: stored)
            let span = Span(microseconds: step * 777_777)
            let charge = restarted.charge(pricePerLotHour: 40_001, lots: 3, for: span)
            let again = try #require(charge)
            let same = kept.charge(pricePerLotHour: 40_001, lots: 3, for: span)
            #expect(same == again)
            stored = restarted.remainder
        }
        #expect(kept.remainder == stored)
    }

    @Test func whatDoesNotFitIsRefusedAndChangesNothing() {
        var charge = LotHourCharge(remainder: 5)
        let charged3 = charge.charge(pricePerLotHour: .max, lots: 2, for: .hours(1))
        #expect(charged3 == nil)
        #expect(charge.remainder == 5)
        let charged4 = charge.charge(pricePerLotHour: .max, lots: 1, for: .hours(1))
        #expect(charged4 == .max)
    }
}

@Suite struct MoneyTextTests {
    @Test(
        arguments: [
            (0, "0.00"), (1, "0.000001"), (10, "0.00001"), (10_000, "0.01"), (12_345, "0.012345"), (1_500_000, "1.50"),
            (1_234_567_890, "1234.56789"),
            (-1, "-0.000001"), (-1_500_000, "-1.50"), (.max, "9223372036854.775807"), (.min, "-9223372036854.775808"),
        ] as [(Int64, String)])
    func decimals(_ amount: Int64, _ text: String) {
        #expect(decimalText(microUnits: amount) == text)
        if amount != .min { #expect(microUnits(decimal: text) == amount) }
    }

    @Test func everyAmountReadsBack() throws {
        var generator = SeededGenerator(seed: 8)
        for shift in 0..<63 {
            let amount = Int64(truncatingIfNeeded: generator.next()) >> Int64(shift)
            #expect(microUnits(decimal: decimalText(microUnits: amount)) == amount)
            let money = Money(microUnits: amount, .usd)
            #expect(try JSONDecoder().decode(Money.self, from: JSONEncoder().encode(money)) == money)
        }
    }

    @Test(
        arguments: [("3", 3_000_000), ("0.03", 30_000), ("-0.5", -500_000), ("007.1", 7_100_000), ("0.100000", 100_000)]
            as [(String, Int64)])
    func looserTextIsRead(_ text: String, _ amount: Int64) { #expect(microUnits(decimal: text) == amount) }

    @Test(arguments: [
        "", "-", ".", ".5", "1.", "1.2.3", "1,5", "+1", "--1", "1e3", "0x1", " 1", "1 ", "1.1234567", "9223372036855",
        "9223372036854.775808", "٣", "1.٣",
        "nan",
    ])
    func otherTextIsNoAmount(_ text: String) { #expect(microUnits(decimal: text) == nil) }

    @Test(arguments: ["", "EU", "EURO", "eur", "E1R", "ÄÖÜ", " EU"]) func otherTextIsNoCurrency(_ text: String) {
        #expect(Currency(text) == nil)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(Currency.self, from: JSONEncoder().encode(text)) }
    }

    @Test func moneyIsWrittenWithItsCurrency() throws {
        let chf = try #require(Currency("CHF"))
        #expect(Money(microUnits: 1_500_000, chf).description == "1.50 CHF")
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(try String(decoding: encoder.encode(Money(microUnits: 7, .eur)), as: UTF8.self) == #"{"currency":"EUR","microUnits":7}"#)
        #expect(throws: DecodingError.self, "money is never a floating-point number") {
            try JSONDecoder().decode(Money.self, from: Data(#"{"currency":"EUR","microUnits":1.5}"#.utf8))
        }
    }
}
