// Commands that wait together are announced before they are done one by one, so that the books' memory is near by then.

import Primitives

extension Market {
    /// How many commands should be announced at a time.
    public static var horizon: Int { OrderBooks.horizon }

    /// Brings near what the books need for commands that are about to come: at most `horizon`. Changes nothing that anybody could see, and
    /// the commands need not come.
    public mutating func approach(_ commands: some Sequence<MarketCommand>) {
        guard books.isLarge else { return }
        var coming: ContiguousArray<OrderBooks.Coming> = []
        coming.reserveCapacity(Self.horizon)
        for command in commands {
            switch command {
            case .placeOrder(let draft):
                guard draft.price > 0, let listing = listings[draft.series] else { continue }
                // Its identifier is not known yet.
                coming.append(
                    OrderBooks.Coming(
                        order: 0, book: Int32(truncatingIfNeeded: listing.book), side: draft.side, price: draft.price))
            case .cancelOrder(let order, _): coming.append(OrderBooks.Coming(removal: order.bits))
            default: continue
            }
        }
        coming.withUnsafeMutableBufferPointer { books.approach($0) }
    }
}
