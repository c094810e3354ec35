import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    /// The page behind the login: what the caller may see, newest first.
    func home(_ principal: Principal) async throws -> ServiceKit.Page {
        let scope = try Scope(principal)
        let now = time.now()
        let running = await desk.missing() == nil
        let address = await peerAddress()
        return try await database.read { context in
            let name = try scope.participant.map { id in
                try context.queryOne("SELECT name FROM participants WHERE id = $1", [SQLValue(id)])?.text("name") ?? id.description
            }
            return ServiceKit.Page(
                title: name ?? "Exchange \(configuration.name)",
                facts: [("Market", running ? "open" : "standby"), ("Time", now.description), ("Peer listener", address)],
                tables: [
                    try context.bookTable(), try context.contractTable(scope), try context.tradeTable(), try context.balanceTable(scope),
                    try context.productTable(),
                ])
        }
    }
}

extension ReadContext {
    fileprivate func bookTable() throws -> ServiceKit.Page.Table {
        var rows: [[String]] = []
        for row in try query(
            "SELECT s.id AS series, p.name, p.definition FROM series s JOIN products p ON p.id = s.product ORDER BY p.name LIMIT 100")
        {
            let series: SeriesID = try row.id("series")
            for (side, word) in [(Side.sell, "asked"), (.buy, "bid")] {
                let levels = try depth(of: series, side, levels: 5)
                rows += try (side == .sell ? levels.reversed() : levels).map {
                    [try row.text("name"), word, price($0.price), "\($0.lots)", "\($0.orders)"]
                }
            }
        }
        return ServiceKit.Page.Table(
            "Book", columns: ["Product", "Side", "Price per lot-hour", "Lots", "Orders"], rows: rows, empty: "Nobody asks or bids now.")
    }

    fileprivate func contractTable(_ scope: Scope) throws -> ServiceKit.Page.Table {
        let (conditions, arguments) = scope.contractCondition(first: 1)
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let rows = try query("SELECT * FROM contracts \(clause) ORDER BY number DESC LIMIT 50", arguments).map { row -> [String] in
            let contract = try Contract(row: row)
            return [
                contract.id.description, contract.state.rawValue, "\(contract.lots)", price(contract.price),
                contract.period.start.description,
                contract.period.end.description, contract.rolls ? "rolls" : contract.reasonText ?? "",
                Money(microUnits: contract.settled, contract.currency).description,
            ]
        }
        return ServiceKit.Page.Table(
            "Contracts", columns: ["Contract", "State", "Lots", "Price", "From", "Until", "Then", "Settled"], rows: rows)
    }

    fileprivate func tradeTable() throws -> ServiceKit.Page.Table {
        let rows = try query(
            """
            SELECT t.*, p.name FROM trades t JOIN series s ON s.id = t.series JOIN products p ON p.id = s.product
            WHERE t.proposal IS NULL ORDER BY t.number DESC LIMIT 50
            """)
        return ServiceKit.Page.Table(
            "Trades", columns: ["Time", "Product", "Price per lot-hour", "Lots"],
            rows: try rows.map {
                [try $0.instant("at").description, try $0.text("name"), price(try $0.integer("price")), "\(try $0.integer("lots"))"]
            })
    }

    fileprivate func balanceTable(_ scope: Scope) throws -> ServiceKit.Page.Table {
        let rows = try query(
            """
            SELECT b.*, p.name FROM balances b LEFT JOIN participants p ON p.id = b.owner
            WHERE $1 = '' OR b.owner = $1 ORDER BY b.owner, b.kind LIMIT 500
            """, [.text(scope.participant?.description ?? "")])
        return ServiceKit.Page.Table(
            "Balances", columns: ["Participant", "Account", "Amount"],
            rows: try rows.map { row in
                let amount = Money(microUnits: try row.integer("amount"), try row.currency("currency"))
                return [try row.optionalText("name") ?? "the exchange", try row.text("kind"), amount.description]
            })
    }

    fileprivate func productTable() throws -> ServiceKit.Page.Table {
        let rows = try query("SELECT * FROM products ORDER BY name LIMIT 100").map { row -> [String] in
            let terms = try Product(row: row).terms
            return [
                terms.name, terms.unitClass.name, terms.zone ?? terms.region, terms.jurisdiction, terms.storage.rawValue,
                terms.firmness.rawValue,
                "\(terms.spotPeriod.seconds) s",
            ]
        }
        return ServiceKit.Page.Table(
            "Products", columns: ["Product", "Unit", "Place", "Law", "Storage", "Firmness", "Spot period"], rows: rows)
    }

    private func price(_ microUnits: Int64) -> String { decimalText(microUnits: microUnits) }
}
