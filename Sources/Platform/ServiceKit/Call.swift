import CloudAPI
import Crypto
import Foundation
import Hummingbird
public import Primitives
public import Store
import Synchronization

/// One decoded request to an endpoint.
public struct Call<Body: Codable & Sendable>: Sendable {
    public let body: Body
    public let principal: Principal
    public let query: QueryValues
    public let requestID: String
    /// Present when the caller sent an `Idempotency-Key`.
    public let idempotency: IdempotentRequest?
    /// Of endpoints that are conditional; others pay no regard to it.
    public let condition: RequestCondition
    let path: [String: String]

    /// A path parameter as an identifier; refused as not found when it cannot be one.
    public func id<Kind>(_ name: String, as kind: ID<Kind>.Type = ID<Kind>.self) throws -> ID<Kind> {
        let text = path[name] ?? ""
        guard let id = ID<Kind>(text) else {
            throw Refusal(
                "request.identifier", .notFound, "There is no \(name) '\(text)'; its identifier would look like \(Kind.prefix)-0123….",
                facts: [name: .text(text)], nearest: "\(Kind.prefix)- and 17 hexadecimal digits, as lists tell them")
        }
        return id
    }

    public func text(_ name: String) -> String { path[name] ?? "" }
}

/// The query of a request, checked against what the endpoint declares.
public struct QueryValues: Sendable {
    let values: [String: String]

    /// Refuses parameters the endpoint does not have, those given twice, and values that cannot be.
    /// - Parameter seal: of the endpoint's cursors, when they have one.
    init(_ request: Request, allowed: [QueryParameter], _ seal: CursorSeal? = nil) throws(Refusal) {
        var values: [String: String] = [:]
        for (key, value) in request.uri.queryParameters {
            let name = String(key)
            guard let parameter = allowed.first(where: { $0.name == name }) else {
                let list = allowed.map(\.name).sorted().joined(separator: ", ")
                throw Refusal(
                    "request.query", .invalid, "There is no query parameter '\(name)' here.", facts: ["parameter": .text(name)],
                    nearest: list.isEmpty ? "no query at all" : list)
            }
            let text = name == "cursor" ? try seal?.open(String(value)) ?? String(value) : String(value)
            guard values.updateValue(text, forKey: name) == nil else {
                throw Refusal(
                    "request.query", .invalid, "The query parameter '\(name)' is given twice.", facts: ["parameter": .text(name)],
                    nearest: "\(name) once")
            }
            if let range = parameter.range { _ = try Self.integer(text, name, in: range, fallback: range.lowerBound) }
            guard parameter.kind != .boolean || text == "true" || text == "false" else {
                throw Refusal(
                    "request.query", .invalid, "The query parameter '\(name)' is '\(text.prefix(64))'; it is true or false.",
                    facts: ["parameter": .text(name)], nearest: "true, or false")
            }
        }
        self.values = values
    }

    public func text(_ name: String) -> String? { values[name] }

    public func integer(_ name: String, in range: ClosedRange<Int64>, default fallback: Int64) throws -> Int64 {
        guard let text = values[name] else { return fallback }
        return try Self.integer(text, name, in: range, fallback: fallback)
    }

    private static func integer(
        _ text: String, _ name: String, in range: ClosedRange<Int64>, fallback: Int64
    ) throws(Refusal) -> Int64 {
        guard let value = Int64(text), range.contains(value) else {
            throw Refusal(
                "request.query", .invalid,
                "The query parameter '\(name)' is '\(text)'; it must be a whole number from \(range.lowerBound) to \(range.upperBound).",
                facts: ["parameter": .text(name)], nearest: "\(min(max(Int64(text) ?? fallback, range.lowerBound), range.upperBound))")
        }
        return value
    }

    /// `limit` of a list: 1 to 1000, 100 when absent.
    public func limit() throws -> Int { Int(try integer("limit", in: 1...1000, default: 100)) }
    /// `after` of a feed.
    public func after() throws -> Int64 { try integer("after", in: 0...Int64.max, default: 0) }
    /// `wait` of a feed, in seconds.
    public func wait() throws -> Duration { .seconds(try integer("wait", in: 0...60, default: 0)) }
}

/// A request that may be sent again: its key, and a hash by which a different request with the same key is recognised.
public struct IdempotentRequest: Sendable {
    public let scope: String
    public let key: String
    public let requestHash: String
    /// The answer as it was remembered, when it is to be told as it is.
    let told = RememberedText()

    public init(scope: String, key: String, requestHash: String) {
        self.scope = scope
        self.key = key
        self.requestHash = requestHash
    }

    init(principal: Principal, operation: String, key: String, path: [String: String], body: Data) {
        var hasher = SHA256()
        hasher.update(data: Data(operation.utf8))
        for (name, value) in path.sorted(by: { $0.key < $1.key }) { hasher.update(data: Data("/\(name)=\(value)".utf8)) }
        hasher.update(data: body)
        self.init(scope: principal.name, key: key, requestHash: hasher.finalize().map { String($0, radix: 16) }.joined(separator: "."))
    }

    /// The answer given before, or nil. Refused when the key was used for another request.
    public func earlierAnswer(in context: any ReadContext) throws -> StoredAnswer? {
        guard let answer = try context.answer(scope: scope, key: key) else { return nil }
        guard answer.requestHash == requestHash else {
            throw Refusal(
                "idempotency.reused", .conflict, "The idempotency key '\(key)' was used before for a different request.",
                facts: ["key": .text(key)],
                nearest: "a new key for a new request")
        }
        return answer
    }

    func earlierAnswer(in database: any Database) async throws -> StoredAnswer? {
        try await database.read { try earlierAnswer(in: $0) }
    }
}

extension IdempotentRequest: Hashable {
    public static func == (a: Self, b: Self) -> Bool { a.scope == b.scope && a.key == b.key && a.requestHash == b.requestHash }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(scope)
        hasher.combine(key)
        hasher.combine(requestHash)
    }
}

extension WriteContext {
    /// Keeps the answer in the transaction that makes it true. Does nothing for a request without a key.
    /// - Parameter tellsSame: the handler returns this very answer, so it need not be made into JSON a second time. Not where what is
    ///   remembered leaves out a secret.
    public func remember(
        _ answer: some Encodable, status: Int, for request: IdempotentRequest?, at: Instant, tellsSame: Bool = false
    ) throws {
        guard let request else { return }
        let text = try WireJSON.text(answer)
        try rememberAnswer(
            scope: request.scope, key: request.key, requestHash: request.requestHash, status: status, body: text, at: at)
        if tellsSame { request.told.set(text) }
    }
}

extension WriteContext {
    /// The answer given to this request before, which will be told again as it was; nil when it is new.
    public func retell<Answer: Decodable>(_ type: Answer.Type, for request: IdempotentRequest?) throws -> Answer? {
        guard let request, let earlier = try request.earlierAnswer(in: self) else { return nil }
        request.told.set(earlier.body)
        return try WireJSON.decode(type, from: Data(earlier.body.utf8))
    }
}

/// A text that is set, perhaps again, while a request is handled.
final class RememberedText: Sendable {
    private let text = Mutex<String?>(nil)

    var value: String? { text.withLock { $0 } }
    func set(_ new: String) { text.withLock { $0 = new } }
}
