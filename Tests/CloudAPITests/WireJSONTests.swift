import CloudAPI
import Foundation
import Primitives
import Testing

@Suite struct WireJSONTests {
    struct Inner: Codable, Sendable, Equatable { var name: String }
    struct Outer: Codable, Sendable, Equatable {
        var b: Int64
        var a: Inner
        var list: [Inner]
        var flag: Bool
        var order: OrderID?
    }
    static let good = #"{"a":{"name":"x/y"},"b":1,"flag":true,"list":[{"name":"z"}]}"#

    @Test func equalValuesHaveEqualBytes() throws {
        let value = Outer(b: 1, a: Inner(name: "x/y"), list: [Inner(name: "z")], flag: true)
        #expect(try WireJSON.text(value) == Self.good, "keys sorted, slashes as they are, nothing for nil")
        #expect(try WireJSON.decode(Outer.self, from: Data(Self.good.utf8)) == value)
    }

    struct Broken: Sendable {
        var json: String
        /// What the explanation must say.
        var says: String
    }

    @Test(arguments: [
        Broken(json: #"{"a":{"name":"x"},"flag":true,"list":[]}"#, says: "the field 'b' is missing"),
        Broken(json: #"{"a":{},"b":1,"flag":true,"list":[]}"#, says: "the field 'a.name' is missing"),
        Broken(json: #"{"a":{"name":"x"},"b":"1","flag":true,"list":[]}"#, says: "the field 'b' is not a whole number"),
        Broken(json: #"{"a":{"name":1},"b":1,"flag":true,"list":[]}"#, says: "the field 'a.name' is not a string"),
        Broken(json: #"{"a":{"name":"x"},"b":1,"flag":"yes","list":[]}"#, says: "the field 'flag' is not true or false"),
        Broken(json: #"{"a":{"name":"x"},"b":1,"flag":true,"list":{}}"#, says: "the field 'list' is not a list"),
        Broken(json: #"{"a":[],"b":1,"flag":true,"list":[]}"#, says: "the field 'a' is not an object of the expected form"),
        Broken(json: #"{"a":{"name":"x"},"b":1,"flag":true,"list":[{"name":"y"},{"name":null}]}"#, says: "the field 'list.1.name' is null"),
        Broken(
            json: #"{"a":{"name":"x"},"b":1,"flag":true,"list":[],"order":"trd-1"}"#,
            says: "the field 'order' has a value that is not allowed: 'trd-1'"),
        Broken(json: #"{"a":"#, says: "the body is not valid JSON"),
        Broken(json: "", says: "the body is not valid JSON"),
        Broken(json: "\u{0}", says: "the body is not valid JSON"),
    ])
    func anErrorNamesTheField(_ broken: Broken) throws {
        let error = #expect(throws: (any Error).self) { try WireJSON.decode(Outer.self, from: Data(broken.json.utf8)) }
        let explanation = WireJSON.explain(try #require(error))
        #expect(explanation.hasPrefix(broken.says), "\(explanation)")
    }

    @Test func otherErrorsAreExplainedWithoutDetail() {
        struct Other: Error {}
        #expect(WireJSON.explain(Other()) == "the body could not be read")
    }

    @Test func aRefusalCrossesTheWireWhole() throws {
        let refusal = Refusal(
            "market.cash", .funds, "12.00 EUR are needed and 3.00 are there.", facts: ["needed": 12_000_000, "currency": "EUR"],
            nearest: "1 lot")
        let document = ProblemDocument(refusal, status: 402, title: "Payment Required", request: "r1")
        #expect(document.type == "urn:bourse:problem:market.cash")
        let read = try WireJSON.decode(ProblemDocument.self, from: WireJSON.encode(document))
        #expect(read.refusal == refusal)
        #expect(read.status == 402)
        #expect(read.request == "r1")
    }

    @Test func noFactsAreNotWritten() throws {
        let text = try WireJSON.text(ProblemDocument(Refusal("a.b", .invalid, "No."), status: 422, title: "Unprocessable Content"))
        #expect(!text.contains("facts"))
        #expect(!text.contains("nearest"))
        #expect(try WireJSON.decode(ProblemDocument.self, from: Data(text.utf8)).refusal == Refusal("a.b", .invalid, "No."))
    }

    /// Every category survives; a server that sends another one is not misread.
    @Test(arguments: Refusal.Category.allCases) func everyCategoryHasItsOwnText(_ category: Refusal.Category) throws {
        let document = ProblemDocument(Refusal("a.b", category, "No."), status: 400, title: "x")
        #expect(try WireJSON.decode(ProblemDocument.self, from: WireJSON.encode(document)).category == category)
    }

    @Test func numbersThatNoReaderKeepsAreFound() {
        func found(_ text: String) -> String? { WireJSON.oversizedNumber(in: Data(text.utf8)) }
        #expect(found(#"{"a":9223372036854775807}"#) == "9223372036854775807")
        #expect(found(#"{"a":[1,-9007199254740993]}"#) == "-9007199254740993")
        #expect(found("9007199254740993") == "9007199254740993")
        #expect(found(#"{"a":9007199254740992,"b":-9007199254740992,"c":true,"d":null,"e":false}"#) == nil)
        #expect(found(#"{"a":"9223372036854775807 \" 9223372036854775807","b":1.5e300}"#) == nil)
        #expect(found(#"{"a":00000000000000000000001}"#) == nil)
        #expect(found("") == nil)
    }
}
