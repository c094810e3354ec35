/// The tables every program has: change feed, audit trail, idempotency answers, leases. `schema_migrations` is older than all.
let platformMigrations: [Migration] = [
    Migration("store/0001-changes") { _ in
        [
            """
            CREATE TABLE changes (
                revision BIGINT PRIMARY KEY, topic TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
                at BIGINT NOT NULL)
            """,
            "CREATE INDEX changes_topic ON changes (topic, revision)",
            "CREATE TABLE change_counter (id BIGINT PRIMARY KEY CHECK (id = 1), revision BIGINT NOT NULL)",
            "INSERT INTO change_counter (id, revision) VALUES (1, 0)",
        ]
    },
    Migration("store/0002-audit") { dialect in
        [
            """
            CREATE TABLE audit (
                sequence BIGINT PRIMARY KEY, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
                at BIGINT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL)
            """,
            "CREATE TABLE audit_head (id BIGINT PRIMARY KEY CHECK (id = 1), sequence BIGINT NOT NULL, hash TEXT NOT NULL)",
            "INSERT INTO audit_head (id, sequence, hash) VALUES (1, 0, '\(String(repeating: "0", count: 64))')",
        ] + appendOnly(table: "audit", dialect)
    },
    Migration("store/0003-answers") { _ in
        [
            """
            CREATE TABLE idempotency_answers (
                scope TEXT NOT NULL, request_key TEXT NOT NULL, request_hash TEXT NOT NULL, status BIGINT NOT NULL, body TEXT NOT NULL,
                at BIGINT NOT NULL, PRIMARY KEY (scope, request_key))
            """,
            "CREATE INDEX idempotency_answers_at ON idempotency_answers (at)",
        ]
    },
    Migration("store/0004-leases") { _ in
        ["CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, fencing BIGINT NOT NULL, expires BIGINT NOT NULL)"]
    },
    Migration("store/0005-numbers") { dialect in dialect == .sqlite ? numberedTables : [] },
]

/// SQLite keeps an index beside a table with a `BIGINT PRIMARY KEY`; with an `INTEGER PRIMARY KEY` the table itself is in that order.
private let numberedTables =
    [
        """
        CREATE TABLE numbered_changes (
            revision INTEGER PRIMARY KEY, topic TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
            at BIGINT NOT NULL)
        """,
        "INSERT INTO numbered_changes SELECT revision, topic, subject, kind, body, at FROM changes ORDER BY revision",
        "DROP TABLE changes", "ALTER TABLE numbered_changes RENAME TO changes",
        "CREATE INDEX changes_topic ON changes (topic, revision)",
        """
        CREATE TABLE numbered_audit (
            sequence INTEGER PRIMARY KEY, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
            at BIGINT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL)
        """,
        "INSERT INTO numbered_audit SELECT sequence, actor, action, subject, detail, at, previous_hash, hash FROM audit ORDER BY sequence",
        "DROP TABLE audit", "ALTER TABLE numbered_audit RENAME TO audit",
    ] + appendOnly(table: "audit", .sqlite)

/// Triggers that refuse to alter or remove a row: against mistakes. Against intent there is the chain of hashes.
private func appendOnly(table: String, _ dialect: SQLDialect) -> [String] {
    switch dialect {
    case .sqlite:
        ["UPDATE", "DELETE"].map { verb in
            """
            CREATE TRIGGER \(table)_no_\(verb.lowercased()) BEFORE \(verb) ON \(table)
            BEGIN SELECT RAISE(ABORT, '\(table) is append-only'); END
            """
        }
    case .postgres:
        [
            """
            CREATE FUNCTION \(table)_append_only() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '\(table) is append-only'; END $$
            """,
            """
            CREATE TRIGGER \(table)_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON \(table)
            FOR EACH STATEMENT EXECUTE FUNCTION \(table)_append_only()
            """,
        ]
    }
}
