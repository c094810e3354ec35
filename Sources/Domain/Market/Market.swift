public import Primitives

/// The whole state of an exchange, as one value: participants, products, order books, contracts and money.
///
/// It changes only through `apply`, all or nothing, and the same commands with the same times and seeds give the same state and
/// the same changes. Finished orders and settled contracts leave it; whoever writes the changes down has their history.
public struct Market: Sendable {
    /// What an order book belongs to.
    struct Listing: Sendable {
        var series: Series
        private let listed: Listed
        let book: Int

        init(series: Series, product: Product, book: Int) {
            self.series = series
            listed = Listed(product: product)
            self.book = book
        }

        var product: Product { listed.product }
    }

    /// A product by reference: it is large, and every order looks at it.
    private final class Listed: Sendable {
        let product: Product

        init(product: Product) { self.product = product }
    }

    var participants: [ParticipantID: Participant] = [:]
    /// Names of participants and products: neither may be used twice.
    var participantNames: Set<String> = []
    var productNames: Set<String> = []
    /// Participants' numbers in the order books.
    var numbers: [ParticipantID: Int32] = [:]
    var products: [ProductID: Product] = [:]
    var listings: [SeriesID: Listing] = [:]
    var datacenters: [DatacenterID: Datacenter] = [:]
    var offerings: [Offering.Key: Offering] = [:]
    var books = OrderBooks()
    /// Books of series that have left: empty, to be used again.
    var freeBooks: [Int] = []
    /// Of products with forward series.
    var calendars: [ProductID: Calendar] = [:]
    /// The orders that rest, by their slot in the books. How much of one is filled only the books know: see `restingOrder`.
    var orders = OrderTable()
    var contracts: [ContractID: Contract] = [:]
    /// What each series is worth by its last trades.
    var references: [SeriesID: ReferencePrice] = [:]
    /// Of each contract, what is over and not yet paid, oldest first.
    var deliveries: [ContractID: [Delivery]] = [:]
    var disputes: [DisputeID: Delivery.Key] = [:]
    /// Those that wait for an answer.
    var proposals: [ProposalID: Proposal] = [:]
    var due = DueQueue()
    public internal(set) var ledger = Ledger()
    /// When the exchange last came back after it was away.
    public internal(set) var resumed = Instant.zero
    var lastPriority: Int64 = 0
    var lastContract: Int64 = 0
    var lastProposal: Int64 = 0
    /// The time of the last command. Time never runs backwards here.
    public internal(set) var clock: Instant

    /// An empty market.
    public init(clock: Instant = .zero) { self.clock = clock }

    /// One command under way.
    struct Step {
        let at: Instant
        var generator: SeededGenerator
        var changes: [MarketChange] = []

        mutating func id<Kind>() -> ID<Kind> { ID(bits: generator.next()) }
    }

    /// Does what the command asks and says what changed, or refuses and changes nothing.
    ///
    /// - Parameters:
    ///   - at: now. Refused when it lies before the command before, or when `nextDue` has come and the command is not `tick`.
    ///   - seed: where new identifiers come from; another for each command.
    public mutating func apply(_ command: MarketCommand, at: Instant, seed: UInt64) throws(Refusal) -> [MarketChange] {
        guard at >= clock else { throw .timeBackwards(at, clock: clock) }
        if let due = nextDue, due <= at {
            switch command {
            case .tick, .resumeAfter: break
            default: throw .clockBehind(due: due, at: at)
            }
        }
        var step = Step(at: at, generator: SeededGenerator(seed: seed))
        // An order that rests: itself and its posting.
        step.changes.reserveCapacity(2)
        try perform(command, &step)
        clock = at
        forgetStaleDueEntries()
        return step.changes
    }

