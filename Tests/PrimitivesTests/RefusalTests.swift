import Foundation
import Primitives
import Testing

@Suite struct RefusalTests {
    static let full = Refusal(
        "market.cash", .funds, "12.00 EUR are needed and 3.00 are there.", facts: ["needed": 12_000_000, "currency": "EUR", "below": -1],
        nearest: "1 lot at 0.04 EUR")

    @Test func everythingSurvivesTheWire() throws {
        for refusal in [Self.full, Refusal("a.b", .invalid, "No.")] {
            #expect(try JSONDecoder().decode(Refusal.self, from: JSONEncoder().encode(refusal)) == refusal)
        }
    }

    @Test(arguments: Refusal.Category.allCases) func everyCategorySurvives(_ category: Refusal.Category) throws {
        let refusal = Refusal("a.b", category, "No.")
        #expect(try JSONDecoder().decode(Refusal.self, from: JSONEncoder().encode(refusal)).category == category)
    }

    @Test func factsAreBareNumbersAndTexts() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(try String(decoding: encoder.encode(Self.full.facts), as: UTF8.self) == #"{"below":-1,"currency":"EUR","needed":12000000}"#)
        let read = try JSONDecoder().decode([String: Refusal.Fact].self, from: Data(#"{"a":9007199254740993,"b":"7"}"#.utf8))
        #expect(read == ["a": .number(9_007_199_254_740_993), "b": .text("7")], "numbers stay exact, digits in quotes stay text")
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([Refusal.Fact].self, from: Data("[true]".utf8)) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([Refusal.Fact].self, from: Data("[1.5]".utf8)) }
    }

    @Test func peopleReadTheRuleAndTheNearest() {
        #expect(Self.full.description == "12.00 EUR are needed and 3.00 are there. [market.cash] Nearest: 1 lot at 0.04 EUR")
        #expect(Refusal("a.b", .invalid, "No.").description == "No. [a.b]")
    }

    @Test func aMissingMemberIsAnError() {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Refusal.self, from: Data(#"{"rule":"a.b","category":"invalid","facts":{}}"#.utf8))
        }
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Refusal.self, from: Data(#"{"rule":"a.b","category":"unheard","message":"No.","facts":{}}"#.utf8))
        }
    }
}

@Suite struct SeededGeneratorTests {
    /// The reference sequence of SplitMix64 for the seed 1234567.
    @Test func itIsSplitMix64() {
        var generator = SeededGenerator(seed: 1_234_567)
        let expected: [UInt64] = [
            6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ]
        #expect(expected.map { _ in generator.next() } == expected)
    }

    @Test func equalSeedsGiveEqualNumbers() {
        var (a, b, c) = (SeededGenerator(seed: 1), SeededGenerator(seed: 1), SeededGenerator(seed: 2))
        let numbers = (0..<100).map { _ in a.next() }
        #expect((0..<100).map { _ in b.next() } == numbers)
        #expect((0..<100).map { _ in c.next() } != numbers)
        #expect(Set(numbers).count == 100)
    }
}
