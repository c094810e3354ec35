import Market
import Primitives

/// What the reference price and the ranges around it must be, from a plain list of trades. Shares no code with the real ones.
struct NaiveRisk {
    private struct Past {
        var number: Int64
        var price: Int64
        var lots: Int64
        var isBusted = false
    }

    private var trades: [SeriesID: [Past]] = [:]
    private var settings: [SeriesID: ReferencePrice.Setting] = [:]
    private var products: [ProductID: Product.Terms] = [:]
    private var productOf: [SeriesID: ProductID] = [:]

    mutating func see(_ product: Product) { products[product.id] = product.terms }

    mutating func see(_ series: Series) {
        productOf[series.id] = series.product
        settings[series.id] = series.reference
    }

    mutating func see(_ trade: Trade) {
        trades[trade.series, default: []].append(Past(number: trade.number, price: trade.price, lots: trade.lots))
    }

    mutating func see(_ bust: Bust) {
        for place in (trades[bust.series] ?? []).indices where trades[bust.series]?[place].number == bust.number {
            trades[bust.series]?[place].isBusted = true
        }
    }

    func terms(of series: SeriesID) -> Product.Terms? { productOf[series].flatMap { products[$0] } }

    func reference(of series: SeriesID) -> Int64? {
        guard let rule = terms(of: series)?.risk.reference else { return nil }
        let after = settings[series]?.afterTrade ?? 0
        let last = (trades[series] ?? []).filter { $0.number > after }.suffix(Int(rule.trades)).filter { !$0.isBusted }
        let lots = last.map(\.lots).reduce(0, +)
        guard lots >= rule.minimumLots else { return settings[series]?.price }
        let turnover = last.map { Int128($0.lots) * Int128($0.price) }.reduce(0, +)
        let (down, rest) = (turnover / Int128(lots), turnover % Int128(lots))
        let isUp = rest * 2 > Int128(lots) || (rest * 2 == Int128(lots) && down % 2 == 1)
        return Int64(isUp ? down + 1 : down)
    }

    func range(of series: SeriesID, _ thousandths: Int64?) -> (low: Int64, high: Int64)? {
        guard let thousandths, let limits = terms(of: series)?.limits, let reference = reference(of: series) else { return nil }
        var reach = reference * thousandths / 1_000
        if reach < limits.tick { reach = limits.tick }
        var low = reference > reach ? reference - reach : 1
        while low % limits.tick != 0 { low += 1 }
        var high = reference + reach > limits.largestPrice ? limits.largestPrice : reference + reach
        while high % limits.tick != 0 { high -= 1 }
        return (low, high < low ? low : high)
    }

    /// The worst price an order may trade at, or nil when it should not have been taken.
    func limit(of draft: OrderDraft) -> Int64? {
        guard let collar = range(of: draft.series, terms(of: draft.series)?.risk.collar) else { return draft.price }
        if draft.lifetime == .market {
            return draft.side == .buy ? min(draft.price, collar.high) : max(draft.price, collar.low)
        }
        return draft.price < collar.low || draft.price > collar.high ? nil : draft.price
    }

    func band(of series: SeriesID) -> (low: Int64, high: Int64)? { range(of: series, terms(of: series)?.risk.band) }

    /// A fee, exactly, in millionths of a micro-unit.
    func fee(of contract: Contract, _ side: Side, taker: Side, charged: Int64) -> Int128 {
        let risk = products[contract.product]?.risk ?? .none
        return Int128(charged) * Int128(side == taker ? risk.takerFee : risk.makerFee)
    }
}
