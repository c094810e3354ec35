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
]

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
