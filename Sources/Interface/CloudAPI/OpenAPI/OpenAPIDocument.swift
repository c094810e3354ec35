public import Foundation

/// One OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0). Equal endpoints make equal bytes.
public struct OpenAPIDocument: Sendable {
    let root: JSONNode

    public func json() -> Data { Data((root.text() + "\n").utf8) }

    /// - Throws: when two operations share an id or an address, or a type has a form that no schema can be made of.
    init(title: String, summary: String?, servers: [JSONNode], endpoints: [AnyEndpoint]) throws {
        try Self.checkDistinct(endpoints.map(\.operation), "operation id")
        try Self.checkDistinct(endpoints.map { "\($0.method.rawValue) \($0.path)" }, "address")
        var maker = SchemaMaker()
        var paths: [(path: String, operations: [JSONNode.Member])] = []
        for endpoint in endpoints {
            let operation = JSONNode.Member(name: endpoint.method.rawValue.lowercased(), value: try OpenAPIOperation(endpoint, &maker).node)
            if let index = paths.firstIndex(where: { $0.path == endpoint.path }) {
                paths[index].operations.append(operation)
            } else {
                paths.append((endpoint.path, [operation]))
            }
        }
        let problem = try maker.describe(ProblemDocument.self).schema
        root = .members([
            "openapi": "3.1.0",
            "info": .members(["title": .text(title), "summary": summary.map(JSONNode.text), "version": "1", "license": Self.license]),
            "servers": servers.isEmpty ? nil : .array(servers),
            "paths": .object(paths.map { JSONNode.Member(name: $0.path, value: .object($0.operations)) }),
            "components": Self.components(maker.components, problem: problem),
        ])
    }

    private static let license: JSONNode = ["name": "Apache-2.0", "identifier": "Apache-2.0"]

    static func of(_ program: OpenAPI.Program) throws -> OpenAPIDocument {
        var servers: [JSONNode] = [
            ["url": .text("http://127.0.0.1:\(program.publicPort)"), "description": "Public listener: bearer tokens."]
        ]
        if let port = program.peerPort {
            servers.append(["url": .text("https://127.0.0.1:\(port)"), "description": "Peer listener: TLS 1.3 with a client certificate."])
        }
        return try OpenAPIDocument(title: program.title, summary: program.summary, servers: servers, endpoints: program.endpoints)
    }

    private static func components(_ schemas: [String: JSONNode], problem: JSONNode) -> JSONNode {
        [
            "schemas": .object(schemas.sorted { $0.key < $1.key }.map { JSONNode.Member(name: $0.key, value: $0.value) }),
            "responses": [
                "Problem": [
                    "description":
                        "An explained no: which rule refused, the numbers, and the nearest thing that would be allowed (RFC 9457).",
                    "headers": ["X-Request-Id": ["$ref": "#/components/headers/RequestID"]],
                    "content": ["application/problem+json": ["schema": problem]],
                ]
            ],
            "parameters": [
                "IdempotencyKey": [
                    "name": "Idempotency-Key", "in": "header",
                    "description":
                        "The same request with the same key is carried out once and answered with the same answer; a different request with it is refused (409).",
                    "schema": ["type": "string", "minLength": 1, "maxLength": 128],
                ]
            ],
            "headers": ["RequestID": ["description": "Names this answer in the server's log.", "schema": ["type": "string"]]],
            "securitySchemes": [
                "bearer": [
                    "type": "http", "scheme": "bearer",
                    "description": "On the public listener: the token of the operator, of a participant or of a user.",
                ],
                "mutualTLS": [
                    "type": "mutualTLS",
                    "description":
                        "On the peer listener: the identity certificate of a manage, connect or node, or a buyer's certificate of one contract.",
                ],
            ],
        ]
    }

    private static func checkDistinct(_ names: [String], _ what: String) throws {
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw SchemaMaker.Failure(description: "two endpoints have the \(what) \(name)")
        }
    }
}
