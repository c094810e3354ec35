import Market
import Primitives

/// Knows what must be true of a market and recomputes it from what the market says it changed. Shares no code with it: its own
/// books, sums and rounding.
struct Auditor {
    private var balances: [String: Int64] = [:]
    private var postings = 0
    private var orders: [OrderID: Order] = [:]
    private var tradedLots: [OrderID: Int64] = [:]
    private var contracts: [ContractID: Contract] = [:]
    /// Of each contract: what the buyer's holds lost and the seller's cash gained by settlement.
    private var charged: [ContractID: Int64] = [:]
    private var paid: [ContractID: Int64] = [:]
    private var credited: [ContractID: Int64] = [:]
    private var deliveries = DeliveryAuditor()
    private var declared: [String: Int64] = [:]
    private var books: [SeriesID: NaiveBook] = [:]
    private var products: [SeriesID: ProductID] = [:]
    private var forwards = ForwardAuditor()
    private var proposals = ProposalAuditor()
    private var owners: [ParticipantID: Int32] = [:]
    private var risk = NaiveRisk()
    private var creditLines: [ParticipantID: Int64] = [:]
    /// Of each contract: what everybody gained by all its postings together, penalties left out; nil is the exchange.
    private var net: [ContractID: [ParticipantID?: Int64]] = [:]
    private var takers: [ContractID: Side] = [:]
    private var busted: Set<ContractID> = []
    private var found: [String] = []
    private(set) var halts = 0
    private(set) var feesTaken: Int64 = 0
    private(set) var busts = 0
    private(set) var creditUsed = false
    private(set) var tradedVolume: Int64 = 0
    private(set) var settledContracts = 0

    mutating func see(_ command: MarketCommand, _ changes: [MarketChange], at: Instant) {
        checkMatching(command, changes)
        proposals.see(command, changes, risk, at: at)
        for change in changes {
            switch change {
            case .participant(let participant): if owners[participant.id] == nil { owners[participant.id] = Int32(owners.count) }
            case .product(let product):
                forwards.see(product)
                risk.see(product)
                deliveries.see(product)
            case .datacenter: break
            case .series(let series):
                risk.see(series)
                if books[series.id] == nil { books[series.id] = NaiveBook() }
                if series.stage == .expired { books[series.id] = nil }
                products[series.id] = series.product
                forwards.see(series, at: at)
            case .offering(let offering): declared["\(offering.datacenter)/\(offering.product)"] = offering.declared
            case .order(let order): see(order)
            case .trade(let trade): see(trade, at)
            case .contract(let contract, let event): see(contract, event)
            case .delivery(let delivery): deliveries.see(delivery, contracts[delivery.contract])
            case .posting(let posting):
                see(posting)
                forwards.see(posting, contracts: contracts)
            case .creditLine(let line): see(line)
            case .bust(let bust): see(bust)
            case .proposal: break
            }
        }
    }

    /// How stretches were paid, by what.
    var deliveredBy: [Delivery.Basis: Int] { deliveries.settled }
    var disputesEnded: [Dispute.Outcome: Int] { deliveries.resolved }
    /// How proposals ended.
    var proposalsEnded: [Proposal.State: Int] { proposals.ended }
    /// What forwards ended with a penalty for.
    var penalties: [Contract.Closing.Cause: Int] { forwards.penalties }

    /// What is wrong so far.
    mutating func problems(with market: Market) -> [String] {
        checkBalances(market)
        checkCapacity()
        found += forwards.problems(at: market.clock, orders: Array(orders.values), contracts: Array(contracts.values), balances: balances)
        for series in books.keys where market.referencePrice(of: series) != risk.reference(of: series) {
            found.append("\(series) is worth \(market.referencePrice(of: series) ?? 0), not \(risk.reference(of: series) ?? 0)")
        }
        for (series, book) in books {
            let bids = market.depth(of: series, side: .buy, levels: .max)
            let asks = market.depth(of: series, side: .sell, levels: .max)
            for (depth, side) in [(bids, Side.buy), (asks, .sell)] {
                let lots = depth.map(\.lots).reduce(0, +)
                let expected = book.queue(side).map(\.lots).reduce(0, +)
                if lots != expected { found.append("\(lots) lots to \(side) in \(series), not \(expected)") }
            }
            // Orders that trade whole or not at all may wait across from others.
            let bid = book.queue(.buy).first { !$0.wholeOnly }
            let ask = book.queue(.sell).first { !$0.wholeOnly }
            if let bid, let ask, bid.price >= ask.price { found.append("crossed: \(bid.price) and \(ask.price)") }
        }
        return found + deliveries.found + proposals.problems(with: market) + market.violations()
    }

