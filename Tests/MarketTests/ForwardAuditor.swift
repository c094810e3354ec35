import Market
import Primitives

/// What must be true of forwards, recomputed from the changes: capacity at every moment, margins and bonds, penalties, when series trade.
struct ForwardAuditor {
    /// Lots taken up during a period; nil: from now on.
    struct Use {
        var lots: Int64
        var period: Period?
    }

    private(set) var periods: [SeriesID: Period] = [:]
    private var series: [SeriesID: Series] = [:]
    private var terms: [ProductID: Product.Terms] = [:]
    private var found: [String] = []
    private(set) var penalties: [Contract.Closing.Cause: Int] = [:]

    mutating func see(_ product: Product) { terms[product.id] = product.terms }

    mutating func see(_ one: Series, at: Instant) {
        if let before = series[one.id] {
            if before.delivery != one.delivery || before.kind != one.kind { found.append("\(one.id) changed its period") }
            let order: [Series.Stage] = [.trading, .closed, .expired]
            if (order.firstIndex(of: before.stage) ?? 0) > (order.firstIndex(of: one.stage) ?? 0) { found.append("\(one.id) went back") }
        }
        series[one.id] = one
        periods[one.id] = one.delivery
        guard let delivery = one.delivery else { return }
        if one.stage == .closed, at < end(of: one) { found.append("\(one.id) closed too early") }
        if one.stage == .expired, at < delivery.end { found.append("\(one.id) expired too early") }
    }

    private func end(of series: Series) -> Instant {
        (series.delivery?.start ?? .zero) - (series.kind == .hour ? .minutes(15) : .minutes(60))
    }

    func isClosed(_ id: SeriesID, at: Instant) -> Bool {
        guard let one = series[id], one.delivery != nil else { return false }
        return at >= end(of: one)
    }

    /// The most lots at any one moment.
    static func most(of uses: [Use]) -> Int64 {
        let always = uses.filter { $0.period == nil }.map(\.lots).reduce(0, +)
        let moments = uses.compactMap { $0.period?.start }
        return moments.map { moment in
            always + uses.filter { $0.period.map { $0.start <= moment && moment < $0.end } ?? false }.map(\.lots).reduce(0, +)
        }.max() ?? always
    }

    /// Of the value of one lot over a time, some thousandths, rounded up.
    private static func share(_ thousandths: Int64, _ price: Int64, _ span: Span) -> Int64 {
        let exact = Int128(price) * Int128(span.microseconds) * Int128(thousandths)
        let divisor: Int128 = 3_600_000_000_000
        return Int64(exact / divisor) + (exact % divisor > 0 ? 1 : 0)
    }

    mutating func see(_ posting: Posting, contracts: [ContractID: Contract]) {
        guard posting.reason == .penalty else { return }
        guard let contract = posting.contract.flatMap({ contracts[$0] }), let delivery = periods[contract.series],
            let terms = terms[contract.product]?.forwards, let cause = contract.closing?.cause
        else { return found.append("a penalty for nothing") }
        switch (cause, contract.confirmation.buyer, contract.confirmation.seller) {
        case (.cashShort, _, _), (.notConfirmedByBuyer, nil, .some), (.notConfirmedBySeller, .some, nil): break
        default: return found.append("\(contract.id): a penalty although \(cause)")
        }
        let isBuyers = cause != .notConfirmedBySeller
        let other = isBuyers ? contract.seller : contract.buyer
        let paid = posting.entries.filter { $0.account.owner == other && $0.account.kind == .cash }.map(\.amount).reduce(0, +)
        let putUp =
            contract.lots * Self.share(isBuyers ? terms.initialMargin : terms.performanceBond, contract.price, delivery.length)
        let share = contract.lots * Self.share(terms.penalty, contract.price, delivery.end - contract.period.end)
        if paid != min(putUp, share) { found.append("\(contract.id): a penalty of \(paid), not \(min(putUp, share))") }
        penalties[cause, default: 0] += 1
    }

    mutating func problems(at now: Instant, orders: [Order], contracts: [Contract], balances: [String: Int64]) -> [String] {
        for one in series.values {
            if one.stage == .trading, one.delivery != nil, now >= end(of: one) { found.append("\(one.id) trades too late") }
            guard let until = one.haltedUntil else { continue }
            if one.halted == nil || one.stage != .trading || until <= now { found.append("\(one.id) is \(one.state) until \(until)") }
        }
        var expected: [String: Int64] = [:]
        func add(_ owner: ParticipantID, _ kind: String, _ amount: Int64) { expected["\(owner)/\(kind)/EUR", default: 0] += amount }
        for order in orders where order.state == .resting {
            guard let period = periods[order.draft.series], let product = series[order.draft.series]?.product, let terms = terms[product]
            else { continue }
            if isClosed(order.draft.series, at: now) { found.append("\(order.id) rests in a series that is closed") }
            let buys = order.draft.side == .buy
            let share = Self.share(
                buys ? terms.forwards.initialMargin : terms.forwards.performanceBond, order.draft.price, period.length)
            add(order.draft.participant, buys ? "margin" : "bond", (order.draft.lots - order.filled) * share)
        }
        for contract in contracts where contract.state != .settled && contract.state != .ended {
            guard let period = periods[contract.series], let terms = terms[contract.product] else { continue }
            add(contract.buyer, "margin", contract.lots * Self.share(terms.forwards.initialMargin, contract.price, period.length))
            add(contract.seller, "bond", contract.lots * Self.share(terms.forwards.performanceBond, contract.price, period.length))
            if (contract.state == .delivering) != (period.start <= now) { found.append("\(contract.id) is \(contract.state) at \(now)") }
        }
        let actual = balances.filter { ($0.key.contains("/margin/") || $0.key.contains("/bond/")) && $0.value != 0 }
        if actual != expected.filter({ $0.value != 0 }) { found.append("margins and bonds are \(actual), not \(expected)") }
        return found
    }
}
