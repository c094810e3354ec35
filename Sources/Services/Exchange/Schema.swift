import Store

/// The exchange's own tables. Times are microseconds, money micro-units, lists and resources JSON; an empty owner is the exchange.
enum Schema {
    static let migrations = [
        Migration("exchange-1-market") { _ in marketTables },
        Migration("exchange-1-ledger") { _ in ledgerTables },
        Migration("exchange-1-certificates") { _ in certificateTables },
        Migration("exchange-2-conditions") { _ in
            [
                // Conditions are JSON; what of an iceberg is up, when not all that is left.
                "ALTER TABLE orders ADD COLUMN conditions TEXT NOT NULL DEFAULT '{}'", "ALTER TABLE orders ADD COLUMN shown BIGINT",
                "ALTER TABLE participants ADD COLUMN suspended TEXT", "ALTER TABLE series ADD COLUMN halted TEXT",
            ]
        },
        Migration("exchange-3-delivery") { _ in deliveryTables },
    ]

    private static let marketTables = [
        "CREATE TABLE participants (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, buys BIGINT NOT NULL, sells BIGINT NOT NULL, currency TEXT NOT NULL, created BIGINT NOT NULL)",
        """
        CREATE TABLE products (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL, tick BIGINT NOT NULL, largest_price BIGINT NOT NULL,
          largest_lots BIGINT NOT NULL, terms_hash TEXT NOT NULL, created BIGINT NOT NULL)
        """,
        "CREATE TABLE series (id TEXT PRIMARY KEY, product TEXT NOT NULL REFERENCES products(id), kind TEXT NOT NULL, UNIQUE (product, kind))",
        """
        CREATE TABLE datacenters (id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES participants(id), name TEXT NOT NULL, region TEXT NOT NULL,
          zones TEXT NOT NULL, peer_address TEXT NOT NULL)
        """,
        """
        CREATE TABLE offerings (datacenter TEXT NOT NULL REFERENCES datacenters(id), product TEXT NOT NULL REFERENCES products(id), declared BIGINT NOT NULL,
          PRIMARY KEY (datacenter, product))
        """,
        """
        CREATE TABLE orders (id TEXT PRIMARY KEY, priority BIGINT NOT NULL UNIQUE, participant TEXT NOT NULL, series TEXT NOT NULL, side TEXT NOT NULL,
          lifetime TEXT NOT NULL, price BIGINT NOT NULL, lots BIGINT NOT NULL, filled BIGINT NOT NULL, datacenter TEXT, client_order_id TEXT,
          state TEXT NOT NULL, cancel_reason TEXT, placed BIGINT NOT NULL)
        """,
        "CREATE INDEX orders_by_participant ON orders (participant, priority)",
        "CREATE INDEX orders_resting ON orders (series, side, price) WHERE state = 'resting'",
        "CREATE UNIQUE INDEX orders_by_client_id ON orders (participant, client_order_id) WHERE client_order_id IS NOT NULL",
        """
        CREATE TABLE trades (id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, series TEXT NOT NULL, contract TEXT NOT NULL, buy_order TEXT NOT NULL,
          sell_order TEXT NOT NULL, taker TEXT NOT NULL, price BIGINT NOT NULL, lots BIGINT NOT NULL, at BIGINT NOT NULL)
        """,
        "CREATE INDEX trades_by_series ON trades (series, number)",
        "CREATE INDEX trades_by_buy_order ON trades (buy_order)",
        "CREATE INDEX trades_by_sell_order ON trades (sell_order)",
        """
        CREATE TABLE contracts (id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, trade TEXT NOT NULL, series TEXT NOT NULL, product TEXT NOT NULL,
          buyer TEXT NOT NULL, seller TEXT NOT NULL, datacenter TEXT NOT NULL, lots BIGINT NOT NULL, price BIGINT NOT NULL, currency TEXT NOT NULL,
          terms_hash TEXT NOT NULL, spot_period BIGINT NOT NULL, created BIGINT NOT NULL, period_start BIGINT NOT NULL, period_end BIGINT NOT NULL,
          state TEXT NOT NULL, closing_cause TEXT, closing_detail TEXT, closing_decided BIGINT, settled_until BIGINT NOT NULL, remainder BIGINT NOT NULL,
          settled BIGINT NOT NULL, held BIGINT NOT NULL)
        """,
        "CREATE INDEX contracts_by_buyer ON contracts (buyer, number)",
        "CREATE INDEX contracts_by_seller ON contracts (seller, number)",
        "CREATE INDEX contracts_live ON contracts (number) WHERE state <> 'settled'",
        """
        CREATE TABLE market_state (id BIGINT PRIMARY KEY, clock BIGINT NOT NULL, last_priority BIGINT NOT NULL, last_contract BIGINT NOT NULL,
          last_posting BIGINT NOT NULL)
        """,
        "INSERT INTO market_state (id, clock, last_priority, last_contract, last_posting) VALUES (1, 0, 0, 0, 0)",
    ]

