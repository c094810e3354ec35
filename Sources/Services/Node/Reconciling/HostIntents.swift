import CloudAPI
import Foundation
import Logging
import Primitives
import ServiceKit
import Store

/// What connect wants of one thing on this host: an instance, a volume, a tenant's network. The latest of each is kept in a table, from the first
/// until the thing is gone and connect has been told.
protocol HostIntent: Codable, Hashable, Sendable {
    associatedtype Kind: IDKind
    /// What one is called: in logs, and in the column of its identifier.
    static var noun: String { get }
    static var table: String { get }
    /// Tables beside it that have rows of a thing until it is forgotten.
    static var companions: [String] { get }

    var id: ID<Kind> { get }
    var generation: Int64 { get }
    /// What a row begins with beside the intent; later intents leave it as it is.
    var beginnings: [(column: String, value: SQLValue)] { get }
}

extension HostIntent {
    static var companions: [String] { [] }
    var beginnings: [(column: String, value: SQLValue)] { [] }
}

/// What a board knows of one thing, as far as its intent is concerned.
protocol BoardEntry: Sendable {
    associatedtype Intent: HostIntent
    var intent: Intent { get }
    var work: BoardWork { get }
    /// Connect wants it here.
    var isWanted: Bool { get }
    /// Nothing of it is left here, or it is none of this host's business any more: forgotten as soon as connect has been told.
    var isGone: Bool { get }
    /// It is on its way out, and forgotten when connect does not list it.
    var isLeaving: Bool { get }
}

extension BoardEntry {
    var isLeaving: Bool { isGone }
}

/// Everything the node knows of its things of one kind, in memory.
protocol IntentBoard: Sendable {
    associatedtype Entry: BoardEntry
    subscript(id: ID<Entry.Intent.Kind>) -> Entry? { get }
    var all: [Entry] { get }
    /// Forgets what has not changed since it had this version.
    func forget(_ id: ID<Entry.Intent.Kind>, version: Int)
    func noteReported(_ id: ID<Entry.Intent.Kind>, version: Int)
}

extension NodeCore {
    /// What the tables remember, each with its row.
    func kept<Intent: HostIntent>(_ type: Intent.Type) async throws -> [(intent: Intent, row: Row)] {
        try await database.read { context in
            try context.query("SELECT * FROM \(Intent.table)").map { row in
                (try WireJSON.decode(Intent.self, from: Data(try row.text("body").utf8)), row)
            }
        }
    }

    /// Those that say something new. Those older than what is known are refused.
    func fresh<Board: IntentBoard>(_ intents: [Board.Entry.Intent], on board: Board) -> [Board.Entry.Intent] {
        intents.filter { intent in
            guard let known = board[intent.id]?.intent else { return true }
            if intent.generation < known.generation {
                logger.warning(
                    "refused a stale intent",
                    metadata: [
                        "\(Board.Entry.Intent.noun)": "\(intent.id)", "generation": "\(intent.generation)", "known": "\(known.generation)",
                    ])
            }
            return intent.generation >= known.generation && intent != known
        }
    }

    /// Writes intents down before they are taken up.
    func keep<Intent: HostIntent>(_ intents: [Intent]) async throws {
        guard let first = intents.first else { return }
        let columns = [Intent.noun, "generation", "body"] + first.beginnings.map(\.column)
        let places = columns.indices.map { "$\($0 + 1)" }
        let rows = try intents.map { intent in
            [SQLValue(intent.id), .integer(intent.generation), .text(try WireJSON.text(intent))] + intent.beginnings.map(\.value)
        }
        try await database.write { transaction in
            try transaction.executeMany(
                """
                INSERT INTO \(Intent.table) (\(columns.joined(separator: ", "))) VALUES (\(places.joined(separator: ", ")))
                ON CONFLICT (\(Intent.noun)) DO UPDATE SET generation = excluded.generation, body = excluded.body
                WHERE excluded.generation >= \(Intent.table).generation
                """, rows)
        }
    }

    /// Things here that a full list does not have are none of connect's any more. What is left of one that was on its way out is forgotten; any
    /// other is left alone and pointed out, because a control plane that lost its memory must not cost guests or data.
    func compare<Board: IntentBoard>(_ board: Board, with intents: [Board.Entry.Intent]) async {
        let listed = Set(intents.map(\.id))
        for entry in board.all where !listed.contains(entry.intent.id) {
            let noun = Board.Entry.Intent.noun
            if entry.isLeaving {
                try? await forget(entry, of: board)
            } else if entry.isWanted {
                logger.warning(
                    "connect does not list this \(noun) of the host; it is left as it is", metadata: ["\(noun)": "\(entry.intent.id)"])
            }
        }
    }

    /// Connect has been told how things stand. What is gone is forgotten, unless something has happened to it meanwhile.
    func delivered<Board: IntentBoard>(_ told: [(id: ID<Board.Entry.Intent.Kind>, version: Int)], to board: Board) async throws {
        for (id, version) in told {
            board.noteReported(id, version: version)
            guard let entry = board[id], entry.work.version == version, entry.isGone else { continue }
            try await forget(entry, of: board)
        }
    }

    /// It may be wanted again by now, and that is written down first and taken up then: what is newer stays, here and there.
    private func forget<Board: IntentBoard>(_ entry: Board.Entry, of board: Board) async throws {
        typealias Intent = Board.Entry.Intent
        let intent = entry.intent
        try await database.write { transaction in
            let gone = try transaction.execute(
                "DELETE FROM \(Intent.table) WHERE \(Intent.noun) = $1 AND generation <= $2",
                [SQLValue(intent.id), .integer(intent.generation)])
            guard gone > 0 else { return }
            for table in Intent.companions {
                try transaction.execute("DELETE FROM \(table) WHERE \(Intent.noun) = $1", [SQLValue(intent.id)])
            }
        }
        board.forget(intent.id, version: entry.work.version)
    }
}
