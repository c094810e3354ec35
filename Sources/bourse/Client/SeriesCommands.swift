import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

struct SeriesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "series", abstract: "Products by delivery period.",
        subcommands: [List.self, Show.self, Bars.self, Ticker.self, Halt.self, Reopen.self, Reference.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List series with their best prices per lot-hour, soonest delivery first.")
        @Option(help: "Only this product: prd-… or its name.") var product: String?
        @Option(help: "Only spot, hour, day, week or month.") var kind: String?
        @Option(help: "Only open, halted, closed or expired; all but expired ones when absent.") var state: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { client in
                var query: [String: String] = [:]
                if let product { query["product"] = try await client.product(named: product).description }
                if let kind { query["kind"] = kind }
                if let state { query["state"] = state }
                return try await client.items(of: ExchangeAPI.listSeries, query: query)
            }
            let rank = ["spot": 0, "hour": 1, "day": 2, "week": 3, "month": 4]
            let sorted = items.sorted {
                ($0.productName, rank[$0.kind] ?? 5, $0.period.start, $0.id) < ($1.productName, rank[$1.kind] ?? 5, $1.period.start, $1.id)
            }
            try output.list(
                sorted, columns: ["id", "product", "kind", "state", "period start", "period end", "bid", "ask", "last", "reference"]
            ) {
                [
                    $0.id.description, $0.productName, $0.kind, $0.stateText, timeText($0.period.start), timeText($0.period.end),
                    priceText($0.bestBid), priceText($0.bestAsk), priceText($0.lastPrice), priceText($0.referencePrice),
                ]
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one series: period, state and best prices.")
        @Argument(help: "ser-…") var series: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with { try await $0.call(ExchangeAPI.showSeries, path: ["series": series]) }
            try output.item(
                view,
                [
                    ("Series", view.id.description), ("Product", "\(view.productName) (\(view.product))"), ("Kind", view.kind),
                    ("State", view.stateText), ("Delivery", "\(timeText(view.period.start)) to \(timeText(view.period.end))"),
                    ("Trades until", view.closes.map(timeText)), ("Best bid", priceText(view.bestBid)),
                    ("Best ask", priceText(view.bestAsk)),
                    ("Last price", priceText(view.lastPrice)), ("Reference", priceText(view.referencePrice)),
                    ("Orders from", view.collar.map(rangeText)), ("Trades from", view.volatilityBand.map(rangeText)),
                ])
        }
    }

    struct Halt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: stop trading in a series; orders rest and may be cancelled.")
        @Argument(help: "ser-…") var series: String
        @Option(help: "For everybody to read.") var reason: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.haltSeries, path: ["series": series], body: Suspension(reason: reason))
            }
            try output.item(view, [("Series", view.id.description), ("State", view.state), ("Reason", view.reason)])
        }
    }

    struct Reopen: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: let a series trade again.")
        @Argument(help: "ser-…") var series: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with { try await $0.call(ExchangeAPI.reopenSeries, path: ["series": series]) }
            try output.item(view, [("Series", view.id.description), ("State", view.state)])
        }
    }
}

extension SeriesView {
    fileprivate var stateText: String {
        guard state == "halted" else { return state }
        return "halted" + (haltedUntil.map { " until \(timeText($0))" } ?? "") + ": \(reason ?? "")"
    }
}

extension CloudClient {
    /// A product by identifier or name.
    fileprivate func product(named text: String) async throws -> ProductID {
        if let id = ProductID(text) { return id }
        guard let product = try await items(of: ExchangeAPI.listProducts).first(where: { $0.definition.name == text }) else {
            throw Failure(text: "There is no product '\(text)'; see `bourse product list`.")
        }
        return product.id
    }
}

struct QuoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quote", abstract: "What a window costs now, and which orders make it up.",
        discussion: "bourse quote general.demo-1a.das --start 2026-11-22T00:00:00Z --end 2026-11-29T00:00:00Z --lots 4")
    @Argument(help: "prd-… or its name") var product: String
    @Option(help: "A full hour (UTC), e.g. 2026-11-22T00:00:00Z; the hour in progress at the earliest.") var start: String
    @Option(help: "A full hour (UTC).") var end: String
    @Option var lots: Int64 = 1
    @Option(help: "buy or sell") var side = "buy"
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let quote = try await Target.exchange.with { client in
            let query = [
                "product": try await client.product(named: product).description, "start": start, "end": end, "lots": String(lots),
                "side": side,
            ]
            return try await client.call(ExchangeAPI.quote, query: query)
        }
        guard output.output == .table else { return try output.item(quote, []) }
        let total = Money(microUnits: quote.totalMicroUnits, quote.currency)
        try output.item(
            quote,
            [
                ("Product", quote.productName), ("Window", "\(timeText(quote.window.start)) to \(timeText(quote.window.end))"),
                ("Total", "\(total) for \(counted(quote.lots, "lot")), \(priceText(quote.average)) per lot-hour"),
                ("Depth", "\(counted(quote.depth, "lot")) before one costs more"),
            ])
        try output.list(quote.legs, columns: ["series", "kind", "period start", "period end", "lots", "limit", "cost", "levels"]) { leg in
            [
                leg.series.description, leg.kind, timeText(leg.period.start), timeText(leg.period.end), "\(leg.lots)",
                priceText(leg.order.price), priceText(leg.costMicroUnits),
                leg.levels.map { "\($0.lots) at \(priceText($0.price))" }.joined(separator: ", "),
            ]
        }
    }
}
