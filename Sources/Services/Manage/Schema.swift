import Store

/// Manage's own tables. Times are microseconds; specifications and views of other programs' records are JSON.
enum Schema {
    static let migrations = [
        Migration("manage-1") { _ in tenants + market + machines + rating }, Migration("manage-3-delivery") { _ in delivery },
        Migration("manage-4-volumes") { _ in volumes }, Migration("manage-5-networks") { _ in networks },
    ]

    private static let networks = [
        """
        CREATE TABLE networks (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts(id), datacenter TEXT NOT NULL,
          seller TEXT NOT NULL, request TEXT NOT NULL, created BIGINT NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL,
          next_attempt BIGINT NOT NULL, note TEXT)
        """,
        "CREATE INDEX networks_by_account ON networks (account)",
        "CREATE INDEX networks_due ON networks (next_attempt) WHERE state IN ('creating', 'deleting')",
    ]

    private static let volumes = [
        """
        CREATE TABLE volumes (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts(id), contract TEXT NOT NULL, created BIGINT NOT NULL,
          request TEXT NOT NULL, client_token TEXT, size_mib BIGINT NOT NULL, iops BIGINT NOT NULL, made BIGINT NOT NULL, action TEXT,
          action_number BIGINT NOT NULL, attempts BIGINT NOT NULL, next_attempt BIGINT NOT NULL, note TEXT, state TEXT NOT NULL,
          reason_code TEXT, reason_message TEXT, seen TEXT, state_changed BIGINT NOT NULL, UNIQUE (account, client_token))
        """,
        "CREATE INDEX volumes_by_account ON volumes (account)",
        "CREATE INDEX volumes_by_contract ON volumes (contract)",
        "ALTER TABLE accounts ADD COLUMN quota_volume_mib BIGINT",
    ]

    private static let delivery = [
        // From when a machine was seen to run until it was told to stop; null: it should be running now.
        """
        CREATE TABLE running_spans (instance TEXT NOT NULL, contract TEXT NOT NULL, began BIGINT NOT NULL, ended BIGINT,
          PRIMARY KEY (instance, began))
        """,
        "CREATE INDEX running_spans_by_contract ON running_spans (contract, began)",
        "CREATE INDEX readings_by_contract ON readings (contract, period_end)",
        """
        INSERT INTO running_spans (instance, contract, began) SELECT id, contract, state_changed FROM instances
        WHERE state = 'running' AND contract IS NOT NULL
        """,
    ]

    private static let tenants = [
        """
        CREATE TABLE accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, parent TEXT REFERENCES accounts(id), currency TEXT NOT NULL,
          price_cap BIGINT NOT NULL, quota_milli_cpu BIGINT, created BIGINT NOT NULL)
        """,
        "CREATE TABLE users (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts(id), name TEXT NOT NULL, rights TEXT NOT NULL, created BIGINT NOT NULL)",
        "CREATE TABLE access_keys (name TEXT PRIMARY KEY, secret TEXT NOT NULL, user_id TEXT NOT NULL REFERENCES users(id), created BIGINT NOT NULL)",
        """
        CREATE TABLE key_pairs (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts(id), name TEXT NOT NULL, kind TEXT NOT NULL,
          fingerprint TEXT NOT NULL, public_key TEXT NOT NULL, created BIGINT NOT NULL, UNIQUE (account, name))
        """,
        """
        CREATE TABLE tags (resource TEXT NOT NULL, tag_key TEXT NOT NULL, tag_value TEXT NOT NULL, account TEXT NOT NULL REFERENCES accounts(id),
          resource_type TEXT NOT NULL, PRIMARY KEY (resource, tag_key))
        """,
        "CREATE INDEX tags_by_account ON tags (account)",
    ]

    // Copies of the exchange's and the connects' records; they are the one writer of each.
    private static let market = [
        "CREATE TABLE products (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
        "CREATE TABLE datacenters (id TEXT PRIMARY KEY, region TEXT NOT NULL, body TEXT NOT NULL)",
        "CREATE TABLE images (id TEXT NOT NULL, datacenter TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id, datacenter))",
        """
        CREATE TABLE contracts (id TEXT PRIMARY KEY, state TEXT NOT NULL, period_end BIGINT NOT NULL, body TEXT NOT NULL, releasing BIGINT NOT NULL,
          closed BIGINT)
        """,
        """
        CREATE TABLE purchases (instance TEXT NOT NULL, attempt BIGINT NOT NULL, series TEXT NOT NULL, lots BIGINT NOT NULL, price_limit BIGINT NOT NULL,
          contracts TEXT, created BIGINT NOT NULL, PRIMARY KEY (instance, attempt))
        """,
        "CREATE TABLE bought_contracts (contract TEXT PRIMARY KEY, instance TEXT NOT NULL, bought BIGINT NOT NULL)",
        "CREATE TABLE bookmarks (name TEXT PRIMARY KEY, revision BIGINT NOT NULL)",
    ]

    private static let machines = [
        """
        CREATE TABLE reservations (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts(id), user_id TEXT NOT NULL, client_token TEXT,
          request_hash TEXT NOT NULL, created BIGINT NOT NULL, UNIQUE (account, client_token))
        """,
        """
        CREATE TABLE instances (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts(id), reservation TEXT NOT NULL REFERENCES reservations(id),
          launch_index BIGINT NOT NULL, spec TEXT NOT NULL, milli_cpu BIGINT NOT NULL, memory_mib BIGINT NOT NULL, disk_mib BIGINT NOT NULL,
          contract TEXT, step TEXT, action TEXT, action_force BIGINT NOT NULL, action_number BIGINT NOT NULL, attempts BIGINT NOT NULL,
          next_attempt BIGINT NOT NULL, note TEXT, excluded TEXT NOT NULL, state TEXT NOT NULL, reason_code TEXT, reason_message TEXT, seen TEXT,
          accepted BIGINT NOT NULL, state_changed BIGINT NOT NULL)
        """,
        "CREATE INDEX instances_by_account ON instances (account, accepted)",
        "CREATE INDEX instances_by_contract ON instances (contract)",
        "CREATE INDEX instances_by_reservation ON instances (reservation)",
        "CREATE INDEX instances_due ON instances (next_attempt) WHERE step IS NOT NULL OR action IS NOT NULL",
        "CREATE TABLE consoles (instance TEXT PRIMARY KEY, output TEXT NOT NULL, at BIGINT NOT NULL)",
    ]

    private static let rating = [
        """
        CREATE TABLE meters (instance TEXT NOT NULL, contract TEXT NOT NULL, charge TEXT NOT NULL UNIQUE, account TEXT NOT NULL, currency TEXT NOT NULL,
          started BIGINT NOT NULL, charged BIGINT NOT NULL, time BIGINT NOT NULL, rated_until BIGINT, remainder BIGINT NOT NULL, latest TEXT NOT NULL,
          PRIMARY KEY (instance, contract))
        """,
        """
        CREATE TABLE readings (host TEXT NOT NULL, sequence BIGINT NOT NULL, instance TEXT NOT NULL, contract TEXT NOT NULL, period_start BIGINT NOT NULL,
          period_end BIGINT NOT NULL, lots BIGINT NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (host, sequence))
        """,
    ]
}
