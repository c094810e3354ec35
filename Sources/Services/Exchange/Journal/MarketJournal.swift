import Crypto
import Primitives
import Store

/// Every command the market took, in order: on disk before anybody is answered, never altered, each batch sealed by a hash over all
/// before it. The market is what these commands make of it; its tables are written behind them.
///
/// On PostgreSQL it is a table of the exchange's database. SQLite lets one writer at a time into a file, so there it is a file of its
/// own, and commands do not wait while tables are written.
struct MarketJournal: Sendable {
    static let migrations = [
        Migration("exchange-journal-1") { dialect in
            [
                """
                CREATE TABLE market_journal (number BIGINT PRIMARY KEY, at BIGINT NOT NULL, commands BIGINT NOT NULL, body \(dialect.blob) NOT NULL,
                  hash TEXT NOT NULL)
                """
            ]
        },
        // One page less to write for each batch: see `store/0005-numbers`.
        Migration("exchange-journal-2-numbers") { dialect in
            dialect != .sqlite
                ? []
                : [
                    """
                    CREATE TABLE numbered_journal (number INTEGER PRIMARY KEY, at BIGINT NOT NULL, commands BIGINT NOT NULL, body BLOB NOT NULL,
                      hash TEXT NOT NULL)
                    """,
                    "INSERT INTO numbered_journal SELECT number, at, commands, body, hash FROM market_journal ORDER BY number",
                    "DROP TABLE market_journal", "ALTER TABLE numbered_journal RENAME TO market_journal",
                ]
        },
    ]

    let database: any Database

    /// The journal's own file, where it has one.
    static func openFile(beside database: any Database, _ url: String) throws -> (any Database)? {
        guard database.dialect == .sqlite else { return nil }
        var options = DatabaseOptions()
        options.reservedLog = reservedLog
        return try openDatabase(url + ".journal", options: options)
    }

    /// Somebody waits for every commit: 2,000 pages of log are there before them.
    private static let reservedLog = 2_000 * 4_120

    /// The last batch.
    struct Head: Sendable, Hashable {
        var number: Int64
        /// SHA-256 in hexadecimal, over the hash of the batch before, and this one's time (µs) and bytes.
        var hash: String

        static let start = Head(number: 0, hash: String(repeating: "0", count: 64))

        /// The head after one more batch.
        func followed(by body: [UInt8], at: Instant) -> Head {
            var hasher = SHA256()
            hasher.update(data: Array("\(hash) \(at.microseconds) ".utf8))
            hasher.update(data: body)
            return Head(number: number + 1, hash: hasher.finalize().hexadecimal)
        }
    }

    /// A batch as it is stored.
    struct Stored: Sendable {
        let number: Int64
        let at: Instant
        let body: [UInt8]
        let hash: String

        func batch() throws -> JournalBatch { try JournalBatch(number: number, at: at, encoded: body) }
    }

    /// Durable when it returns. Throws `LeaseLost` when another process has the market.
    func append(
        _ steps: [DeskStep], at: Instant, after head: Head, lease: Lease, beforeCommit: @escaping @Sendable () -> Void = {}
    ) async throws -> Head {
        try await database.write { transaction in
            try transaction.checkFencing(lease)
            // Put into bytes here, by the thread that writes them: the desk applies the next commands meanwhile.
            let body = try JournalBatch(number: head.number + 1, at: at, entries: steps.map(\.entry)).encoded()
            let next = head.followed(by: body, at: at)
            try transaction.execute(
                "INSERT INTO market_journal (number, at, commands, body, hash) VALUES ($1, $2, $3, $4, $5)",
                [SQLValue(next.number), SQLValue(at), SQLValue(steps.count), SQLValue(body), .text(next.hash)])
            beforeCommit()
            return next
        }
    }

    /// Batches after a number, oldest first.
    func read(after number: Int64, limit: Int) async throws -> [Stored] {
        try await database.read { context in
            try context.query(
                "SELECT number, at, body, hash FROM market_journal WHERE number > $1 ORDER BY number LIMIT $2",
                [SQLValue(number), SQLValue(limit)]
            ).map {
                Stored(number: try $0.integer("number"), at: try $0.instant("at"), body: try $0.blob("body"), hash: try $0.text("hash"))
            }
        }
    }

    func head() async throws -> Head {
        try await database.read { context in
            guard let row = try context.queryOne("SELECT number, hash FROM market_journal ORDER BY number DESC LIMIT 1") else {
                return .start
            }
            return Head(number: try row.integer("number"), hash: try row.text("hash"))
        }
    }
}

extension SHA256.Digest {
    fileprivate var hexadecimal: String {
        String(unsafeUninitializedCapacity: Self.byteCount * 2) { text in
            for (place, byte) in enumerated() {
                text[place * 2] = Self.digit(byte >> 4)
                text[place * 2 + 1] = Self.digit(byte & 15)
            }
            return Self.byteCount * 2
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value + (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10) }
}
