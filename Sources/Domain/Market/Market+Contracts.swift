import Primitives

// From trade to settlement.

extension Market {
    /// What a buyer and a seller agreed on, in the book or outside.
    struct Deal {
        let buyer: ParticipantID
        let seller: ParticipantID
        let datacenter: DatacenterID
        let price: Int64
        let lots: Int64
        let taker: Side
        let origin: Trade.Origin
        var proposal: ProposalID? { if case .proposal(let id) = origin { id } else { nil } }
    }

    /// Makes the trade a fill stands for, and the contract that comes of it.
    mutating func execute(_ fill: OrderBooks.Fill, for taker: Order, _ ticket: Ticket, _ step: inout Step) {
        var maker = restingOrder(at: fill.maker)
        let cameUpAgain = books.take(fill)
        maker.filled += fill.lots
        if maker.remaining == 0 {
            maker.state = .filled
            maker.shown = nil
            orders[fill.maker] = nil
        } else {
            if cameUpAgain {
                lastPriority += 1
                orders[fill.maker]?.priority = lastPriority
            }
            maker = restingOrder(at: fill.maker)
        }
        step.changes.append(.order(maker))
        let (buy, sell) = taker.draft.side == .buy ? (taker, maker) : (maker, taker)
        guard let datacenter = sell.draft.datacenter else { preconditionFailure("a sell order names its datacenter") }
        bookSale(of: fill.lots, from: datacenter, ticket.listing, wasResting: taker.draft.side == .buy)
        let deal = Deal(
            buyer: buy.draft.participant, seller: sell.draft.participant, datacenter: datacenter, price: fill.price, lots: fill.lots,
            taker: taker.draft.side, origin: .orders(buy: buy.id, sell: sell.id))
        let contract = contract(of: deal, ticket.listing, &step)
        references[contract.series]?.record(.init(number: contract.number, price: fill.price, lots: fill.lots))
        announce(contract, of: deal, &step)
        if contract.isForward {
            holdMargins(for: contract, taker: taker, &step)
            keep(contract)
        } else {
            holdMoney(for: contract, from: buy, wasResting: taker.draft.side == .sell, ticket.listing.product, &step)
            begin(contract, &step)
        }
    }

    /// The contract that comes of what was agreed.
    mutating func contract(of deal: Deal, _ listing: Listing, _ step: inout Step) -> Contract {
        let terms = listing.product.terms
        let delivery = listing.series.delivery
        let period = delivery ?? Period(start: step.at, end: listing.product.spotPeriod(at: step.at).end)
        lastContract += 1
        var id: ContractID = step.id()
        while contracts[id] != nil { id = step.id() }
        var contract = Contract(
            id: id, number: lastContract, trade: step.id(), proposal: deal.proposal, series: listing.series.id,
            product: listing.product.id, buyer: deal.buyer, seller: deal.seller, datacenter: deal.datacenter, lots: deal.lots,
            price: deal.price, currency: terms.currency, termsHash: listing.product.termsHash, spotPeriod: terms.spotPeriod,
            created: step.at, delivery: delivery, period: period, state: .created, closing: nil, settledUntil: period.start,
            remainder: 0, settled: 0, held: delivery == nil ? Self.charge(price: deal.price, lots: deal.lots, for: period.length) : 0,
            paidUntil: delivery == nil ? period.end : period.start,
            margin: deal.lots * listing.margin(price: deal.price), bond: deal.lots * listing.bond(price: deal.price),
            fees: ContractFees(
                buyer: .init(rate: terms.risk.fee(of: .buy, taker: deal.taker)),
                seller: .init(rate: terms.risk.fee(of: .sell, taker: deal.taker))),
            confirmation: Contract.Confirmation(deadline: max(step.at + terms.deliveryTerms.confirmation, period.start)))
        contract.fees.held = fees(of: contract)
        return contract
    }

    /// The trade a contract came of, and the contract.
    func announce(_ contract: Contract, of deal: Deal, _ step: inout Step) {
        step.changes.append(
            .trade(
                Trade(
                    id: contract.trade, number: contract.number, series: contract.series, contract: contract.id, origin: deal.origin,
                    taker: deal.taker, price: deal.price, lots: deal.lots, at: step.at)))
        step.changes.append(.contract(contract, .created))
    }

    /// The contract's first period is paid for from what the order put aside, or from cash when the order did not rest.
    private mutating func holdMoney(for contract: Contract, from buy: Order, wasResting: Bool, _ product: Product, _ step: inout Step) {
        let held = contract.account(contract.buyer, .heldForContracts)
        let cash = contract.account(contract.buyer, .cash)
        var moves: [Ledger.Move] = [
            .init(account: held, amount: contract.held),
            .init(account: contract.account(contract.buyer, .fees), amount: contract.fees.held),
        ]
        if wasResting {
            let aside = contract.lots * Self.holdPerLot(price: buy.draft.price, product)
            moves.insert(.init(account: contract.account(contract.buyer, .heldForOrders), amount: -aside), at: 0)
            moves.append(.init(account: cash, amount: aside - contract.held - contract.fees.held))
        } else {
            moves.insert(.init(account: cash, amount: -contract.held - contract.fees.held), at: 0)
        }
        post(.tradeHold, moves, order: buy.id, contract: contract.id, &step)
    }

    /// A spot contract delivers from the moment it is made, a forward from the start of its period.
    mutating func begin(_ contract: Contract, _ step: inout Step) {
        var contract = contract
        contract.state = .delivering
        store(contract, .delivering, &step)
    }

    mutating func store(_ contract: Contract, _ event: ContractEvent, _ step: inout Step) {
        step.changes.append(.contract(contract, event))
        keep(contract)
    }

    mutating func keep(_ contract: Contract) {
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
        guard !contract.isForward else { throw .forwardIsFixed(contract) }
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
        contract.period.end = max(step.at, contract.period.start)
        contract.paidUntil = contract.period.end
        closeStretch(of: &contract, until: contract.period.end, &step)
        finish(contract, .endedEarly, &step)
    }

    /// A contract whose time is over and charged: gives back what is put aside, less a penalty, and the capacity. It is settled once its
    /// deliveries are.
    mutating func finish(_ contract: Contract, _ outcome: Contract.Outcome, _ step: inout Step) {
        var contract = contract
        if contract.closing == nil {
            contract.closing = Contract.Closing(cause: .periodOver, detail: "", decided: contract.period.end)
        }
        var aside = contract
        contract.state = .ended
        contract.outcome = outcome
        (contract.held, contract.margin, contract.bond) = (0, 0, 0)
        let fees = max(0, contract.fees.held - self.fees(of: contract))
        contract.fees.held -= fees
        store(contract, .ended, &step)
        payPenalty(from: &aside, &step)
        let (rest, margin, bond) = (aside.held, aside.margin, aside.bond)
        post(
            .contractRelease,
            [
                .init(account: contract.account(contract.buyer, .heldForContracts), amount: -rest),
                .init(account: contract.account(contract.buyer, .fees), amount: -fees),
                .init(account: contract.account(contract.buyer, .margin), amount: -margin),
                .init(account: contract.account(contract.buyer, .cash), amount: rest + fees + margin),
                .init(account: contract.account(contract.seller, .bond), amount: -bond),
                .init(account: contract.account(contract.seller, .cash), amount: bond),
            ], contract: contract.id, &step)
        takeUp(-contract.lots, from: contract.datacenter, contract.product, during: contract.delivery)
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
