package import Store

/// The node's own tables. Times are microseconds, intents and resources JSON.
package enum Schema {
    package static let migrations = [
        Migration("node-1") { _ in
            [
                // What connect wanted last, and how far this host has followed it.
                """
                CREATE TABLE intents (instance TEXT PRIMARY KEY, generation BIGINT NOT NULL, body TEXT NOT NULL,
                  ran_generation BIGINT NOT NULL, reboots_done BIGINT NOT NULL)
                """,
                // The run of each instance that is metered now, or was last.
                """
                CREATE TABLE runs (instance TEXT PRIMARY KEY, executed BIGINT NOT NULL, metered_to BIGINT NOT NULL, closed BIGINT NOT NULL,
                  contract TEXT NOT NULL, resources TEXT NOT NULL)
                """,
                // Readings connect has not acknowledged.
                """
                CREATE TABLE meters (sequence BIGINT PRIMARY KEY, instance TEXT NOT NULL, contract TEXT NOT NULL, period_start BIGINT NOT NULL,
                  period_end BIGINT NOT NULL, resources TEXT NOT NULL)
                """,
                "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
            ]
        },
        Migration("node-2-volumes") { _ in
            [
                // What connect wanted last of each volume; `made`: its file was there once.
                "CREATE TABLE volumes (volume TEXT PRIMARY KEY, generation BIGINT NOT NULL, body TEXT NOT NULL, made BIGINT NOT NULL)"
            ]
        },
        Migration("node-3-networks") { _ in
            // What connect wanted last of each tenant's network.
            ["CREATE TABLE networks (network TEXT PRIMARY KEY, generation BIGINT NOT NULL, body TEXT NOT NULL)"]
        },
    ]
}

extension ReadContext {
    func setting(_ name: String) throws -> String? {
        try queryOne("SELECT value FROM settings WHERE name = $1", [.text(name)])?.text("value")
    }
}

extension WriteContext {
    func set(_ name: String, _ value: String) throws {
        try execute(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [.text(name), .text(value)])
    }
}