    // MARK: Matching

    /// The trades are those a naive book makes.
    private mutating func checkMatching(_ command: MarketCommand, _ changes: [MarketChange]) {
        switch command {
        case .placeOrder(let draft):
            guard let order = changes.orders.first else { return found.append("an accepted order is nowhere") }
            if order.draft != draft { found.append("\(order.id) is not the order that was placed") }
            checkTrades(of: order, lots: draft.lots, changes)
        case .replaceOrder(let id, let price, let lots, _):
            guard let before = orders[id], let order = changes.orders.first else { return }
            if order.id != id || order.draft.price != price ?? before.draft.price || order.draft.lots != lots ?? before.draft.lots {
                found.append("\(id) was replaced by something else")
            }
            if order.draft.price == before.draft.price, order.draft.lots < before.draft.lots {
                if order.priority != before.priority, before.shown == nil { found.append("\(id) lost its place") }
                books[order.draft.series]?.reduce(id.bits, to: order.draft.lots - before.filled)
            } else {
                books[order.draft.series]?.remove(id.bits)
                checkTrades(of: order, lots: order.draft.lots - before.filled, changes)
            }
        default: break
        }
    }

    private mutating func checkTrades(of order: Order, lots: Int64, _ changes: [MarketChange]) {
        let (draft, conditions) = (order.draft, order.draft.conditions)
        guard let owner = owners[draft.participant], var book = books[draft.series] else { return }
        guard let limit = risk.limit(of: draft) else { return found.append("\(order.id) at \(draft.price) lies outside the collar") }
        let walk = { (price: Int64) in
            book.walk(side: draft.side, price: price, lots: lots, owner: owner, passingOwn: conditions.selfMatch == .cancelOldest)
        }
        var (fills, metOwn) = walk(limit)
        var left = lots - fills.map(\.lots).reduce(0, +)
        var halts = false
        if let band = risk.band(of: draft.series), let best = fills.first?.price,
            fills.contains(where: { $0.price < band.low || $0.price > band.high }), !conditions.allOrNone || left == 0
        {
            halts = true
            (fills, metOwn) = best < band.low || best > band.high ? ([], false) : walk(draft.side == .buy ? band.high : band.low)
            left = lots - fills.map(\.lots).reduce(0, +)
        }
        checkHalt(order, halts, changes)
        if metOwn, conditions.selfMatch == .refuse { found.append("\(order.id) traded with its own participant") }
        if conditions.postOnly, !fills.isEmpty || metOwn { found.append("\(order.id) traded at once") }
        if draft.lifetime == .fillOrKill, left > 0 { found.append("\(order.id) was filled in part") }
        if let minimum = conditions.minimumLots, lots - left < minimum { found.append("\(order.id) traded less than it wanted") }
        if conditions.allOrNone, left > 0 { (fills, metOwn, left) = ([], false, lots) }
        let made = changes.trades.map { trade in
            NaiveBook.Fill(maker: (draft.side == .buy ? trade.sellOrder : trade.buyOrder)?.bits ?? 0, price: trade.price, lots: trade.lots)
        }
        if made != fills { found.append("\(order.id) traded \(made), not \(fills)") }
        for fill in fills { book.take(fill) }
        let rests = (draft.lifetime == .limit || draft.lifetime == .goodTillDate) && !metOwn && !halts && left > 0
        if rests {
            book.rest(
                id: order.id.bits, side: draft.side, price: draft.price, lots: left, owner: owner, display: conditions.display,
                wholeOnly: conditions.allOrNone)
        }
        if rests != (order.state == .resting) { found.append("\(order.id) is \(order.state)") }
        books[draft.series] = book
    }

