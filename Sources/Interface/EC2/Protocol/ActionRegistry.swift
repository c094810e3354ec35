/// Which operation performs which action: decodes the parameters, performs, encodes the answer or the error.
///
/// `Context` is what operations need to know of the caller.
public struct ActionRegistry<Context: Sendable>: Sendable {
    private typealias Perform = @Sendable (_ parameters: ParameterReader, _ context: Context) async throws -> any ActionResponse
    private var operations: [Action: Perform] = [:]

    public init() {}

    /// `check` decides whether the caller may do this at all; a dry run ends after it, or after `rehearse`, which finds out
    /// whether it would succeed.
    public mutating func on<Request: ActionRequest>(
        _ request: Request.Type, check: @escaping @Sendable (Request, Context) async throws -> Void,
        rehearse: (@Sendable (Request, Context) async throws -> Void)? = nil,
        perform: @escaping @Sendable (Request, Context) async throws -> Request.Response
    ) {
        operations[Request.action] = { parameters, context in
            var parameters = parameters
            let dryRun = try parameters.boolean("DryRun") ?? false
            let request = try Request(&parameters)
            try parameters.finish()
            try await check(request, context)
            guard !dryRun else {
                try await rehearse?(request, context)
                throw EC2Error.dryRun
            }
            return try await perform(request, context)
        }
    }

    /// Actions without an operation; empty in a complete program.
    public var missing: [Action] { Action.allCases.filter { operations[$0] == nil } }

    /// Performs the action that the parameters name. Errors other than `EC2Error` are the caller's to translate.
    public func perform(_ parameters: [(name: String, value: String)], _ context: Context) async throws -> AnsweredAction {
        var reader = try ParameterReader(parameters)
        guard let name = reader.string("Action"), !name.isEmpty else {
            throw EC2Error(.missingAction, "The request must contain the parameter Action")
        }
        if let version = reader.string("Version"), version != EC2Version.current {
            throw EC2Error(
                .noSuchVersion, "The requested version (\(version)) of service AmazonEC2 does not exist; this is \(EC2Version.current).")
        }
        guard let action = Action(rawValue: name), let operation = operations[action] else {
            throw EC2Error(.invalidAction, "The action \(name) is not valid for this web service.")
        }
        return AnsweredAction(action: action, response: try await operation(reader, context))
    }
}

/// An action and what it answers.
public struct AnsweredAction: Sendable {
    public let action: Action
    public let response: any ActionResponse

    public init(action: Action, response: any ActionResponse) {
        self.action = action
        self.response = response
    }

    /// The whole document: `<RunInstancesResponse xmlns="…"><requestId>…</requestId>…`
    public func document(requestID: String) -> [UInt8] {
        var xml = XMLWriter()
        xml.root(action.rawValue + "Response", namespace: EC2Version.namespace) { xml in
            xml.text("requestId", requestID)
            response.write(to: &xml)
        }
        return xml.bytes
    }
}

/// A request identifier in the form of a random UUID (RFC 9562, version 4), which clients expect.
public func requestIdentifier(_ high: UInt64, _ low: UInt64) -> String {
    let versioned = (high & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000
    let variant = (low & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
    let digits = [versioned, variant].map { value in
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }.joined()
    var parts: [Substring] = []
    var rest = digits[...]
    for length in [8, 4, 4, 4, 12] {
        parts.append(rest.prefix(length))
        rest = rest.dropFirst(length)
    }
    return parts.joined(separator: "-")
}
