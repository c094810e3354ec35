import Foundation
import Primitives

/// One endpoint as an OpenAPI operation object.
struct OpenAPIOperation {
    let node: JSONNode

    init(_ endpoint: AnyEndpoint, _ maker: inout SchemaMaker) throws {
        let parameters =
            try endpoint.pathParameters.map(Self.pathParameter) + endpoint.query.map(Self.queryParameter)
            + (endpoint.method == .get ? [] : [["$ref": "#/components/parameters/IdempotencyKey"]]) + Self.conditions(endpoint)
        node = .members([
            "operationId": .text(endpoint.operation),
            "summary": .text(endpoint.summary),
            "description": .text("For: " + Self.callers(endpoint).joined(separator: ", ") + "."),
            "security": Self.security(endpoint.access),
            "parameters": parameters.isEmpty ? nil : .array(parameters),
            "requestBody": endpoint.request == Empty.self ? nil : try Self.requestBody(endpoint.request, &maker),
            "responses": try Self.responses(endpoint, &maker),
        ])
    }

    private static func callers(_ endpoint: AnyEndpoint) -> [String] {
        Caller.allCases.filter(endpoint.access.contains).map { caller in
            switch caller {
            case .anyone: "anyone, without authentication"
            case .operator, .participant, .user: "\(caller.rawValue) (bearer token)"
            case .manage, .connect, .node: "\(caller.rawValue) (identity certificate)"
            case .buyer: "buyer (contract certificate)"
            }
        }
    }

    /// Alternatives, one of which must hold. An empty list lifts every requirement.
    private static func security(_ access: Set<Caller>) -> JSONNode {
        if access.contains(.anyone) { return [] }
        var alternatives: [JSONNode] = []
        if !access.isDisjoint(with: [.operator, .participant, .user]) { alternatives.append(["bearer": []]) }
        if !access.isDisjoint(with: [.manage, .connect, .node, .buyer]) { alternatives.append(["mutualTLS": []]) }
        return .array(alternatives)
    }

    // MARK: Parameters

    /// The identifiers that stand in paths.
    private static let identifiers: [String: JSONNode] = [
        "account": AccountID.schema, "contract": ContractID.schema, "datacenter": DatacenterID.schema, "dispute": DisputeID.schema,
        "instance": InstanceID.schema,
        "hash": ["type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256."],
        "order": OrderID.schema, "participant": ParticipantID.schema, "proposal": ProposalID.schema, "series": SeriesID.schema,
        "trade": TradeID.schema,
        "zone": ["type": "string"], "domain": ["type": "string"], "pod": ["type": "string"], "rack": ["type": "string"],
        "reservation": InstanceReservationID.schema,
        "host": ["type": "string", "description": "Identifier or name."], "window": MaintenanceID.schema,
        "volume": VolumeID.schema, "network": NetworkID.schema, "user": UserID.schema, "day": ["type": "string", "format": "date"],
    ]

    private static func pathParameter(_ name: String) throws -> JSONNode {
        guard let schema = identifiers[name] else {
            throw SchemaMaker.Failure(description: "the path parameter {\(name)} is not known; add what it identifies to OpenAPIOperation")
        }
        return ["name": .text(name), "in": "path", "required": true, "schema": schema]
    }

    private static func queryParameter(_ parameter: QueryParameter) -> JSONNode {
        ["name": .text(parameter.name), "in": "query", "description": .text(parameter.summary), "schema": schema(of: parameter)]
    }

    /// What a change may be made on condition of.
    private static func conditions(_ endpoint: AnyEndpoint) -> [JSONNode] {
        guard endpoint.isConditional, endpoint.method != .get else { return [] }
        let match: JSONNode = [
            "name": "If-Match", "in": "header",
            "description": "The `ETag` of what the change is made to: it is refused (412) when that is another by now.",
            "schema": ["type": "string"],
        ]
        let new: JSONNode = [
            "name": "If-None-Match", "in": "header", "description": "`*`: refused (409) when it is there already.",
            "schema": ["type": "string", "enum": ["*"]],
        ]
        return endpoint.method == .put ? [match, new] : [match]
    }

    private static func schema(of parameter: QueryParameter) -> JSONNode {
        if let range = parameter.range {
            return ["type": "integer", "format": "int64", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        }
        if parameter.kind == .string, let schema = identifiers[parameter.name] { return schema }
        return ["type": .text(parameter.kind.rawValue)]
    }

    // MARK: Bodies

    private static func requestBody(_ type: any (Codable & Sendable).Type, _ maker: inout SchemaMaker) throws -> JSONNode {
        let (schema, sample) = try maker.describe(type)
        // A body all of whose members are optional may be left out.
        let isRequired = (try? WireJSON.decode(type, from: Data("{}".utf8))) == nil
        return ["required": .bool(isRequired), "content": ["application/json": ["schema": schema, "example": try example(of: sample)]]]
    }

    private static func responses(_ endpoint: AnyEndpoint, _ maker: inout SchemaMaker) throws -> JSONNode {
        let schema = try maker.describe(endpoint.response).schema
        let success: JSONNode = [
            "description": .text(meaning(endpoint.success)),
            "headers": .members([
                "X-Request-Id": ["$ref": "#/components/headers/RequestID"],
                "ETag": endpoint.isConditional
                    ? ["description": "The version this is, for `If-Match`.", "schema": ["type": "string"]] : nil,
            ]),
            "content": .members([
                endpoint.answer.rawValue: ["schema": schema],
                "text/csv": endpoint.query.contains { $0.name == "format" } ? ["schema": ["type": "string"]] : nil,
            ]),
        ]
        let problem: JSONNode = ["$ref": "#/components/responses/Problem"]
        let members =
            [JSONNode.Member(name: String(endpoint.success), value: success)]
            + problems(endpoint).map { .init(name: String($0), value: problem) }
        return .object(members + [.init(name: "default", value: problem)])
    }

    private static func meaning(_ status: Int) -> String {
        switch status {
        case 201: "Made."
        case 202: "Accepted: the wish is stored, and will be worked towards. The answer's `state` tells how far it is."
        default: "Done."
        }
    }

    /// The statuses that the form of the endpoint brings with it. Rules of the operation may add others, hence `default`.
    private static func problems(_ endpoint: AnyEndpoint) -> [Int] {
        var statuses: Set<Int> = [422]
        if !endpoint.access.contains(.anyone) { statuses.formUnion([401, 403]) }
        if !endpoint.pathParameters.isEmpty { statuses.insert(404) }
        if endpoint.method != .get { statuses.formUnion([409, 413]) }
        if endpoint.method != .get, endpoint.isConditional { statuses.insert(412) }
        return statuses.sorted()
    }

    /// A value of the body's own type, written the way programs write it.
    private static func example(of sample: any Decodable) throws -> JSONNode {
        guard let value = sample as? any Encodable else { throw SchemaMaker.Failure(description: "\(type(of: sample)) cannot be written") }
        return try WireJSON.decode(JSONNode.self, from: WireJSON.encode(value))
    }
}
