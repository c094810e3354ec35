import Fleet
import Primitives
import Store

/// Changes of the topology, counted, so that what was made from an older one is not taken for what is wanted of this one.
enum TopologyRevision {
    struct Change: Sendable {
        var revision: Int64
        var what: String
        var actor: String
        var at: Instant
    }

    /// So many of the latest are told.
    private static let kept: Int64 = 1_000

    static func current(in context: any ReadContext) throws -> Int64 {
        guard let row = try context.queryOne("SELECT MAX(revision) AS revision FROM topology_revisions") else {
            throw StoreError.corrupted("the topology has no revision")
        }
        return try row.integer("revision")
    }

    /// Counts one change. Those that change the topology do it in their own transaction.
    static func advance(_ what: String, by actor: String, at now: Instant, in transaction: any WriteContext) throws {
        let next = try current(in: transaction) + 1
        try transaction.execute(
            "INSERT INTO topology_revisions (revision, what, actor, at) VALUES ($1, $2, $3, $4)",
            [.integer(next), .text(what), .text(actor), SQLValue(now)])
        try transaction.execute("DELETE FROM topology_revisions WHERE revision <= $1", [.integer(next - kept)])
    }

    /// The first changes after a revision.
    static func changes(after revision: Int64, most: Int, in context: any ReadContext) throws -> [Change] {
        try context.query(
            "SELECT revision, what, actor, at FROM topology_revisions WHERE revision > $1 ORDER BY revision LIMIT \(most)",
            [.integer(revision)]
        ).map {
            Change(
                revision: try $0.integer("revision"), what: try $0.text("what"), actor: try $0.text("actor"), at: try $0.instant("at"))
        }
    }

    // MARK: What was made from an older one

    /// A refusal of what was made from another topology than there is.
    static func stale(_ revision: Int64, in context: any ReadContext) throws -> Refusal? {
        let current = try current(in: context)
        guard revision != current else { return nil }
        let facts: [String: Refusal.Fact] = ["revision": .number(revision), "current": .number(current)]
        guard revision < current else {
            return Refusal(
                "topology.stale", .conflict,
                "This was made from revision \(revision) of the topology, which is at \(current) and was never at that.", facts: facts,
                nearest: "export the topology again and change that, or apply without `revision` (`bourse topology apply --force`)")
        }
        let count = current - revision
        let known = try changes(after: revision, most: 3, in: context)
        let told = known.map { "\($0.what), by \($0.actor) at \($0.at)" }.joined(separator: "; ")
        let rest = count - Int64(known.count)
        return Refusal(
            "topology.stale", .conflict,
            "This was made from revision \(revision) of the topology, which is at \(current) now. Since then: \(told)"
                + (rest > 0 ? "; and \(rest) more changes." : "."), facts: facts,
            nearest:
                "export the topology again and change that, or apply without `revision` (`bourse topology apply --force`), which undoes what differs"
        )
    }
}

extension TopologyPlan {
    /// The first steps, as one line of text.
    var summary: String {
        let told = changes.prefix(3).map(\.summary).joined(separator: ", ")
        return told + (changes.count > 3 ? " and \(changes.count - 3) more" : "")
    }
}

extension TopologyChange {
    fileprivate var summary: String {
        switch action {
        case .add: return "\(kind.rawValue) \(name) added"
        case .remove: return "\(kind.rawValue) \(name) removed"
        case .change:
            let told = fields.prefix(3).map { "\($0.name): \($0.before ?? "none") → \($0.after ?? "none")" }
            return "\(kind.rawValue) \(name) changed (\(told.joined(separator: ", "))\(fields.count > 3 ? ", …" : ""))"
        }
    }
}
