import Primitives

// From trade to settlement.

extension Market {
    /// Makes the trade a fill stands for, and the contract that comes of it.
    mutating func execute(_ fill: OrderBooks.Fill, for taker: Order, _ ticket: Ticket, _ step: inout Step) {
        var maker = restingOrder(at: fill.maker)
        let cameUpAgain = books.take(fill)
        maker.filled += fill.lots
        if maker.remaining == 0 {
            maker.state = .filled
            maker.shown = nil
            orders[Int(fill.maker)] = nil
        } else {
            if cameUpAgain {
                lastPriority += 1
                orders[Int(fill.maker)]?.priority = lastPriority
            }
            maker = restingOrder(at: fill.maker)
        }
        step.changes.append(.order(maker))
        let (buy, sell) = taker.draft.side == .buy ? (taker, maker) : (maker, taker)
        guard let datacenter = sell.draft.datacenter else { preconditionFailure("a sell order names its datacenter") }
        adjust(datacenter, ticket.listing.product.id) { offering in
            if taker.draft.side == .buy { offering.offered -= fill.lots }
            offering.sold += fill.lots
        }
        let contract = contract(fill, buy, sell, datacenter, ticket.listing, &step)
        step.changes.append(
            .trade(
                Trade(
                    id: contract.trade, number: contract.number, series: contract.series, contract: contract.id, buyOrder: buy.id,
                    sellOrder: sell.id,
                    taker: taker.draft.side, price: fill.price, lots: fill.lots, at: step.at)))
        step.changes.append(.contract(contract, .created))
        holdMoney(for: contract, from: buy, wasResting: taker.draft.side == .sell, ticket.listing.product, &step)
        begin(contract, &step)
    }

    private mutating func contract(
        _ fill: OrderBooks.Fill, _ buy: Order, _ sell: Order, _ datacenter: DatacenterID, _ listing: Listing, _ step: inout Step
    ) -> Contract {
        let terms = listing.product.terms
        let period = Period(start: step.at, end: listing.product.spotPeriod(at: step.at).end)
        lastContract += 1
        var id: ContractID = step.id()
        while contracts[id] != nil { id = step.id() }
        return Contract(
            id: id, number: lastContract, trade: step.id(), series: listing.series.id, product: listing.product.id,
            buyer: buy.draft.participant,
            seller: sell.draft.participant, datacenter: datacenter, lots: fill.lots, price: fill.price, currency: terms.currency,
            termsHash: listing.product.termsHash, spotPeriod: terms.spotPeriod, created: step.at, period: period, state: .created,
            closing: nil,
            settledUntil: period.start, remainder: 0, settled: 0, held: Self.charge(price: fill.price, lots: fill.lots, for: period.length),
            confirmation: Contract.Confirmation(deadline: step.at + terms.deliveryTerms.confirmation))
    }

    /// The contract's first period is paid for from what the order put aside, or from cash when the order did not rest.
    private mutating func holdMoney(for contract: Contract, from buy: Order, wasResting: Bool, _ product: Product, _ step: inout Step) {
        let held = contract.account(contract.buyer, .heldForContracts)
        let cash = contract.account(contract.buyer, .cash)
        var moves: [Ledger.Move] = [.init(account: held, amount: contract.held)]
        if wasResting {
            let aside = contract.lots * Self.holdPerLot(price: buy.draft.price, product)
            moves.insert(.init(account: contract.account(contract.buyer, .heldForOrders), amount: -aside), at: 0)
            moves.append(.init(account: cash, amount: aside - contract.held))
        } else {
            moves.insert(.init(account: cash, amount: -contract.held), at: 0)
        }
        post(.tradeHold, moves, order: buy.id, contract: contract.id, &step)
    }

    /// A spot contract delivers from the moment it is made.
    private mutating func begin(_ contract: Contract, _ step: inout Step) {
        var contract = contract
        contract.state = .delivering
        store(contract, .delivering, &step)
    }

    mutating func store(_ contract: Contract, _ event: ContractEvent, _ step: inout Step) {
        step.changes.append(.contract(contract, event))
        contracts[contract.id] = contract
        wake(contract)
    }

    mutating func wake(_ contract: Contract) {
        if let due = contract.nextDue { self.due.push(DueQueue.Entry(at: due, number: contract.number, subject: .contract(contract.id))) }
    }

    // MARK: Stopping and ending

    mutating func stop(_ id: ContractID, by party: ParticipantID?, detail: String, _ step: inout Step) throws(Refusal) {
        guard var contract = contracts[id], party == nil || party == contract.buyer || party == contract.seller else {
            throw .unknown("contract", id)
        }
        try checkNote(detail, "reason")
        guard contract.closing == nil, contract.isLive else { return }
        let cause: Contract.Closing.Cause =
            switch party {
            case nil: .stoppedByOperator
            case contract.buyer?: .stoppedByBuyer
            default: .stoppedBySeller
            }
        contract.closing = Contract.Closing(cause: cause, detail: detail, decided: step.at)
        store(contract, .closing, &step)
    }

    mutating func end(_ id: ContractID, detail: String, _ step: inout Step) throws(Refusal) {
        guard var contract = contracts[id], contract.isLive else { throw .unknown("contract", id) }
        try checkNote(detail, "reason")
        contract.closing = Contract.Closing(cause: .endedByOperator, detail: detail, decided: step.at)
        contract.period.end = step.at
        closeStretch(of: &contract, until: step.at, &step)
        finish(contract, .endedEarly, &step)
    }

    /// A contract whose time is over and charged: gives back what is left, and the capacity. It is settled once its deliveries are.
    mutating func finish(_ contract: Contract, _ outcome: Contract.Outcome, _ step: inout Step) {
        var contract = contract
        let rest = contract.held
        contract.state = .ended
        contract.outcome = outcome
        contract.held = 0
        store(contract, .ended, &step)
        post(
            .contractRelease,
            [
                .init(account: contract.account(contract.buyer, .heldForContracts), amount: -rest),
                .init(account: contract.account(contract.buyer, .cash), amount: rest),
            ], contract: contract.id, &step)
        adjust(contract.datacenter, contract.product) { $0.sold -= contract.lots }
        settleIfDone(contract, &step)
    }

    /// An ended contract of which everything is paid leaves the market.
    mutating func settleIfDone(_ contract: Contract, _ step: inout Step) {
        guard contract.state == .ended, deliveries[contract.id] == nil else { return }
        var contract = contract
        contract.state = .settled
        step.changes.append(.contract(contract, .settled))
        contracts[contract.id] = nil
    }
}

extension Contract {
    func account(_ owner: ParticipantID, _ kind: LedgerAccount.Kind) -> LedgerAccount {
        LedgerAccount(owner: owner, kind: kind, currency: currency)
    }
}
