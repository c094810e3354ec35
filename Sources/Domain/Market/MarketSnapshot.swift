public import Primitives

/// The whole state of a market as plain lists in a fixed order: what its tables hold of what is not over. Two markets are in the same
/// state exactly when their snapshots are equal.
public struct MarketSnapshot: Hashable, Sendable {
    public var participants: [Participant]
    public var products: [Product]
    /// Those that have not expired.
    public var series: [Series]
    public var datacenters: [Datacenter]
    /// With what they declare; what is offered and sold follows from orders and contracts.
    public var offerings: [Offering]
    /// Resting orders, by priority.
    public var orders: [Order]
    /// Contracts not yet settled, by number.
    public var contracts: [Contract]
    /// Open ones, by number.
    public var proposals: [Proposal]
    /// The reference prices of the series, in the order of the series' identifiers.
    public var references: [Reference]
    /// What is over and not yet paid, by contract and start.
    public var deliveries: [Delivery]
    /// Accounts that have something.
    public var balances: [Balance]
    public var lastPriority: Int64
    public var lastContract: Int64
    public var lastProposal: Int64
    public var lastPosting: Int64
    /// When the exchange last came back after it was away.
    public var resumed: Instant

    public struct Balance: Hashable, Sendable {
        public var account: LedgerAccount
        public var amount: Int64
        public init(account: LedgerAccount, amount: Int64) {
            self.account = account
            self.amount = amount
        }
    }

    /// The trades a series' reference price is made of, oldest first.
    public struct Reference: Hashable, Sendable {
        public var series: SeriesID
        public var entries: [ReferencePrice.Entry]
        public init(series: SeriesID, entries: [ReferencePrice.Entry]) {
            self.series = series
            self.entries = entries
        }
    }

    public init(
        participants: [Participant], products: [Product], series: [Series], datacenters: [Datacenter], offerings: [Offering],
        orders: [Order], contracts: [Contract], proposals: [Proposal], references: [Reference], deliveries: [Delivery], balances: [Balance],
        lastPriority: Int64, lastContract: Int64, lastProposal: Int64, lastPosting: Int64, resumed: Instant
    ) {
        self.participants = participants
        self.products = products
        self.series = series
        self.datacenters = datacenters
        self.offerings = offerings
        self.orders = orders
        self.contracts = contracts
        self.proposals = proposals
        self.references = references
        self.deliveries = deliveries
        self.balances = balances
        self.lastPriority = lastPriority
        self.lastContract = lastContract
        self.lastProposal = lastProposal
        self.lastPosting = lastPosting
        self.resumed = resumed
    }
}

extension Market {
    public func snapshot() -> MarketSnapshot {
        MarketSnapshot(
            participants: participants.values.sorted { $0.id < $1.id }, products: products.values.sorted { $0.id < $1.id },
            series: listings.values.map(\.series).sorted { $0.id < $1.id }, datacenters: datacenters.values.sorted { $0.id < $1.id },
            offerings: offerings.values.sorted { $0.key < $1.key },
            orders: orders.slots { _ in true }.map(restingOrder).sorted {
                $0.priority < $1.priority
            },
            contracts: contracts.values.sorted { $0.number < $1.number }, proposals: proposals.values.sorted { $0.number < $1.number },
            references: references.sorted { $0.key < $1.key }.filter { !$0.value.entries.isEmpty }.map {
                MarketSnapshot.Reference(series: $0.key, entries: Array($0.value.entries))
            },
            deliveries: deliveries.values.joined().sorted { ($0.contract, $0.period.start) < ($1.contract, $1.period.start) },
            balances: ledger.trialBalance.map { MarketSnapshot.Balance(account: $0.account, amount: $0.balance) },
            lastPriority: lastPriority, lastContract: lastContract, lastProposal: lastProposal, lastPosting: ledger.lastPosting,
            resumed: resumed)
    }

    /// The market a snapshot was taken of. Lists may come in any order. Check `violations()` when the snapshot comes from outside.
    ///
    /// - Parameter clock: the time of the last command before.
    /// - Throws: when one thing refers to another that is not there.
    public init(restoring snapshot: MarketSnapshot, clock: Instant) throws(Refusal) {
        self.init(clock: clock)
        ledger = Ledger(balances: snapshot.balances.map { ($0.account, $0.amount) }, lastPosting: snapshot.lastPosting)
        lastPriority = snapshot.lastPriority
        (lastContract, lastProposal) = (snapshot.lastContract, snapshot.lastProposal)
        resumed = snapshot.resumed
        for participant in snapshot.participants { insert(participant) }
        for product in snapshot.products { insert(product) }
        for series in snapshot.series {
            guard products[series.product] != nil else { throw .unknown("product", series.product) }
            insert(series)
        }
        restoreCalendars()
        for reference in snapshot.references {
            guard let before = references[reference.series] else { throw .unknown("series", reference.series) }
            references[reference.series] = ReferencePrice(rule: before.rule, setting: before.setting, entries: reference.entries)
        }
        for datacenter in snapshot.datacenters {
            _ = try known(datacenter.owner)
            datacenters[datacenter.id] = datacenter
        }
        for offering in snapshot.offerings {
            offerings[offering.key] = Offering(datacenter: offering.datacenter, product: offering.product, declared: offering.declared)
        }
        for order in snapshot.orders.sorted(by: { $0.priority < $1.priority }) { try restore(order) }
        for contract in snapshot.contracts { try restore(contract) }
        for proposal in snapshot.proposals { try restore(proposal) }
        for delivery in snapshot.deliveries.sorted(by: { $0.period.start < $1.period.start }) { try restore(delivery) }
    }

    private mutating func restore(_ order: Order) throws(Refusal) {
        guard let listing = listings[order.draft.series] else { throw .unknown("series", order.draft.series) }
        guard let number = numbers[order.draft.participant] else { throw .unknown("participant", order.draft.participant) }
        if let datacenter = order.draft.datacenter { try checkOffering(datacenter, listing.product.id) }
        insert(order, listing, number: number)
    }

    private mutating func restore(_ contract: Contract) throws(Refusal) {
        try checkOffering(contract.datacenter, contract.product)
        if contract.isLive { takeUp(contract.lots, from: contract.datacenter, contract.product, during: contract.delivery) }
        keep(contract)
    }

    private mutating func restore(_ proposal: Proposal) throws(Refusal) {
        for party in [proposal.buyer, proposal.seller] { _ = try known(party) }
        guard listings[proposal.draft.series] != nil else { throw .unknown("series", proposal.draft.series) }
        insert(proposal)
    }

    private mutating func restore(_ delivery: Delivery) throws(Refusal) {
        guard let contract = contracts[delivery.contract] else { throw .unknown("contract", delivery.contract) }
        keep(delivery, of: contract)
    }

    private func checkOffering(_ datacenter: DatacenterID, _ product: ProductID) throws(Refusal) {
        guard offerings[Offering.Key(datacenter: datacenter, product: product)] != nil else {
            throw .unknown("offering", "\(product) at \(datacenter)")
        }
    }
}
