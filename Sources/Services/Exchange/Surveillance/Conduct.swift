import Market
import Primitives
import Store

/// What becomes of a participant's orders in a series on one day (UTC), as far as it may be of interest to a supervisor.
struct Conduct: Hashable, Sendable {
    struct Key: Hashable, Sendable {
        var day: Instant
        var participant: ParticipantID
        var series: SeriesID
    }

    /// An order nobody could trade with for longer than this was not there to trade.
    static let fleeting = Span.seconds(1)
    /// Thousandths of the best price of its side.
    static let farFromTouch: Int64 = 100

    /// Orders that are over.
    var orders: Int64 = 0
    /// Of these, taken back by their owner before anything of them was filled.
    var withdrawn: Int64 = 0
    /// Of these, within `fleeting` of being placed.
    var fleeting: Int64 = 0
    /// Of those withdrawn, further than `farFromTouch` behind the best price of their side.
    var far: Int64 = 0
    /// Trades in the book, counted once for each of the two sides.
    var trades: Int64 = 0
    /// Trades outside the book, counted in the same way.
    var bilateral: Int64 = 0

    static func + (a: Conduct, b: Conduct) -> Conduct {
        Conduct(
            orders: a.orders + b.orders, withdrawn: a.withdrawn + b.withdrawn, fleeting: a.fleeting + b.fleeting, far: a.far + b.far,
            trades: a.trades + b.trades, bilateral: a.bilateral + b.bilateral)
    }

    /// An order that is over.
    /// - Parameter best: the best price of its side now, nil when nobody is left there.
    init(_ order: Order, ended: Instant, best: Int64?) {
        self.init(orders: 1)
        guard order.cancelReason == .asked, order.filled == 0 else { return }
        withdrawn = 1
        fleeting = ended - order.placed <= Self.fleeting ? 1 : 0
        if let best {
            let distance = order.draft.side == .buy ? best - order.draft.price : order.draft.price - best
            far = Int128(distance) * 1_000 > Int128(best) * Int128(Self.farFromTouch) ? 1 : 0
        }
    }

    init(orders: Int64 = 0, withdrawn: Int64 = 0, fleeting: Int64 = 0, far: Int64 = 0, trades: Int64 = 0, bilateral: Int64 = 0) {
        self.orders = orders
        self.withdrawn = withdrawn
        self.fleeting = fleeting
        self.far = far
        self.trades = trades
        self.bilateral = bilateral
    }
}

/// An order that met, or would have met, another of its own participant.
struct SelfMatch: Hashable, Sendable {
    enum Outcome: String, Sendable, CaseIterable {
        /// The order was refused.
        case refused
        /// An order was cancelled so that the two did not trade.
        case prevented
    }

    var participant: ParticipantID
    var series: SeriesID
    var side: Side
    var price: Int64
    var lots: Int64
    /// The order that was cancelled, or that was in the way of the one refused.
    var order: String
    var outcome: Outcome
    var at: Instant
}