    private mutating func perform(_ command: MarketCommand, _ step: inout Step) throws(Refusal) {
        switch command {
        case .addParticipant(let name, let buys, let sells, let currency):
            try addParticipant(name: name, buys: buys, sells: sells, currency: currency, &step)
        case .deposit(let participant, let amount, let reference): try deposit(amount, to: participant, reference: reference, &step)
        case .withdraw(let participant, let amount, let reference): try withdraw(amount, from: participant, reference: reference, &step)
        case .addProduct(let terms, let termsHash): try addProduct(terms, termsHash: termsHash, &step)
        case .closeProduct(let product, let reason): try close(product, reason: reason, &step)
        case .registerDatacenter(let datacenter): try register(datacenter, &step)
        case .declareCapacity(let datacenter, let product, let lots, let owner):
            try declareCapacity(lots, of: product, at: datacenter, by: owner, &step)
        case .placeOrder(let draft): try place(draft, &step)
        case .cancelOrder(let order, let owner): try cancel(order, by: owner, &step)
        case .replaceOrder(let order, let price, let lots, let owner): try replace(order, price: price, lots: lots, by: owner, &step)
        case .cancelOrders(let owner, let series, let side, let datacenter):
            try cancelAll(of: owner, series: series, side: side, datacenter: datacenter, &step)
        case .suspend(let participant, let reason): try suspend(participant, reason: reason, &step)
        case .resume(let participant): try resume(participant, &step)
        case .halt(let series, let reason): try halt(series, reason: reason, &step)
        case .reopen(let series): try reopen(series, &step)
        case .setReference(let series, let price, let reason): try setReference(series, price: price, reason: reason, &step)
        case .grantCredit(let participant, let amount, let reason): try grantCredit(amount, to: participant, reason: reason, &step)
        case .bustTrade(let trade, let reason): try bust(trade, reason: reason, &step)
        case .stopContract(let contract, let party, let detail): try stop(contract, by: party, detail: detail, &step)
        case .endContract(let contract, let detail): try end(contract, detail: detail, &step)
        case .confirmContract(let contract, let party): try confirm(contract, party, &step)
        case .reportDelivery(let contract, let party, let report): try take(report, of: contract, by: party, &step)
        case .answerDispute(let dispute, let party, let toBuyer, let note):
            try answer(dispute, by: party, toBuyer: toBuyer, note: note, &step)
        case .ruleDispute(let dispute, let toBuyer, let note): try rule(dispute, toBuyer: toBuyer, note: note, &step)
        case .resumeAfter(let outage): try resume(after: outage, &step)
        case .propose(let draft): try propose(draft, &step)
        case .acceptProposal(let proposal, let party, let datacenter): try accept(proposal, by: party, from: datacenter, &step)
        case .refuseProposal(let proposal, let party, let reason): try refuse(proposal, by: party, reason: reason, &step)
        case .withdrawProposal(let proposal, let party): try withdraw(proposal, by: party, &step)
        case .tick: advanceClock(&step)
        }
    }
}

// MARK: - Reading

extension Market {
    /// When `tick` next has something to do.
    public var nextDue: Instant? { due.first?.at }

    /// The last numbers given out: whoever keeps the state elsewhere keeps these with it.
    public var lastOrderPriority: Int64 { lastPriority }
    public var lastContractNumber: Int64 { lastContract }
    public var lastPostingNumber: Int64 { ledger.lastPosting }

    public func participant(_ id: ParticipantID) -> Participant? { participants[id] }
    public func product(_ id: ProductID) -> Product? { products[id] }
    public func series(_ id: SeriesID) -> Series? { listings[id]?.series }
    public func datacenter(_ id: DatacenterID) -> Datacenter? { datacenters[id] }
    public func contract(_ id: ContractID) -> Contract? { contracts[id] }
    /// A proposal that waits for an answer.
    public func proposal(_ id: ProposalID) -> Proposal? { proposals[id] }
    /// What of a contract is over and not yet paid, oldest first.
    public func openDeliveries(of contract: ContractID) -> [Delivery] { deliveries[contract] ?? [] }
    public func offering(of product: ProductID, at datacenter: DatacenterID) -> Offering? {
        offerings[Offering.Key(datacenter: datacenter, product: product)]
    }

    public func spotSeries(of product: ProductID) -> Series? {
        listings.values.first { $0.product.id == product && $0.series.kind == .spot }?.series
    }

    /// An order that rests in its book.
    public func order(_ id: OrderID) -> Order? { books.slot(of: id.bits).map(restingOrder) }

    public func bestPrice(of series: SeriesID, side: Side) -> Int64? {
        listings[series].flatMap { books.bestPrice(book: $0.book, side: side) }
    }

    /// The best levels of one side of a book, best first. Empty when there is no such series.
    public func depth(of series: SeriesID, side: Side, levels: Int) -> [DepthLevel] {
        listings[series].map { books.depth(book: $0.book, side: side, levels: levels) } ?? []
    }

    public func balance(of participant: ParticipantID, _ kind: LedgerAccount.Kind) -> Int64 {
        participants[participant].map { ledger.balance(of: LedgerAccount(owner: $0.id, kind: kind, currency: $0.currency)) } ?? 0
    }

    /// The order in a slot, with what is left of it.
    func restingOrder(at slot: OrderBooks.Slot) -> Order {
        guard var order = orders[slot] else { preconditionFailure("a slot in a book holds an order") }
        order.filled = order.draft.lots - books.lots(at: slot)
        if order.draft.conditions.display != nil { order.shown = books.shown(at: slot) }
        return order
    }
}