    private mutating func checkHalt(_ order: Order, _ expected: Bool, _ changes: [MarketChange]) {
        let halted = changes.seriesList.first { $0.haltedUntil != nil }
        if (halted != nil) != expected || (order.cancelReason == .volatility) != expected {
            found.append("\(order.id) should \(expected ? "" : "not ")halt its series: \(changes.seriesList)")
        }
        guard let halted, let band = risk.band(of: halted.id) else { return }
        halts += 1
        if halted.reference?.price != band.low, halted.reference?.price != band.high { found.append("\(halted) halts at no edge") }
    }

    private mutating func see(_ order: Order) {
        orders[order.id] = order
        if order.state == .cancelled { books[order.draft.series]?.remove(order.id.bits) }
    }

    private mutating func see(_ trade: Trade, _ at: Instant) {
        tradedVolume += trade.lots
        takers[trade.contract] = trade.taker
        if trade.at != at { found.append("\(trade.id) is of another time") }
        if forwards.isClosed(trade.series, at: at) { found.append("\(trade.id) is in a series that is closed") }
        guard case .orders(let buyID, let sellID) = trade.origin else { return }
        risk.see(trade)
        for id in [buyID, sellID] { tradedLots[id, default: 0] += trade.lots }
        guard let buy = orders[buyID], let sell = orders[sellID] else {
            return found.append("trade \(trade.id) without orders")
        }
        if buy.draft.participant == sell.draft.participant { found.append("\(trade.id) is with itself") }
        if trade.price > buy.draft.price || trade.price < sell.draft.price {
            found.append("\(trade.id) at \(trade.price) is outside its orders")
        }
    }

    // MARK: Contracts

    private mutating func see(_ contract: Contract, _ event: ContractEvent) {
        let before = contracts[contract.id]
        if (before == nil) != (event == .created) { found.append("\(contract.id) \(event) out of order") }
        if let before, event == .rolled, contract.period.end - before.period.end != contract.spotPeriod || before.closing != nil {
            found.append("\(contract.id) rolled from \(before.period.end) to \(contract.period.end)")
        }
        if contract.state == .ended || contract.state == .settled, contract.closing == nil {
            found.append("\(contract.id) ended without a reason")
        }
        contracts[contract.id] = contract
        if event == .settled { checkSettled(contract) }
    }

    /// Charged is paid, and is the price of the time to half a micro-unit.
    private mutating func checkSettled(_ contract: Contract) {
        settledContracts += 1
        let charged = self.charged[contract.id] ?? 0
        let (paid, credited) = (paid[contract.id] ?? 0, credited[contract.id] ?? 0)
        if busted.contains(contract.id) {
            if contract.settled != 0 || net[contract.id]?.values.contains(where: { $0 != 0 }) == true {
                found.append("\(contract.id) was busted and somebody has \(net[contract.id] ?? [:])")
            }
            return
        }
        checkFees(of: contract, paid: paid)
        if charged != paid + credited || paid != contract.settled || credited != contract.credited {
            found.append("\(contract.id): \(charged) charged, \(paid) paid, \(credited) credited, \(contract.settled) recorded")
        }
        if deliveries.charged(contract.id) != charged { found.append("\(contract.id): its stretches do not add up to \(charged)") }
        let hour: Int128 = 3_600_000_000
        let exact =
            Int128(contract.price) * Int128(contract.lots) * Int128(contract.period.end.microseconds - contract.period.start.microseconds)
        let difference = (exact - Int128(charged) * hour) * 2
        if difference > hour || difference < -hour { found.append("\(contract.id) was charged \(charged) for \(exact)/\(hour)") }
        if contract.settledUntil != contract.period.end { found.append("\(contract.id) is settled until \(contract.settledUntil) only") }
    }

    /// Each side's fee is its rate of what the seller was paid, to half a micro-unit, and all of it is the exchange's.
    private mutating func checkFees(of contract: Contract, paid: Int64) {
        let net = self.net[contract.id] ?? [:]
        let fees: [(Side, Int64)] = [(.buy, -paid - (net[contract.buyer] ?? 0)), (.sell, paid - (net[contract.seller] ?? 0))]
        for (side, fee) in fees {
            let exact = risk.fee(of: contract, side, taker: takers[contract.id] ?? .buy, charged: paid)
            let difference = (exact - Int128(fee) * 1_000_000) * 2
            if difference > 1_000_000 || difference < -1_000_000 { found.append("\(contract.id): \(fee) to \(side) for \(exact)/1000000") }
        }
        let total = fees[0].1 + fees[1].1
        feesTaken += total
        if net[nil] ?? 0 != total { found.append("\(contract.id): the exchange got \(net[nil] ?? 0) of \(total)") }
    }

