import Primitives

// What both sides put up: for orders that rest, and for forwards until they are over.

extension Market {
    /// What each lot of a resting order puts aside.
    struct Security {
        let account: LedgerAccount.Kind
        /// Micro-units.
        let perLot: Int64
        /// What a refusal calls it.
        let purpose: String
    }
}

extension Market.Listing {
    /// Spot orders to buy put a period aside, forward orders to buy their margin and to sell their bond; nil: nothing.
    func security(of side: Side, price: Int64) -> Market.Security? {
        switch (series.delivery != nil, side) {
        case (false, .buy):
            Market.Security(account: .heldForOrders, perLot: Market.holdPerLot(price: price, product), purpose: "An order")
        case (false, .sell): nil
        case (true, .buy): Market.Security(account: .margin, perLot: margin(price: price), purpose: "The initial margin of an order")
        case (true, .sell): Market.Security(account: .bond, perLot: bond(price: price), purpose: "The performance bond of an order")
        }
    }

    /// Of one lot, in micro-units; zero for spot.
    func margin(price: Int64) -> Int64 { share(product.terms.forwards.initialMargin, price) }
    func bond(price: Int64) -> Int64 { share(product.terms.forwards.performanceBond, price) }
    private func share(_ thousandths: Int64, _ price: Int64) -> Int64 {
        series.delivery.map { Product.share(thousandths, price: price, of: $0) } ?? 0
    }
}

extension Market {
    /// The maker's order has put up its side already, and at the price of the trade; the taker does so now.
    mutating func holdMargins(for contract: Contract, taker: Order, _ step: inout Step) {
        let isBuyer = taker.draft.side == .buy
        let (owner, amount) = isBuyer ? (contract.buyer, contract.margin) : (contract.seller, contract.bond)
        post(
            .tradeHold,
            [
                .init(account: contract.account(owner, .cash), amount: -amount),
                .init(account: contract.account(owner, isBuyer ? .margin : .bond), amount: amount),
            ], order: taker.id, contract: contract.id, &step)
    }

    /// What the side that fails a forward owes the other: the product's share of what is not delivered, at most what it has put up.
    func penalty(_ contract: Contract, failedBy party: ContractParty) -> Int64 {
        guard let delivery = contract.delivery, let product = products[contract.product] else { return 0 }
        let missing = Period(start: contract.period.end, end: delivery.end)
        let perLot = Product.share(product.terms.forwards.penalty, price: contract.price, of: missing)
        return min(party == .buyer ? contract.margin : contract.bond, contract.lots * perLot)
    }

    mutating func payPenalty(from contract: inout Contract, _ step: inout Step) {
        guard contract.isForward, let party = contract.closing?.cause.failing else { return }
        let penalty = penalty(contract, failedBy: party)
        let (from, to): (LedgerAccount, LedgerAccount)
        switch party {
        case .buyer:
            contract.margin -= penalty
            (from, to) = (contract.account(contract.buyer, .margin), contract.account(contract.seller, .cash))
        case .seller:
            contract.bond -= penalty
            (from, to) = (contract.account(contract.seller, .bond), contract.account(contract.buyer, .cash))
        }
        post(.penalty, [.init(account: from, amount: -penalty), .init(account: to, amount: penalty)], contract: contract.id, &step)
    }
}

extension Contract.Closing.Cause {
    /// The side alone at fault.
    var failing: ContractParty? {
        switch self {
        case .cashShort, .notConfirmedByBuyer: .buyer
        case .notConfirmedBySeller: .seller
        case .stoppedByBuyer, .stoppedBySeller, .stoppedByOperator, .periodOver, .endedByOperator, .busted, .notConfirmed: nil
        }
    }
}

extension Refusal {
    static func forwardIsFixed(_ contract: Contract) -> Refusal {
        Refusal(
            "market.forward-fixed", .conflict,
            "The contract \(contract.id) is a forward: it delivers from \(contract.period.start) to \(contract.period.end) and does not roll.",
            facts: ["start": .text("\(contract.period.start)"), "end": .text("\(contract.period.end)")],
            nearest: "an opposite order in a series of the same period")
    }
}
