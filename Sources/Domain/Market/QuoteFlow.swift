import Primitives

/// A flow of lots through a window, over series that begin where others end, at the least cost.
///
/// Successive shortest paths (Ahuja, Magnanti and Orlin, "Network Flows", 1993, §9.7) by Bellman and Ford: lots are added along the
/// cheapest way that is left, which may also give lots of a series back. Prices of a book get worse with volume, so the cost of what is
/// added never falls, and the flow is the cheapest of its size at each step. Among ways that cost the same, that of fewest series wins.
struct QuoteFlow: Sendable {
    /// A series inside the window and what can be had of it.
    struct Segment: Sendable {
        let series: SeriesID
        let kind: Series.Kind
        let period: Period
        /// How much of the period is paid: all, or the rest of the hour in progress.
        let charged: Span
        /// Best first.
        let levels: [DepthLevel]
    }

    /// Price × time, and how many series.
    private struct Cost: Comparable, Sendable {
        var value: Int128
        var series: Int64
        static func < (a: Cost, b: Cost) -> Bool { (a.value, a.series) < (b.value, b.series) }
        static func + (a: Cost, b: Cost) -> Cost { Cost(value: a.value + b.value, series: a.series + b.series) }
        static let zero = Cost(value: 0, series: 0)
    }

    private struct Arc: Sendable {
        let segment: Int
        let from: Int
        let to: Int
        /// The level the next lot comes from, and how many of it are used.
        var level = 0
        var used: Int64 = 0
    }

    /// One use of an arc on a path: forward, or giving back.
    private struct Hop {
        let arc: Int
        let isForward: Bool
    }

    private let segments: [Segment]
    private let sign: Int128
    private var arcs: [Arc]
    private let nodes: Int
    private let source: Int
    private let sink: Int
    private(set) var lots: Int64 = 0
    private var lastCost: Int128?

    init(_ segments: [Segment], window: Period, side: Side) {
        self.segments = segments.filter { window.start <= $0.period.start && $0.period.end <= window.end }
        let moments = Set(self.segments.flatMap { [$0.period.start, $0.period.end] } + [window.start, window.end]).sorted()
        let places = Dictionary(uniqueKeysWithValues: moments.enumerated().map { ($1, $0) })
        func place(_ moment: Instant) -> Int {
            guard let place = places[moment] else { preconditionFailure("every end is a node") }
            return place
        }
        arcs = self.segments.enumerated().map { Arc(segment: $0, from: place($1.period.start), to: place($1.period.end)) }
        nodes = moments.count
        source = place(window.start)
        sink = place(window.end)
        sign = side == .buy ? 1 : -1
    }

    /// Adds lots at the least cost and returns how many there was room for.
    @discardableResult
    mutating func add(_ wanted: Int64) -> Int64 {
        var left = wanted
        while left > 0, let path = cheapestPath() {
            left -= send(path.hops, atMost: left)
            lastCost = path.cost.value
        }
        return wanted - left
    }

    /// Adds what costs no more than the last lot did.
    mutating func addAtSamePrice() {
        while let path = cheapestPath(), let lastCost, path.cost.value <= lastCost { send(path.hops, atMost: .max) }
    }

    /// What is used of each series, by level.
    var used: [(segment: Segment, levels: [DepthLevel])] {
        arcs.filter { $0.level > 0 || $0.used > 0 }.map { arc in
            let segment = segments[arc.segment]
            var levels = Array(segment.levels.prefix(arc.level))
            if arc.used > 0 {
                let last = segment.levels[arc.level]
                levels.append(DepthLevel(price: last.price, lots: arc.used, orders: last.orders))
            }
            return (segment, levels)
        }
    }

    // MARK: Paths

    /// The price of the next lot of a segment, or of the last one used, and how many there are at it.
    private func margin(_ number: Int, _ isForward: Bool) -> (price: Int64, lots: Int64)? {
        let arc = arcs[number]
        let levels = segments[arc.segment].levels
        if isForward {
            return arc.level < levels.count ? (levels[arc.level].price, levels[arc.level].lots - arc.used) : nil
        }
        if arc.used > 0 { return (levels[arc.level].price, arc.used) }
        return arc.level > 0 ? (levels[arc.level - 1].price, levels[arc.level - 1].lots) : nil
    }

    /// Within one level, as `margin` says.
    private mutating func move(_ lots: Int64, along hop: Hop) {
        var arc = arcs[hop.arc]
        let levels = segments[arc.segment].levels
        if hop.isForward {
            arc.used += lots
            if arc.used == levels[arc.level].lots { (arc.level, arc.used) = (arc.level + 1, 0) }
        } else {
            if arc.used == 0 { (arc.level, arc.used) = (arc.level - 1, levels[arc.level - 1].lots) }
            arc.used -= lots
        }
        arcs[hop.arc] = arc
    }

    private func cost(_ number: Int, _ isForward: Bool) -> Cost? {
        guard let margin = margin(number, isForward) else { return nil }
        let value = sign * Int128(margin.price) * Int128(segments[arcs[number].segment].charged.microseconds)
        return isForward ? Cost(value: value, series: 1) : Cost(value: -value, series: -1)
    }

    private func cheapestPath() -> (hops: [Hop], cost: Cost)? {
        var best = [Cost?](repeating: nil, count: nodes)
        var arrival = [Hop?](repeating: nil, count: nodes)
        best[source] = .zero
        let costs = arcs.indices.map { (cost($0, true), cost($0, false)) }
        var isSettled = false
        var rounds = 0
        while !isSettled, rounds < nodes {
            isSettled = true
            rounds += 1
            for (number, arc) in arcs.enumerated() {
                if let cost = costs[number].0, let here = best[arc.from], best[arc.to].map({ here + cost < $0 }) ?? true {
                    (best[arc.to], arrival[arc.to], isSettled) = (here + cost, Hop(arc: number, isForward: true), false)
                }
                if let cost = costs[number].1, let here = best[arc.to], best[arc.from].map({ here + cost < $0 }) ?? true {
                    (best[arc.from], arrival[arc.from], isSettled) = (here + cost, Hop(arc: number, isForward: false), false)
                }
            }
        }
        guard let cost = best[sink] else { return nil }
        var hops: [Hop] = []
        var node = sink
        while node != source {
            guard let hop = arrival[node], hops.count < nodes else { preconditionFailure("a cheapest way has no circle") }
            hops.append(hop)
            node = hop.isForward ? arcs[hop.arc].from : arcs[hop.arc].to
        }
        return (hops, cost)
    }

    /// Sends as many lots along a path as it has room for at its cost.
    @discardableResult
    private mutating func send(_ hops: [Hop], atMost limit: Int64) -> Int64 {
        let room = hops.compactMap { margin($0.arc, $0.isForward)?.lots }.min() ?? 0
        let sent = min(room, limit)
        for hop in hops { move(sent, along: hop) }
        lots += sent
        return sent
    }

    // MARK: Coverage

    /// The longest stretch that series make up without a gap, the first of such; nil when there is no series.
    static func longestCovered(_ segments: [Segment]) -> Period? {
        var longest: Period?
        for start in Set(segments.map(\.period.start)).sorted() {
            var reached: Set<Instant> = [start]
            for segment in segments where reached.contains(segment.period.start) { reached.insert(segment.period.end) }
            guard let end = reached.max() else { continue }
            if longest.map({ end - start > $0.length }) ?? true { longest = Period(start: start, end: end) }
        }
        return longest
    }
}