    private static let ledgerTables = [
        """
        CREATE TABLE postings (id BIGINT PRIMARY KEY, at BIGINT NOT NULL, reason TEXT NOT NULL, order_id TEXT, contract TEXT, reference TEXT)
        """,
        "CREATE INDEX postings_by_contract ON postings (contract, id) WHERE contract IS NOT NULL",
        """
        CREATE TABLE entries (posting BIGINT NOT NULL REFERENCES postings(id), line BIGINT NOT NULL, owner TEXT NOT NULL, kind TEXT NOT NULL,
          currency TEXT NOT NULL, amount BIGINT NOT NULL, balance BIGINT NOT NULL, PRIMARY KEY (posting, line))
        """,
        "CREATE INDEX entries_by_owner ON entries (owner, posting)",
        """
        CREATE TABLE balances (owner TEXT NOT NULL, kind TEXT NOT NULL, currency TEXT NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (owner, kind, currency))
        """,
    ]

    private static let deliveryTables = [
        "ALTER TABLE contracts ADD COLUMN credited BIGINT NOT NULL DEFAULT 0", "ALTER TABLE contracts ADD COLUMN outcome TEXT",
        "ALTER TABLE contracts ADD COLUMN confirm_by BIGINT NOT NULL DEFAULT 0", "ALTER TABLE contracts ADD COLUMN confirmed_buyer BIGINT",
        "ALTER TABLE contracts ADD COLUMN confirmed_seller BIGINT",
        // Contracts made before confirmation was asked for count as confirmed.
        "UPDATE contracts SET confirm_by = created, confirmed_buyer = created, confirmed_seller = created",
        """
        UPDATE contracts SET outcome = CASE WHEN closing_cause = 'endedByOperator' THEN 'ended-early' ELSE 'delivered' END
        WHERE state = 'settled'
        """,
        // Reports and disputes are JSON: numbers, signer, signature; amount, answers, resolution.
        """
        CREATE TABLE deliveries (contract TEXT NOT NULL, period_start BIGINT NOT NULL, period_end BIGINT NOT NULL, lots BIGINT NOT NULL,
          charge BIGINT NOT NULL, due BIGINT NOT NULL, state TEXT NOT NULL, buyer_report TEXT, seller_report TEXT, basis TEXT,
          availability BIGINT, paid BIGINT NOT NULL, credited BIGINT NOT NULL, dispute_id TEXT, dispute TEXT,
          PRIMARY KEY (contract, period_start))
        """,
        "CREATE INDEX deliveries_open ON deliveries (due) WHERE state <> 'settled'",
        "CREATE UNIQUE INDEX deliveries_by_dispute ON deliveries (dispute_id) WHERE dispute_id IS NOT NULL",
    ]

    private static let certificateTables = [
        "CREATE TABLE programs (role TEXT NOT NULL, id TEXT NOT NULL, participant TEXT NOT NULL, created BIGINT NOT NULL, PRIMARY KEY (role, id))",
        """
        CREATE TABLE enrolments (hash TEXT PRIMARY KEY, participant TEXT NOT NULL, role TEXT NOT NULL, program TEXT NOT NULL, expires BIGINT NOT NULL,
          used BIGINT, created BIGINT NOT NULL)
        """,
        """
        CREATE TABLE certificates (serial TEXT PRIMARY KEY, participant TEXT NOT NULL, role TEXT NOT NULL, program TEXT NOT NULL, contract TEXT, side TEXT,
          issued BIGINT NOT NULL, not_after BIGINT NOT NULL, revoked BIGINT, reason TEXT)
        """,
        "CREATE INDEX certificates_by_contract ON certificates (contract) WHERE contract IS NOT NULL",
        "CREATE INDEX certificates_by_program ON certificates (role, program)",
        "CREATE INDEX certificates_revoked ON certificates (not_after) WHERE revoked IS NOT NULL",
        "CREATE TABLE revocation_counter (id BIGINT PRIMARY KEY, number BIGINT NOT NULL)",
        "INSERT INTO revocation_counter (id, number) VALUES (1, 1)",
    ]
}
