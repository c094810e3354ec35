import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

extension SeriesCommand {
    struct Bars: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What was traded, by minute, five minutes, hour or day: open, high, low, close, volume.")
        @Argument(help: "ser-…") var series: String
        @Option(help: "1m, 5m, 1h or 1d") var interval = "1h"
        @Option(help: "Only bars that begin then or later, e.g. 2026-01-31T00:00:00Z") var start: String?
        @Option(help: "Only bars that begin before; now when absent") var end: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            var query = ["interval": interval]
            query["start"] = start
            query["end"] = end
            let items = try await Target.exchange.with { [query] in
                try await $0.items(of: ExchangeAPI.listBars, path: ["series": series], query: query, most: 10_000)
            }
            let columns = ["start", "open", "high", "low", "close", "average", "lots", "trades"]
            try output.list(items, columns: columns, empty: "Nothing was traded in this time.") {
                [timeText($0.start)] + [$0.open, $0.high, $0.low, $0.close, $0.average].map { priceText($0) } + [
                    "\($0.lots)", "\($0.trades)",
                ]
            }
        }
    }

    struct Ticker: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "A series at a glance: last trade, best prices, the last 24 hours, the reference price.")
        @Argument(help: "ser-…") var series: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let ticker = try await Target.exchange.with { try await $0.call(ExchangeAPI.showTicker, path: ["series": series]) }
            let range = ticker.day.map { "\(priceText($0.low)) to \(priceText($0.high))" }
            let reference = ticker.reference.map { "\(priceText($0.price)), of the last \(counted($0.lots, "lot"))" }
            try output.item(
                ticker,
                [
                    ("Series", ticker.series.description), ("Time", timeText(ticker.at)),
                    (
                        "Last",
                        ticker.last.map { "\(counted($0.lots, "lot")) at \(priceText($0.price)), \(timeText($0.at))" }
                            ?? "nothing traded yet"
                    ),
                    ("Bid", ticker.bid.map(levelText) ?? "-"), ("Ask", ticker.ask.map(levelText) ?? "-"),
                    (
                        "24 hours",
                        ticker.day.map { "\(counted($0.lots, "lot")) in \(counted($0.trades, "trade")), average \(priceText($0.average))" }
                    ),
                    ("Range", range), ("Reference", reference ?? "none: too little was traded in the last 24 hours"),
                ])
        }

        private func levelText(_ level: PriceLevel) -> String {
            "\(priceText(level.price)), \(counted(level.lots, "lot")) in \(counted(level.orders, "order"))"
        }
    }
}

extension BookCommand {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the order book of a series.")
        @Argument(help: "ser-…") var series: String
        @Option(help: "Levels of each side, 1 to 1000.") var levels = 50
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let book = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.showDepth, path: ["series": series], query: ["levels": "\(levels)"])
            }
            guard output.output == .table else { return try output.item(book, []) }
            let rows = book.asks.reversed().map { (side: "ask", level: $0) } + book.bids.map { (side: "bid", level: $0) }
            try output.list(rows.map(\.level), columns: ["price", "lots", "orders", "side"], empty: "The book is empty.") { level in
                let side = rows.first { $0.level == level }?.side ?? ""
                return [priceText(level.price), "\(level.lots)", "\(level.orders)", side]
            }
        }
    }
}