    private mutating func see(_ bust: Bust) {
        deliveries.see(bust)
        busts += 1
        risk.see(bust)
        if !busted.insert(bust.contract).inserted { found.append("\(bust.trade) was busted twice") }
    }

    private mutating func see(_ line: CreditLine) {
        if creditLines[line.participant] ?? 0 != line.previous { found.append("\(line) comes from nowhere") }
        creditLines[line.participant] = line.amount
        for (account, balance) in balances where account.hasPrefix("\(line.participant)/cash") && balance < -line.amount {
            found.append("\(account) is \(balance) on a line of \(line.amount)")
        }
    }

    private mutating func checkCapacity() {
        var uses: [String: [ForwardAuditor.Use]] = [:]
        for order in orders.values where order.state == .resting {
            guard let datacenter = order.draft.datacenter, let product = products[order.draft.series] else { continue }
            let use = ForwardAuditor.Use(lots: order.draft.lots - order.filled, period: forwards.periods[order.draft.series])
            uses["\(datacenter)/\(product)", default: []].append(use)
        }
        for contract in contracts.values where contract.state != .settled && contract.state != .ended {
            let use = ForwardAuditor.Use(lots: contract.lots, period: forwards.periods[contract.series])
            uses["\(contract.datacenter)/\(contract.product)", default: []].append(use)
        }
        for (key, uses) in uses {
            let most = ForwardAuditor.most(of: uses)
            if most > declared[key] ?? 0 { found.append("\(key): \(most) sold and on offer at once of \(declared[key] ?? 0)") }
        }
        for (id, order) in orders where order.filled != tradedLots[id] ?? 0 {
            found.append("\(id) is filled \(order.filled), its trades say \(tradedLots[id] ?? 0)")
        }
    }

    // MARK: Money

    private mutating func see(_ posting: Posting) {
        postings += 1
        if posting.id.bits != UInt64(postings) { found.append("posting \(posting.id) is number \(postings)") }
        if posting.entries.map({ Int128($0.amount) }).reduce(0, +) != 0 { found.append("\(posting.id) does not sum to zero") }
        for entry in posting.entries {
            let key = name(of: entry.account)
            let sum = (balances[key] ?? 0) + entry.amount
            balances[key] = sum
            if sum != entry.balance { found.append("\(key) has \(sum); the posting says \(entry.balance)") }
            if let contract = posting.contract, posting.reason != .penalty {
                net[contract, default: [:]][entry.account.owner, default: 0] += entry.amount
            }
            if let owner = entry.account.owner, sum < 0 {
                creditUsed = true
                let line = entry.account.kind == .cash && posting.reason != .withdrawal ? creditLines[owner] ?? 0 : 0
                if sum < -line { found.append("\(key) is \(sum) after a \(posting.reason)") }
            }
            guard posting.reason == .settlement || posting.reason == .serviceCredit, let contract = posting.contract else { continue }
            if posting.reason == .settlement {
                if entry.amount < 0 { charged[contract, default: 0] -= entry.amount } else { paid[contract, default: 0] += entry.amount }
            } else if entry.account.kind == .heldForContracts {
                charged[contract, default: 0] -= entry.amount
                credited[contract, default: 0] -= entry.amount
            }
        }
    }

    private mutating func checkBalances(_ market: Market) {
        if balances.values.map({ Int128($0) }).reduce(0, +) != 0 { found.append("the ledger does not sum to zero") }
        let theirs = Dictionary(uniqueKeysWithValues: market.ledger.trialBalance.map { (name(of: $0.account), $0.balance) })
        if theirs != balances.filter({ $0.value != 0 }) { found.append("the trial balance is \(theirs), not \(balances)") }
    }

    private func name(of account: LedgerAccount) -> String {
        "\(account.owner?.description ?? "exchange")/\(account.kind)/\(account.currency)"
    }
}
