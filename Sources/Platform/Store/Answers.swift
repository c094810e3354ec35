public import Primitives

/// What was answered to a request with an idempotency key, so that the same request gets the same answer.
public struct StoredAnswer: Sendable, Hashable {
    /// Tells a replay from another request under the same key.
    public var requestHash: String
    /// HTTP status.
    public var status: Int
    public var body: String

    public init(requestHash: String, status: Int, body: String) {
        self.requestHash = requestHash
        self.status = status
        self.body = body
    }
}

extension WriteContext {
    /// Remembers an answer in the transaction that did the work. Throws `StoreError.unique` when the key was answered before.
    public func rememberAnswer(scope: String, key: String, requestHash: String, status: Int, body: String, at: Instant) throws {
        try execute(
            "INSERT INTO idempotency_answers (scope, request_key, request_hash, status, body, at) VALUES ($1, $2, $3, $4, $5, $6)",
            [.text(scope), .text(key), .text(requestHash), SQLValue(status), .text(body), SQLValue(at)])
    }

    /// The same for work that is durable already: an answer that is there stays.
    public func rememberAnswerOnce(scope: String, key: String, requestHash: String, status: Int, body: String, at: Instant) throws {
        try execute(
            """
            INSERT INTO idempotency_answers (scope, request_key, request_hash, status, body, at) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (scope, request_key) DO NOTHING
            """, [.text(scope), .text(key), .text(requestHash), SQLValue(status), .text(body), SQLValue(at)])
    }

    /// Drops up to so many answers given before `moment` and returns how many.
    @discardableResult
    public func forgetAnswers(before moment: Instant, limit: Int = 10_000) throws -> Int {
        let sql = """
            DELETE FROM idempotency_answers WHERE (scope, request_key) IN
              (SELECT scope, request_key FROM idempotency_answers WHERE at < $1 LIMIT $2)
            """
        return try execute(sql, [SQLValue(moment), SQLValue(limit)])
    }
}

extension Database {
    /// Drops all answers given before `moment`, some at a time, so that nobody waits for it. Whether there are any is looked up
    /// without an index, which each request would pay for, and beside the writers.
    public func forgetAnswers(before moment: Instant) async throws {
        while try await read({
            try $0.queryOne("SELECT 1 AS old FROM idempotency_answers WHERE at < $1 LIMIT 1", [SQLValue(moment)]) != nil
        }) {
            try Task.checkCancellation()
            try await write { try $0.forgetAnswers(before: moment) }
        }
    }
}

extension ReadContext {
    /// The answer given to `key`, nil when there is none (or no longer). `scope` is whose key it is, e.g. a participant.
    public func answer(scope: String, key: String) throws -> StoredAnswer? {
        let sql = "SELECT request_hash, status, body FROM idempotency_answers WHERE scope = $1 AND request_key = $2"
        return try queryOne(sql, [.text(scope), .text(key)]).map { row in
            StoredAnswer(requestHash: try row.text("request_hash"), status: Int(try row.integer("status")), body: try row.text("body"))
        }
    }
}
