public import Primitives

/// One entry of the change feed (outbox): what happened to which subject. Revisions are strictly increasing and without gaps.
public struct Change: Sendable, Hashable {
    public var revision: Int64
    /// Who may be interested, e.g. `contracts`.
    public var topic: String
    /// The identifier of the thing that changed.
    public var subject: String
    /// What happened to it, e.g. `created`.
    public var kind: String
    /// JSON.
    public var body: String
    public var at: Instant

    public init(revision: Int64, topic: String, subject: String, kind: String, body: String, at: Instant) {
        self.revision = revision
        self.topic = topic
        self.subject = subject
        self.kind = kind
        self.body = body
        self.at = at
    }
}

/// A change to append; its revision is given by the database.
public struct NewChange: Sendable, Hashable {
    public var topic: String
    public var subject: String
    public var kind: String
    /// JSON.
    public var body: String
    public var at: Instant

    public init(topic: String, subject: String, kind: String, body: String, at: Instant) {
        self.topic = topic
        self.subject = subject
        self.kind = kind
        self.body = body
        self.at = at
    }
}

extension WriteContext {
    /// Appends to the change feed and returns the revision: strictly increasing, in the order of commits, without gaps to readers.
    @discardableResult
    public func appendChange(topic: String, subject: String, kind: String, body: String, at: Instant) throws -> Int64 {
        try appendChanges([NewChange(topic: topic, subject: subject, kind: kind, body: body, at: at)])
    }

    /// Appends many changes at once and returns the revision of the last; the others are the numbers just before it.
    @discardableResult
    public func appendChanges(_ changes: [NewChange]) throws -> Int64 {
        let last = try reserveRevisions(changes.count)
        let first = last - Int64(changes.count) + 1
        let rows = changes.enumerated().map { offset, change in
            [
                SQLValue(first + Int64(offset)), .text(change.topic), .text(change.subject), .text(change.kind), .text(change.body),
                SQLValue(change.at),
            ]
        }
        try executeMany("INSERT INTO changes (revision, topic, subject, kind, body, at) VALUES ($1, $2, $3, $4, $5, $6)", rows)
        if !changes.isEmpty { announce(revision: last) }
        return last
    }

    /// The last of so many new numbers. The counter row belongs to the transaction: a rollback gives its numbers back, and nobody else gets one
    /// until the commit. SQLite makes a table for what `RETURNING` returns, with a cache of its own, and takes longer for that than for all
    /// the rest of an appended change.
    private func reserveRevisions(_ count: Int) throws -> Int64 {
        let reserve = "UPDATE change_counter SET revision = revision + $1 WHERE id = 1"
        let row: Row?
        switch dialect {
        case .sqlite:
            try execute(reserve, [SQLValue(count)])
            row = try queryOne("SELECT revision FROM change_counter WHERE id = 1")
        case .postgres:
            row = try queryOne(reserve + " RETURNING revision", [SQLValue(count)])
        }
        guard let row else { throw StoreError.corrupted("the row of change_counter is missing") }
        return try row.integer("revision")
    }
}

extension ReadContext {
    /// Changes newer than `after`, oldest first; of all topics when `topics` is nil.
    public func changes(topics: [String]?, after: Int64, limit: Int) throws -> [Change] {
        if let topics, topics.isEmpty { return [] }
        var sql = "SELECT revision, topic, subject, kind, body, at FROM changes WHERE revision > $1"
        var arguments: [SQLValue] = [SQLValue(after), SQLValue(limit)]
        if let topics {
            sql += " AND topic IN (" + topics.indices.map { "$\($0 + 3)" }.joined(separator: ", ") + ")"
            arguments += topics.map { .text($0) }
        }
        return try query(sql + " ORDER BY revision LIMIT $2", arguments).map(Change.init(row:))
    }

    /// The revision of the newest change, 0 when there is none.
    public func latestRevision() throws -> Int64 {
        try queryOne("SELECT revision FROM change_counter WHERE id = 1")?.integer("revision") ?? 0
    }
}

extension Change {
    fileprivate init(row: Row) throws {
        self.init(
            revision: try row.integer("revision"), topic: try row.text("topic"), subject: try row.text("subject"),
            kind: try row.text("kind"),
            body: try row.text("body"), at: try row.instant("at"))
    }
}
