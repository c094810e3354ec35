import CloudAPI
import Foundation
import Primitives
import TestSupport
import Testing

@Suite struct OpenAPITests {
    static let names = ["exchange", "manage", "connect"]

    @Test func thereIsOneDocumentForEachProgram() throws {
        #expect(try OpenAPI.documents().map(\.name) == Self.names)
        #expect(try ExchangeAPI.openAPI() == document("exchange").data)
        #expect(try ManageAPI.openAPI() == document("manage").data)
        #expect(try ConnectAPI.openAPI() == document("connect").data)
    }

    @Test(arguments: names) func theSameEndpointsMakeTheSameBytes(_ name: String) throws {
        #expect(try document(name).data == document(name).data)
        #expect(try document(name).data.last == UInt8(ascii: "\n"))
    }

    /// `make openapi` writes these files.
    @Test(arguments: names) func docsAreFresh(_ name: String) throws {
        let kept = try? Data(contentsOf: Repository.root.appending(path: "docs/api/\(name).json"))
        #expect(try kept == document(name).data, "docs/api/\(name).json is stale: run make openapi")
    }

    @Test(arguments: names) func everyReferenceResolves(_ name: String) throws {
        let root = try document(name).root
        var references: [String] = []
        visit(root) { object in if let reference = object["$ref"] as? String { references.append(reference) } }
        #expect(references.count > 50)
        for reference in Set(references) { #expect(resolve(reference, in: root) != nil, "\(reference) leads nowhere") }
    }

    /// Nothing is described that is not used.
    @Test(arguments: names) func everyComponentIsUsed(_ name: String) throws {
        let root = try document(name).root
        var references: Set<String> = []
        visit(root) { object in if let reference = object["$ref"] as? String { references.insert(reference) } }
        let components = try #require(root["components"] as? [String: Any])
        for kind in ["schemas", "responses", "parameters", "headers"] {
            for component in (components[kind] as? [String: Any] ?? [:]).keys {
                #expect(references.contains("#/components/\(kind)/\(component)"), "\(kind)/\(component) is not used")
            }
        }
    }

    @Test(arguments: names) func everyOperationIsComplete(_ name: String) throws {
        let root = try document(name).root
        let paths = try #require(root["paths"] as? [String: [String: [String: Any]]])
        let operations = paths.flatMap { path, methods in methods.map { (path, $0.key, $0.value) } }
        #expect(operations.count == EndpointListTests.programs.first { $0.folder.lowercased() == name }?.all.count)
        for (path, method, operation) in operations {
            let id = try #require(operation["operationId"] as? String)
            let parameters = operation["parameters"] as? [[String: Any]] ?? []
            let inPath = parameters.filter { $0["in"] as? String == "path" }.compactMap { $0["name"] as? String }
            #expect(path.matches(of: /{(\w+)}/).map { String($0.1) } == inPath, "\(id): path parameters")
            #expect(parameters.filter { $0["in"] as? String == "path" }.allSatisfy { $0["required"] as? Bool == true }, "\(id)")
            let takesKey = parameters.contains { $0["$ref"] as? String == "#/components/parameters/IdempotencyKey" }
            #expect(takesKey == (method != "get"), "\(id): every mutation takes an idempotency key, and nothing else does")
            let responses = try #require(operation["responses"] as? [String: [String: Any]])
            #expect(responses["default"]?["$ref"] as? String == "#/components/responses/Problem", "\(id)")
            #expect(responses.keys.filter { $0.hasPrefix("2") }.count == 1, "\(id)")
        }
    }

    @Test func whoMayCallDecidesTheSecurity() throws {
        let exchange = try document("exchange")
        #expect(exchange.security("createProduct") == [["bearer"]])
        #expect(exchange.security("signNode") == [["mutualTLS"]])
        #expect(exchange.security("placeOrder") == [["bearer"], ["mutualTLS"]])
        #expect(exchange.security("enrol") == [])
        let schemes = try #require((exchange.root["components"] as? [String: Any])?["securitySchemes"] as? [String: [String: Any]])
        #expect(schemes["bearer"]?["type"] as? String == "http")
        #expect(schemes["mutualTLS"]?["type"] as? String == "mutualTLS")
    }

    /// The examples are what the server would take.
    @Test func everyExampleDecodes() throws {
        var decoded = 0
        for name in Self.names {
            let document = try document(name)
            for endpoint in try #require(EndpointListTests.programs.first { $0.folder.lowercased() == name }).all {
                guard endpoint.request != Empty.self else { continue }
                let body = try #require(document.operation(endpoint.operation)?["requestBody"] as? [String: Any], "\(endpoint.operation)")
                let media = (body["content"] as? [String: Any])?["application/json"] as? [String: Any]
                let example = try JSONSerialization.data(withJSONObject: try #require(media?["example"]))
                #expect(throws: Never.self, "\(endpoint.operation)") { try WireJSON.decode(endpoint.request, from: example) }
                decoded += 1
            }
        }
        #expect(decoded > 20)
    }

    @Test func clashesAreRefused() {
        let endpoint = AnyEndpoint(ExchangeAPI.listOrders)
        #expect(throws: (any Error).self) { try OpenAPI.document(title: "Twice", endpoints: [endpoint, endpoint]) }
        let unknown = AnyEndpoint(
            Endpoint("peek", .get, "/v1/peeks/{peek}", "Peek.", access: [.operator], request: Empty.self, response: Empty.self))
        #expect(throws: (any Error).self) { try OpenAPI.document(title: "Unknown parameter", endpoints: [unknown]) }
    }

    /// With the validator from PyPI, where the machine has it (`pip install openapi-spec-validator`).
    @Test(.enabled(if: Validator.isInstalled), arguments: names) func theValidatorAcceptsIt(_ name: String) throws {
        let (status, output) = try Validator.run(on: document(name).data)
        #expect(status == 0, "\(output)")
    }

    @Test(.enabled(if: Validator.isInstalled)) func theValidatorRefusesWhatIsWrong() throws {
        let (status, _) = try Validator.run(on: Data(#"{"openapi": "3.1.0", "info": {"title": "x"}, "paths": {}}"#.utf8))
        #expect(status != 0)
    }
}

/// One document, read back.
private struct ReadDocument {
    let data: Data
    let root: [String: Any]

    func operation(_ id: String) -> [String: Any]? {
        let paths = root["paths"] as? [String: [String: [String: Any]]] ?? [:]
        return paths.values.flatMap(\.values).first { $0["operationId"] as? String == id }
    }

    /// The names of the schemes of each alternative.
    func security(_ id: String) -> [[String]]? { (operation(id)?["security"] as? [[String: Any]])?.map { $0.keys.sorted() } }
}

private func document(_ name: String) throws -> ReadDocument {
    let data = try #require(try OpenAPI.documents().first { $0.name == name }).json
    return ReadDocument(data: data, root: try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any]))
}

private func visit(_ value: Any, _ body: ([String: Any]) -> Void) {
    if let object = value as? [String: Any] {
        body(object)
        for child in object.values { visit(child, body) }
    } else if let list = value as? [Any] {
        for child in list { visit(child, body) }
    }
}

private func resolve(_ reference: String, in root: [String: Any]) -> Any? {
    reference.split(separator: "/").dropFirst().reduce(root as Any?) { value, key in (value as? [String: Any])?[String(key)] }
}

private enum Validator {
    private static let script = """
        import json, sys
        from openapi_spec_validator import validate
        validate(json.load(sys.stdin))
        """

    static let isInstalled = (try? run(["-c", "import openapi_spec_validator"], input: Data()))?.status == 0

    static func run(on document: Data) throws -> (status: Int32, output: String) { try run(["-c", script], input: document) }

    private static func run(_ arguments: [String], input: Data) throws -> (status: Int32, output: String) {
        let file = FileManager.default.temporaryDirectory.appending(path: "bourse-openapi-\(UUID().uuidString).json")
        try input.write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try runToEnd(["python3"] + arguments, inputFile: file.path)
    }
}
