package import Store

/// The exchange's own tables. Times are microseconds, money micro-units, lists and resources JSON; an empty owner is the exchange.
package enum Schema {
    package static let migrations = [
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
        Migration("exchange-3-journal") { _ in
            // The last batch of the journal that is in the tables.
            ["ALTER TABLE market_state ADD COLUMN journal BIGINT NOT NULL DEFAULT 0"]
        },
        Migration("exchange-3-forwards") { _ in forwardChanges },
        Migration("exchange-3-data-bars") { _ in barTables },
        Migration("exchange-3-data-surveillance") { _ in surveillanceTables },
        Migration("exchange-3-data-catalogue") { dialect in
            [
                """
                CREATE TABLE documents (hash TEXT PRIMARY KEY, name TEXT NOT NULL, media_type TEXT NOT NULL, content \(dialect.blob) NOT NULL,
                  created BIGINT NOT NULL)
                """,
                // The entry is JSON. Closed: a version that was superseded, whose series take no more orders.
                """
                CREATE TABLE catalogue (product TEXT PRIMARY KEY, name TEXT NOT NULL, version BIGINT NOT NULL, entry TEXT NOT NULL,
                  terms_hash TEXT NOT NULL, created BIGINT NOT NULL, superseded_by BIGINT, closed BIGINT NOT NULL, UNIQUE (name, version))
                """,
            ]
        },
        Migration("exchange-3-data-certification") { _ in
            [
                // Rows are only added: the newest of each kind counts. The detail is the request, JSON.
                """
                CREATE TABLE certifications (number BIGINT PRIMARY KEY, datacenter TEXT NOT NULL, product TEXT NOT NULL, kind TEXT NOT NULL,
                  at BIGINT NOT NULL, expires BIGINT NOT NULL, detail TEXT NOT NULL)
                """,
                "CREATE INDEX certifications_by_datacenter ON certifications (datacenter, product, kind, number)",
                "CREATE INDEX certifications_by_product ON certifications (product, datacenter)",
            ]
        },
        Migration("exchange-3-risk") { _ in riskTables },
        Migration("exchange-3-delivery") { _ in deliveryTables },
        Migration("exchange-3-outage") { _ in ["ALTER TABLE market_state ADD COLUMN resumed BIGINT NOT NULL DEFAULT 0"] },
        Migration("exchange-3-bilateral") { _ in bilateralTables },
        Migration("exchange-3-names") { _ in
            // Host names and addresses in certificates of programs, and until when the last certificate with each is good.
            ["CREATE TABLE certified_names (name TEXT PRIMARY KEY, participant TEXT NOT NULL, until BIGINT NOT NULL)"]
        },
        Migration("exchange-3-parties") { _ in partyColumns },
        // Instead of an index by owner and posting: as dear to write, and it finds the last entry of one account, too.
        Migration("exchange-3-accounts") { _ in
            ["DROP INDEX entries_by_owner", "CREATE INDEX entries_by_account ON entries (owner, kind, posting)"]
        },
        // Why nobody trades it any more.
        Migration("exchange-3-closing") { _ in
            // Versions that were only halted until now are closed with the next catalogue.
            ["ALTER TABLE products ADD COLUMN closed TEXT", "UPDATE catalogue SET closed = 0 WHERE superseded_by IS NOT NULL"]
        },
        Migration("exchange-3-repeats") { _ in ["ALTER TABLE self_matches ADD COLUMN times BIGINT NOT NULL DEFAULT 1"] },
        Migration("exchange-3-numbers") { dialect in dialect == .sqlite ? numberedLedger : [] },
    ]

    /// A product has many series now: one for each delivery period. The table is made anew because the old one allowed one of a kind.
    private static let forwardChanges = [
        """
        CREATE TABLE delivery_series (id TEXT PRIMARY KEY, product TEXT NOT NULL REFERENCES products(id), kind TEXT NOT NULL, delivery_start BIGINT,
          delivery_end BIGINT, halted TEXT, stage TEXT NOT NULL)
        """,
        "INSERT INTO delivery_series (id, product, kind, halted, stage) SELECT id, product, kind, halted, 'trading' FROM series",
        "DROP TABLE series", "ALTER TABLE delivery_series RENAME TO series",
        "CREATE UNIQUE INDEX series_spot ON series (product) WHERE kind = 'spot'",
        "CREATE UNIQUE INDEX series_forward ON series (product, kind, delivery_start) WHERE kind <> 'spot'",
        "CREATE INDEX series_listed ON series (id) WHERE stage <> 'expired'",
        "ALTER TABLE contracts ADD COLUMN delivery_start BIGINT", "ALTER TABLE contracts ADD COLUMN delivery_end BIGINT",
        "ALTER TABLE contracts ADD COLUMN paid_until BIGINT NOT NULL DEFAULT 0", "UPDATE contracts SET paid_until = period_end",
        "ALTER TABLE contracts ADD COLUMN margin BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE contracts ADD COLUMN bond BIGINT NOT NULL DEFAULT 0",
    ]

    private static let surveillanceTables = [
        // By UTC day.
        """
        CREATE TABLE conduct (day BIGINT NOT NULL, participant TEXT NOT NULL, series TEXT NOT NULL, orders BIGINT NOT NULL, withdrawn BIGINT NOT NULL,
          fleeting BIGINT NOT NULL, far BIGINT NOT NULL, trades BIGINT NOT NULL, PRIMARY KEY (day, participant, series))
        """,
        """
        CREATE TABLE self_matches (number BIGINT PRIMARY KEY, participant TEXT NOT NULL, series TEXT NOT NULL, side TEXT NOT NULL, price BIGINT NOT NULL,
          lots BIGINT NOT NULL, order_id TEXT NOT NULL, outcome TEXT NOT NULL, at BIGINT NOT NULL)
        """,
        "CREATE INDEX self_matches_by_participant ON self_matches (participant, number)",
        // Up to which revision the change feed is in these tables.
        "CREATE TABLE surveillance_cursor (id BIGINT PRIMARY KEY, revision BIGINT NOT NULL)",
        "INSERT INTO surveillance_cursor (id, revision) VALUES (1, 0)",
    ]

    private static let barTables = [
        // Its length in microseconds; the turnover is the higher number × 10^18 + the lower.
        """
        CREATE TABLE bars (series TEXT NOT NULL, span BIGINT NOT NULL, start BIGINT NOT NULL, opening BIGINT NOT NULL, high BIGINT NOT NULL,
          low BIGINT NOT NULL, closing BIGINT NOT NULL, lots BIGINT NOT NULL, turnover_high BIGINT NOT NULL, turnover_low BIGINT NOT NULL,
          trades BIGINT NOT NULL, PRIMARY KEY (series, span, start))
        """
    ]

    private static let riskTables =
        [
            "ALTER TABLE participants ADD COLUMN credit_line BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE participants ADD COLUMN credit_changes BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE series ADD COLUMN halted_until BIGINT",
            // The reference price as it was set, and the number of the last trade that does not count towards the next.
            "ALTER TABLE series ADD COLUMN reference_price BIGINT", "ALTER TABLE series ADD COLUMN reference_after BIGINT",
            """
            CREATE TABLE credit_lines (participant TEXT NOT NULL REFERENCES participants(id), number BIGINT NOT NULL, amount BIGINT NOT NULL,
              previous BIGINT NOT NULL, reason TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (participant, number))
            """,
            """
            CREATE TABLE busts (trade TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, series TEXT NOT NULL, contract TEXT NOT NULL, reason TEXT NOT NULL,
              at BIGINT NOT NULL, paid_back BIGINT NOT NULL)
            """,
        ]
        + [
            "buyer_fee_rate", "buyer_fee", "buyer_fee_remainder", "seller_fee_rate", "seller_fee", "seller_fee_remainder", "fees_held",
        ].map { "ALTER TABLE contracts ADD COLUMN \($0) BIGINT NOT NULL DEFAULT 0" }

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

    /// The ledger in the order of its numbers, without an index beside each table: see `store/0005-numbers`.
    private static let numberedLedger = [
        """
        CREATE TABLE numbered_postings (id INTEGER PRIMARY KEY, at BIGINT NOT NULL, reason TEXT NOT NULL, order_id TEXT, contract TEXT, reference TEXT)
        """,
        "INSERT INTO numbered_postings SELECT id, at, reason, order_id, contract, reference FROM postings ORDER BY id",
        """
        CREATE TABLE numbered_entries (posting BIGINT NOT NULL REFERENCES numbered_postings(id), line BIGINT NOT NULL, owner TEXT NOT NULL,
          kind TEXT NOT NULL, currency TEXT NOT NULL, amount BIGINT NOT NULL, balance BIGINT NOT NULL, PRIMARY KEY (posting, line)) WITHOUT ROWID
        """,
        "INSERT INTO numbered_entries SELECT posting, line, owner, kind, currency, amount, balance FROM entries ORDER BY posting, line",
        "DROP TABLE entries", "DROP TABLE postings",
        // The reference of the entries follows the name.
        "ALTER TABLE numbered_postings RENAME TO postings", "ALTER TABLE numbered_entries RENAME TO entries",
        "CREATE INDEX postings_by_contract ON postings (contract, id) WHERE contract IS NOT NULL",
        "CREATE INDEX entries_by_account ON entries (owner, kind, posting)",
    ]

    private static let bilateralTables = [
        // All that were ever made. Asked: when its proposer wanted it to expire.
        """
        CREATE TABLE proposals (id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, proposer TEXT NOT NULL REFERENCES participants(id),
          counterparty TEXT NOT NULL REFERENCES participants(id), series TEXT NOT NULL, side TEXT NOT NULL, price BIGINT NOT NULL,
          lots BIGINT NOT NULL, datacenter TEXT, note TEXT, asked BIGINT, created BIGINT NOT NULL, expires BIGINT NOT NULL, state TEXT NOT NULL,
          decided BIGINT, reason TEXT, trade TEXT, contract TEXT)
        """,
        "CREATE INDEX proposals_by_proposer ON proposals (proposer, number)",
        "CREATE INDEX proposals_by_counterparty ON proposals (counterparty, number)",
        "CREATE INDEX proposals_open ON proposals (number) WHERE state = 'open'",
        // What came of a proposal has no orders, and no place in what is published of the market.
        "ALTER TABLE trades ADD COLUMN proposal TEXT", "ALTER TABLE contracts ADD COLUMN proposal TEXT",
        "ALTER TABLE conduct ADD COLUMN bilateral BIGINT NOT NULL DEFAULT 0",
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

    /// Whose a stretch is, so that what somebody has to report or is disputing is found without looking at all there ever was.
    private static let partyColumns =
        ["buyer", "seller", "datacenter"].flatMap { column in
            [
                "ALTER TABLE deliveries ADD COLUMN \(column) TEXT NOT NULL DEFAULT ''",
                "UPDATE deliveries SET \(column) = (SELECT c.\(column) FROM contracts c WHERE c.id = deliveries.contract)",
            ]
        } + [
            """
            CREATE INDEX deliveries_awaited_of_buyer ON deliveries (buyer, due, contract, period_start)
            WHERE state = 'waiting' AND buyer_report IS NULL
            """,
            """
            CREATE INDEX deliveries_awaited_of_seller ON deliveries (datacenter, due, contract, period_start)
            WHERE state = 'waiting' AND seller_report IS NULL
            """,
            "CREATE INDEX disputes_by_buyer ON deliveries (buyer, dispute_id) WHERE dispute_id IS NOT NULL",
            "CREATE INDEX disputes_by_seller ON deliveries (seller, dispute_id) WHERE dispute_id IS NOT NULL",
            "CREATE INDEX disputes_open ON deliveries (dispute_id) WHERE state = 'disputed'",
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
