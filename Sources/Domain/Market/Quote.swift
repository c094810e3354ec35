public import Primitives

/// A question for a price: so many lots throughout a window.
public struct QuoteRequest: Hashable, Sendable {
    public var product: ProductID
    /// Whole hours (UTC). It may begin with the hour in progress, of which the rest counts.
    public var window: Period
    public var lots: Int64
    public var side: Side
    /// Whose own orders do not count; nil: all count.
    public var asker: ParticipantID?

    public init(product: ProductID, window: Period, lots: Int64, side: Side, asker: ParticipantID? = nil) {
        self.product = product
        self.window = window
        self.lots = lots
        self.side = side
        self.asker = asker
    }
}

/// The cheapest combination of series that makes up a window (to sell: the dearest), at the prices in the books now, without fees.
public struct Quote: Hashable, Sendable {
    /// What to trade in one series.
    public struct Leg: Hashable, Sendable {
        public let series: SeriesID
        public let kind: Series.Kind
        /// What of the window it covers.
        public let period: Period
        public let lots: Int64
        /// The price levels it uses, best first, with what it uses of each.
        public let levels: [DepthLevel]
        /// Micro-units.
        public let cost: Int64

        /// The price an order for it needs, in micro-units per lot-hour: that of the last level.
        public var limit: Int64 { levels.last?.price ?? 0 }
    }

    public let request: QuoteRequest
    /// By start.
    public let legs: [Leg]
    /// Micro-units, each leg rounded half-even.
    public let total: Int64
    /// Micro-units per lot-hour, rounded half-even.
    public let average: Int64
    /// How many lots can be had for the whole window before one costs more than the dearest of these.
    public let depth: Int64
}

/// All that a quote depends on, taken from a market at one moment. Solving it takes time and needs the market no more.
public struct QuoteProblem: Sendable {
    public let request: QuoteRequest
    public let product: Product
    public let at: Instant
    let segments: [QuoteFlow.Segment]

    /// Lots may take different ways through the window, each over series that follow each other without a gap; together they are a flow of
    /// least cost. Refused, with what there is, when the series do not make up the window.
    public func solve() throws(Refusal) -> Quote {
        var flow = QuoteFlow(segments, window: request.window, side: request.side)
        guard flow.add(request.lots) == request.lots else { throw uncovered(most: flow.lots) }
        var legs: [Quote.Leg] = []
        var total: Int128 = 0
        for (segment, levels) in flow.used {
            let cost = levels.reduce(Int128(0)) { $0 + Int128($1.price) * Int128($1.lots) * Int128(segment.charged.microseconds) }
                .dividedHalfEven(by: Int128(Span.hours(1).microseconds))
            total += cost
            guard let cost = Int64(exactly: cost), Int64(exactly: total) != nil else { throw .quoteTooLarge(request) }
            legs.append(
                Quote.Leg(
                    series: segment.series, kind: segment.kind, period: segment.period, lots: levels.map(\.lots).reduce(0, +),
                    levels: levels, cost: cost))
        }
        guard let sum = Int64(exactly: total) else { throw .quoteTooLarge(request) }
        let time = request.window.end - max(request.window.start, at)
        let average = (total * Int128(Span.hours(1).microseconds)).dividedHalfEven(by: Int128(time.microseconds) * Int128(request.lots))
        flow.addAtSamePrice()
        return Quote(request: request, legs: legs, total: sum, average: Int64(average), depth: flow.lots)
    }

    /// An explained no.
    private func uncovered(most: Int64) -> Refusal {
        let offer = request.side == .buy ? "on offer" : "asked for"
        let what = "\(product.terms.name) from \(request.window.start) to \(request.window.end)"
        guard most == 0 else {
            return Refusal(
                "quote.uncovered", .capacity, "Only \(most) of \(request.lots) lots of \(what) are \(offer) throughout.",
                facts: ["lots": .number(request.lots), "covered": .number(most)], nearest: "\(most) lots for the whole window")
        }
        guard let part = QuoteFlow.longestCovered(segments) else {
            return Refusal(
                "quote.uncovered", .capacity, "Nothing of \(what) is \(offer) now.", facts: ["lots": .number(request.lots), "covered": 0])
        }
        var flow = QuoteFlow(segments, window: part, side: request.side)
        let lots = flow.add(request.lots)
        return Refusal(
            "quote.uncovered", .capacity,
            "No series together make up \(what) without a gap; \(lots) lots are \(offer) from \(part.start) to \(part.end).",
            facts: [
                "lots": .number(request.lots), "covered": .number(lots), "from": .text("\(part.start)"), "until": .text("\(part.end)"),
            ], nearest: "\(lots) lots from \(part.start) to \(part.end)")
    }
}

