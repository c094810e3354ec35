import CloudAPI
import Foundation
import Primitives

/// The ladder of one series, made from the events of its stream, as lines of text for a terminal of any size.
struct LadderScreen {
    private static let mostTrades = 200

    let title: String
    private var bids: [Int64: PriceLevel] = [:]
    private var asks: [Int64: PriceLevel] = [:]
    private var trades: [TradePrint] = []
    private var state = "open"
    private var reason: String?
    private var at: Instant?
    /// What keeps the picture from being true now.
    var trouble: String?

    init(title: String) { self.title = title }

    mutating func take(_ event: SeriesEvent) {
        if event.kind == .snapshot { (bids, asks, trades) = ([:], [:], []) }
        for level in event.bids { bids[level.price] = level.lots == 0 ? nil : level }
        for level in event.asks { asks[level.price] = level.lots == 0 ? nil : level }
        trades = Array((trades + event.trades).suffix(Self.mostTrades))
        for trade in event.busted { if let place = trades.firstIndex(of: trade) { trades.remove(at: place) } }
        (state, reason) = (event.state, event.reason)
        at = event.at
    }

    // MARK: Drawing

    /// Colours are escape sequences that take no room.
    private enum Ink: String {
        case bid = "\u{1b}[32m"
        case ask = "\u{1b}[31m"
        case alert = "\u{1b}[7m"
        case quiet = "\u{1b}[2m"

        func callAsFunction(_ text: String) -> String { "\(rawValue)\(text)\u{1b}[0m" }
    }

    /// As many lines as fit, none wider than `width`: asks above, bids below, the newest trades beside them when there is room.
    func lines(width: Int, height: Int) -> [String] {
        let depth = max(1, (height - 5) / 2)
        let highest = asks.values.sorted { $0.price < $1.price }.prefix(depth).reversed()
        let best = bids.values.sorted { $0.price > $1.price }.prefix(depth)
        let shown = Array(highest) + Array(best)
        let columns = Columns(shown, width: width)
        var lines = [Self.fit(header, width), state(width), Ink.quiet(Self.fit(columns.head, width))]
        lines += highest.map { Ink.ask(columns.line($0, width)) }
        lines.append(Ink.quiet(Self.fit(gap(columns), width)))
        lines += best.map { Ink.bid(columns.line($0, width)) }
        return beside(lines, from: columns.end + 4, width: width)
    }

    private var header: String { title + (at.map { "   \(timeText($0)) UTC" } ?? "") }

    private func state(_ width: Int) -> String {
        if let trouble { return Ink.alert(Self.fit(trouble, width)) }
        guard state == "open" else { return Ink.alert(Self.fit(state.uppercased() + (reason.map { ": \($0)" } ?? ""), width)) }
        let last = trades.last.map { "last \(priceText($0.price)) × \($0.lots)" } ?? "nothing traded yet"
        return Self.fit("open, \(last)", width)
    }

    private func gap(_ columns: Columns) -> String {
        guard let bid = bids.keys.max(), let ask = asks.keys.min() else {
            return bids.isEmpty && asks.isEmpty ? "the book is empty" : "one side only"
        }
        return "spread \(priceText(ask - bid))"
    }

    /// The newest trades to the right of the ladder.
    private func beside(_ lines: [String], from column: Int, width: Int) -> [String] {
        let room = width - column
        guard room >= 24 else { return lines }
        let texts = ["trades"] + trades.reversed().map { "\(timeText($0.at).suffix(8))  \(priceText($0.price)) × \($0.lots)" }
        return lines.enumerated().map { number, line in
            guard number >= 2, number - 2 < texts.count else { return line }
            return line + "\u{1b}[\(column + 1)G" + (number == 2 ? Ink.quiet(Self.fit(texts[0], room)) : Self.fit(texts[number - 2], room))
        }
    }

    static func fit(_ text: String, _ width: Int) -> String {
        // Control characters in a reason would be commands to the terminal.
        let printable = String(text.unicodeScalars.filter { $0.value >= 32 && !(127...159).contains($0.value) }.map(Character.init))
        return printable.count <= width ? printable : String(printable.prefix(max(0, width - 1))) + "…"
    }

    /// Widths of the ladder's columns, and a bar of each level's volume where there is room.
    private struct Columns {
        let price: Int
        let lots: Int
        let orders: Int
        let bar: Int
        let most: Int64

        init(_ levels: [PriceLevel], width: Int) {
            price = max(5, levels.map { priceText($0.price).count }.max() ?? 0)
            lots = max(4, levels.map { "\($0.lots)".count }.max() ?? 0)
            orders = max(6, levels.map { "\($0.orders)".count }.max() ?? 0)
            bar = max(0, min(24, width - price - lots - orders - 6))
            most = max(1, levels.map(\.lots).max() ?? 1)
        }

        var end: Int { price + lots + orders + 6 + bar }
        var head: String { Self.right("price", price) + "  " + Self.right("lots", lots) + "  " + Self.right("orders", orders) }

        func line(_ level: PriceLevel, _ width: Int) -> String {
            let cells = [(priceText(level.price), price), ("\(level.lots)", lots), ("\(level.orders)", orders)]
            let text = cells.map { Self.right($0.0, $0.1) }.joined(separator: "  ")
            // Wide numbers: volumes of one order have up to seven digits, of a level more.
            let length = Int(Double(level.lots) / Double(most) * Double(bar))
            return LadderScreen.fit(text + "  " + String(repeating: "█", count: max(bar > 0 ? 1 : 0, length)), width)
        }

        private static func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
    }
}

/// What an event says, as lines for a file or a pipe.
func lines(of event: SeriesEvent) -> [String] {
    let time = timeText(event.at)
    let levels = { (side: String, levels: [PriceLevel]) in
        levels.map { level in
            "\(time) \(side) \(priceText(level.price)) "
                + (level.lots == 0 ? "gone" : "\(counted(level.lots, "lot")), \(counted(level.orders, "order"))")
        }
    }
    let head =
        switch event.kind {
        case .snapshot: ["\(time) snapshot \(event.bids.count) bid levels, \(event.asks.count) ask levels"]
        case .gap: ["\(time) gap events were missed"]
        case .change: [String]()
        }
    let state = event.state == "open" ? [] : ["\(time) \(event.state) \(LadderScreen.fit(event.reason ?? "", 500))"]
    let busted = event.busted.map { "\(time) busted \(priceText($0.price)) × \($0.lots), traded \(timeText($0.at))" }
    let trades = event.trades.map { "\(time) \(event.kind == .snapshot ? "last" : "trade") \(priceText($0.price)) × \($0.lots)" }
    return head + trades + busted + levels("bid", event.bids) + levels("ask", event.asks) + state
}
