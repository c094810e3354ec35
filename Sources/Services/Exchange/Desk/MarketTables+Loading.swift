import CloudAPI
import Foundation
import Market
import Primitives
import Store

// From the tables back to the market: what is not over.

extension MarketTables {
    /// - Returns: what the tables hold, and the last batch of the journal that is in them.
    static func load(from context: any ReadContext) throws -> (snapshot: MarketSnapshot, clock: Instant, journal: Int64) {
        guard
            let state = try context.queryOne(
                "SELECT clock, last_priority, last_contract, last_posting, resumed, journal FROM market_state WHERE id = 1")
        else {
            throw StoreError.corrupted("the row of market_state is missing")
        }
        let products = try context.query("SELECT * FROM products ORDER BY id").map(Product.init(row:))
        let series = try context.query("SELECT * FROM series WHERE stage <> 'expired' ORDER BY id").map(Series.init(row:))
        let snapshot = MarketSnapshot(
            participants: try context.query("SELECT * FROM participants ORDER BY id").map(Participant.init(row:)),
            products: products, series: series,
            datacenters: try context.query("SELECT * FROM datacenters ORDER BY id").map(Datacenter.init(row:)),
            offerings: try context.query("SELECT * FROM offerings ORDER BY datacenter, product").map(Offering.init(row:)),
            orders: try context.query("SELECT * FROM orders WHERE state = 'resting' ORDER BY priority").map(Order.init(row:)),
            contracts: try context.query("SELECT * FROM contracts WHERE state <> 'settled' ORDER BY number").map(Contract.init(row:)),
            proposals: try context.query("SELECT * FROM proposals WHERE state = 'open' ORDER BY number").map(Proposal.init(row:)),
            references: try references(of: series, products, in: context),
            deliveries: try context.query("SELECT * FROM deliveries WHERE state <> 'settled'").map(Delivery.init(row:)),
            balances: try context.query("SELECT * FROM balances WHERE amount <> 0").map(MarketSnapshot.Balance.init(row:)),
            lastPriority: try state.integer("last_priority"), lastContract: try state.integer("last_contract"),
            lastProposal: try context.queryOne("SELECT MAX(number) AS last FROM proposals")?.optionalInteger("last") ?? 0,
            lastPosting: try state.integer("last_posting"), resumed: try state.instant("resumed"))
        return (snapshot, try state.instant("clock"), try state.integer("journal"))
    }

    private static func references(
        of series: [Series], _ products: [Product], in context: any ReadContext
    ) throws -> [MarketSnapshot.Reference] {
        let terms = Dictionary(uniqueKeysWithValues: products.map { ($0.id, $0.terms) })
        return try series.map { one in
            let rule = terms[one.product]?.risk.reference ?? .standard
            return MarketSnapshot.Reference(
                series: one.id, entries: Array(try context.referencePrice(of: one.id, rule, setting: one.reference).entries))
        }
    }
}

extension ReadContext {
    /// What a series is worth by the trades in the tables.
    func referencePrice(
        of series: SeriesID, _ rule: ReferencePrice.Rule, setting: ReferencePrice.Setting?
    ) throws -> ReferencePrice {
        let rows = try query(
            """
            SELECT t.number, t.price, CASE WHEN b.trade IS NULL THEN t.lots ELSE 0 END AS lots FROM trades t LEFT JOIN busts b ON b.trade = t.id
            WHERE t.series = $1 AND t.number > $2 AND t.proposal IS NULL ORDER BY t.number DESC LIMIT $3
            """, [SQLValue(series), SQLValue(setting?.afterTrade ?? 0), SQLValue(rule.trades)])
        let entries = try rows.reversed().map { row in
            ReferencePrice.Entry(number: try row.integer("number"), price: try row.integer("price"), lots: try row.integer("lots"))
        }
        return ReferencePrice(rule: rule, setting: setting, entries: entries)
    }
}

extension Row {
    func currency(_ column: String) throws -> Currency {
        let code = try text(column)
        guard let currency = Currency(code) else { throw StoreError.corrupted("'\(code)' is no currency") }
        return currency
    }
}

extension Participant {
    init(row: Row) throws {
        self.init(
            id: try row.id("id"), name: try row.text("name"), buys: try row.bool("buys"), sells: try row.bool("sells"),
            currency: try row.currency("currency"), created: try row.instant("created"), suspended: try row.optionalText("suspended"),
            creditLine: try row.integer("credit_line"), creditChanges: try row.integer("credit_changes"))
    }
}

extension Product {
    init(row: Row) throws { try self.init(row: row, id: "id") }

    /// - Parameter id: the column of the identifier.
    init(row: Row, id: String) throws {
        let definition = try WireJSON.decode(ProductDefinition.self, from: Data(try row.text("definition").utf8))
        let limits = OrderLimits(
            tick: try row.integer("tick"), largestPrice: try row.integer("largest_price"), largestLots: try row.integer("largest_lots"))
        self.init(
            id: try row.id(id), terms: Terms(definition, limits: limits), termsHash: try row.text("terms_hash"),
            created: try row.instant("created"), closed: try row.optionalText("closed"))
    }
}