extension Market {
    /// Of each book the best this many prices count.
    static let quotedLevels = 50
    static let longestQuote = Span.days(400)

    /// What a window costs now. Looks and changes nothing. Orders that are taken whole or not at all do not count, nor what others keep
    /// hidden.
    public func quote(_ request: QuoteRequest, at: Instant) throws(Refusal) -> Quote { try quoteProblem(request, at: at).solve() }

    public func quoteProblem(_ request: QuoteRequest, at: Instant) throws(Refusal) -> QuoteProblem {
        QuoteProblem(request: request, product: try checked(request, at: at), at: at, segments: segments(for: request, at: at))
    }

    private func checked(_ request: QuoteRequest, at: Instant) throws(Refusal) -> Product {
        guard let product = products[request.product] else { throw .unknown("product", request.product) }
        let (window, hour) = (request.window, Span.hours(1))
        try checkRange(request.lots, 1...product.terms.limits.largestLots, "number of lots", rule: "market.lots")
        let (start, end) = (window.start.floored(to: hour), window.end.floored(to: hour))
        guard start == window.start, end == window.end, start < end else {
            throw Refusal(
                "quote.window", .invalid, "A window begins and ends on full hours (UTC) and is not empty.",
                facts: ["start": .text("\(window.start)"), "end": .text("\(window.end)")],
                nearest: "\(start) to \(max(end, start + hour))")
        }
        guard start >= at.floored(to: hour), window.length <= Self.longestQuote else {
            let first = max(start, at.floored(to: hour))
            throw Refusal(
                "quote.window", .invalid,
                "A window begins with the hour in progress or later, and is at most \(Self.longestQuote.seconds / 86_400) days long.",
                facts: ["start": .text("\(start)"), "now": .text("\(at)")],
                nearest: "\(first) to \(min(max(end, first + hour), first + Self.longestQuote))")
        }
        return product
    }

    /// The open series inside the window, by start and then length, with what can be had of them.
    private func segments(for request: QuoteRequest, at: Instant) -> [QuoteFlow.Segment] {
        var segments: [QuoteFlow.Segment] = []
        let inProgress = at.floored(to: .hours(1))
        for listing in listings.values where listing.product.id == request.product && listing.series.state == .open {
            let period = listing.series.delivery ?? Period(start: inProgress, end: inProgress + .hours(1))
            guard request.window.start <= period.start, period.end <= request.window.end else { continue }
            let levels = takeable(listing, request)
            guard !levels.isEmpty else { continue }
            segments.append(
                QuoteFlow.Segment(
                    series: listing.series.id, kind: listing.series.kind, period: period, charged: period.end - max(period.start, at),
                    levels: levels))
        }
        return segments.sorted {
            ($0.period.start, $0.period.end, $0.kind == .spot ? 0 : 1, $0.series)
                < ($1.period.start, $1.period.end, $1.kind == .spot ? 0 : 1, $1.series)
        }
    }

    /// The other side of a book: what is shown and may be taken in part, without the asker's own, up to the first price that lies outside
    /// the collar or the volatility band.
    private func takeable(_ listing: Listing, _ request: QuoteRequest) -> [DepthLevel] {
        let ranges = [collar(of: listing.series.id), volatilityBand(of: listing.series.id)].compactMap { $0 }
        var levels: [DepthLevel] = []
        books.walk(book: listing.book, side: request.side.opposite) { slot in
            let order = restingOrder(at: slot)
            guard !order.draft.conditions.allOrNone, order.draft.participant != request.asker else { return true }
            guard ranges.allSatisfy({ $0.contains(order.draft.price) }) else { return false }
            if levels.last?.price != order.draft.price {
                guard levels.count < Self.quotedLevels else { return false }
                levels.append(DepthLevel(price: order.draft.price, lots: 0, orders: 0))
            }
            levels[levels.count - 1].lots += books.shown(at: slot)
            levels[levels.count - 1].orders += 1
            return true
        }
        return levels
    }
}

extension Refusal {
    fileprivate static func quoteTooLarge(_ request: QuoteRequest) -> Refusal {
        Refusal(
            "quote.amount", .invalid, "What \(request.lots) lots cost over the window does not fit the exchange's amounts.",
            facts: ["lots": .number(request.lots)], nearest: "fewer lots or a shorter window")
    }
}
