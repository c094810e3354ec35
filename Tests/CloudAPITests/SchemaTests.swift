import CloudAPI
import Foundation
import Primitives
import Testing

/// What the schema maker makes of each form a wire type can have, seen through a document with one endpoint.
@Suite struct SchemaTests {
    enum Colour: String, Codable, Sendable, CaseIterable { case red, darkBlue = "dark-blue" }

    struct Inner: Codable, Sendable { var flag: Bool }

    struct Everything: Codable, Sendable {
        var text: String
        var number: Int64
        var perhaps: Int64?
        var list: [Inner]
        var perhapsList: [String]?
        var map: [String: Inner]
        var colour: Colour
        var order: OrderID
        var at: Instant
        var money: Money
        var facts: [String: Refusal.Fact]?
        var period: Period
    }

    @Test func namesTypesAndOptionals() throws {
        let schemas = try schemas(of: Everything.self)
        let everything = try #require(schemas["SchemaTestsEverything"])
        #expect(
            everything["required"] as? [String] == ["text", "number", "list", "map", "colour", "order", "at", "money", "period"],
            "optional members are not required, the others are, in the order of the type")
        let properties = try #require(everything["properties"] as? [String: [String: Any]])
        #expect(properties.count == 12)
        #expect(properties["text"] as? [String: String] == ["type": "string"])
        #expect(properties["number"] as? [String: String] == ["type": "integer", "format": "int64"])
        #expect(properties["perhaps"] as? [String: String] == ["type": "integer", "format": "int64"])
        #expect(properties["list"]?["type"] as? String == "array")
        #expect(properties["list"]?["items"] as? [String: String] == ["$ref": "#/components/schemas/SchemaTestsInner"])
        #expect((properties["perhapsList"]?["items"] as? [String: String]) == ["type": "string"])
        #expect(properties["map"]?["additionalProperties"] as? [String: String] == ["$ref": "#/components/schemas/SchemaTestsInner"])
        #expect(properties["at"]?["format"] as? String == "date-time")
        #expect((properties["facts"]?["additionalProperties"] as? [String: [String]]) == ["type": ["integer", "string"]])
        #expect(schemas["SchemaTestsInner"]?["properties"] as? [String: [String: String]] == ["flag": ["type": "boolean"]])
        #expect(schemas["SchemaTestsColour"]?["enum"] as? [String] == ["red", "dark-blue"])
        #expect(schemas["Period"]?["required"] as? [String] == ["start", "end"])
        #expect((schemas["Money"]?["properties"] as? [String: [String: Any]])?["currency"]?["pattern"] as? String == "^[A-Z]{3}$")
    }

    @Test func aGenericTypeIsNamedByItsArgument() throws {
        let page = try #require(try schemas(of: Page<Inner>.self)["SchemaTestsInnerPage"])
        #expect(page["required"] as? [String] == ["items"])
    }

    @Test func theEmptyObjectHasNoMembers() throws {
        #expect(try schemas(of: Empty.self)["Empty"] as? [String: String] == ["type": "object"])
    }

    /// The pattern of an identifier accepts what the type writes, and nothing of another kind.
    @Test func patternsOfIdentifiersMatchIdentifiers() throws {
        let properties = try #require(try schemas(of: Everything.self)["SchemaTestsEverything"]?["properties"] as? [String: [String: Any]])
        let pattern = try Regex(try #require(properties["order"]?["pattern"] as? String))
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            let bits = generator.next()
            #expect(OrderID(bits: bits).description.wholeMatch(of: pattern) != nil)
            #expect(TradeID(bits: bits).description.wholeMatch(of: pattern) == nil)
            #expect(("x" + OrderID(bits: bits).description).firstMatch(of: pattern) == nil)
        }
    }

    struct Node: Codable, Sendable { var children: [Node] }
    struct Floating: Codable, Sendable { var price: Double }
    enum Bare: Codable, Sendable, CaseIterable { case one }
    struct WithBare: Codable, Sendable { var bare: Bare }

    @Test func formsWithoutASchemaAreRefused() {
        #expect(throws: (any Error).self, "recursion") { try schemas(of: Node.self) }
        #expect(throws: (any Error).self, "a floating-point number has no place on the wire") { try schemas(of: Floating.self) }
        #expect(throws: (any Error).self, "an enum without text values") { try schemas(of: WithBare.self) }
    }

    private func schemas<T: Codable & Sendable>(of type: T.Type) throws -> [String: [String: Any]] {
        let endpoint = Endpoint("probe", .get, "/v1/probe", "Probe.", access: [.operator], request: Empty.self, response: type)
        let data = try OpenAPI.document(title: "Probe", endpoints: [AnyEndpoint(endpoint)]).json()
        let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        return try #require((root["components"] as? [String: Any])?["schemas"] as? [String: [String: Any]])
    }
}