extension Row {
    /// The two columns of a delivery period; nil: spot.
    fileprivate func delivery() throws -> Period? {
        guard let start = try optionalInstant("delivery_start"), let end = try optionalInstant("delivery_end") else { return nil }
        return Period(start: start, end: end)
    }
}

extension Series {
    init(row: Row) throws {
        let (price, after) = (try row.optionalInteger("reference_price"), try row.optionalInteger("reference_after"))
        self.init(
            id: try row.id("id"), product: try row.id("product"), kind: try row.value("kind"), delivery: try row.delivery(),
            halted: try row.optionalText("halted"), haltedUntil: try row.optionalInstant("halted_until"),
            reference: price.map { ReferencePrice.Setting(price: $0, afterTrade: after ?? 0) }, stage: try row.value("stage"))
    }
}

extension Datacenter {
    init(row: Row) throws {
        self.init(
            id: try row.id("id"), owner: try row.id("owner"), name: try row.text("name"), region: try row.text("region"),
            zones: try WireJSON.decode([String].self, from: Data(try row.text("zones").utf8)), peerAddress: try row.text("peer_address"))
    }
}

extension Offering {
    fileprivate init(row: Row) throws {
        self.init(datacenter: try row.id("datacenter"), product: try row.id("product"), declared: try row.integer("declared"))
    }
}

extension Order {
    init(row: Row) throws {
        let draft = OrderDraft(
            participant: try row.id("participant"), series: try row.id("series"), side: try row.value("side"),
            lifetime: try row.value("lifetime"),
            price: try row.integer("price"), lots: try row.integer("lots"), datacenter: try row.optionalID("datacenter"),
            clientOrderID: try row.optionalText("client_order_id"),
            conditions: OrderConditions(try WireJSON.decode(OrderConditionsView.self, from: Data(try row.text("conditions").utf8))))
        self.init(
            id: try row.id("id"), priority: try row.integer("priority"), draft: draft, placed: try row.instant("placed"),
            filled: try row.integer("filled"), shown: try row.optionalInteger("shown"), state: try row.value("state"),
            cancelReason: try row.optionalText("cancel_reason").flatMap(CancelReason.init(rawValue:)))
    }
}

extension Contract {
    init(row: Row) throws {
        self.init(
            id: try row.id("id"), number: try row.integer("number"), trade: try row.id("trade"), proposal: try row.optionalID("proposal"),
            series: try row.id("series"),
            product: try row.id("product"), buyer: try row.id("buyer"), seller: try row.id("seller"), datacenter: try row.id("datacenter"),
            lots: try row.integer("lots"), price: try row.integer("price"), currency: try row.currency("currency"),
            termsHash: try row.text("terms_hash"), spotPeriod: try row.span("spot_period"), created: try row.instant("created"),
            delivery: try row.delivery(),
            period: Period(start: try row.instant("period_start"), end: try row.instant("period_end")), state: try row.value("state"),
            closing: try Self.closing(row), settledUntil: try row.instant("settled_until"), remainder: try row.integer("remainder"),
            settled: try row.integer("settled"), held: try row.integer("held"), paidUntil: try row.instant("paid_until"),
            margin: try row.integer("margin"), bond: try row.integer("bond"), credited: try row.integer("credited"),
            fees: try ContractFees(row: row),
            confirmation: Confirmation(
                deadline: try row.instant("confirm_by"), buyer: try row.optionalInstant("confirmed_buyer"),
                seller: try row.optionalInstant("confirmed_seller")),
            outcome: try row.optionalText("outcome").flatMap(Outcome.init(rawValue:)))
    }

    private static func closing(_ row: Row) throws -> Closing? {
        guard try row.optionalText("closing_cause") != nil else { return nil }
        return Closing(
            cause: try row.value("closing_cause"), detail: try row.text("closing_detail"), decided: try row.instant("closing_decided"))
    }
}

extension ContractFees {
    fileprivate init(row: Row) throws {
        self.init(
            buyer: try Share(row: row, "buyer_fee"), seller: try Share(row: row, "seller_fee"), held: try row.integer("fees_held"))
    }
}

extension ContractFees.Share {
    fileprivate init(row: Row, _ column: String) throws {
        self.init(
            rate: try row.integer(column + "_rate"), charged: try row.integer(column), remainder: try row.integer(column + "_remainder"))
    }
}

extension LedgerAccount {
    init(row: Row) throws {
        self.init(owner: ParticipantID(try row.text("owner")), kind: try row.value("kind"), currency: try row.currency("currency"))
    }
}

extension MarketSnapshot.Balance {
    fileprivate init(row: Row) throws { self.init(account: try LedgerAccount(row: row), amount: try row.integer("amount")) }
}
