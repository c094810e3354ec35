import CloudAPI
import Market
import Primitives

// Domain values as the wire shows them.

extension [MarketChange] {
    /// The first change `pick` finds something in. Which changes a command makes is known; one that is missing is a bug.
    func first<Value>(_ pick: (MarketChange) -> Value?) -> Value {
        for change in self {
            if let value = pick(change) { return value }
        }
        preconditionFailure("a command did not make the change it stands for: \(self)")
    }

    var contracts: [Contract] { compactMap { if case .contract(let contract, _) = $0 { contract } else { nil } } }
    var orders: [Order] { compactMap { if case .order(let order) = $0 { order } else { nil } } }
    var trades: [Trade] { compactMap { if case .trade(let trade) = $0 { trade } else { nil } } }
}

extension ParticipantView {
    init(_ participant: Participant) {
        let roles: [ParticipantRole] = (participant.buys ? [.buyer] : []) + (participant.sells ? [.seller] : [])
        self.init(
            id: participant.id, name: participant.name, roles: roles, currency: participant.currency, created: participant.created,
            suspended: participant.suspended, creditLineMicroUnits: participant.creditLine == 0 ? nil : participant.creditLine)
    }
}

extension BalanceView {
    init(_ account: LedgerAccount, _ amount: Int64) {
        self.init(participant: account.owner, account: account.kind.rawValue, amount: Money(microUnits: amount, account.currency))
    }
}

extension PostingView {
    init(_ posting: Posting) {
        self.init(
            id: posting.id, at: posting.at, reason: posting.reason.rawValue, contract: posting.contract,
            entries: posting.entries.map { BalanceView($0.account, $0.amount) })
    }
}

extension DatacenterView {
    init(_ datacenter: Datacenter) {
        self.init(
            id: datacenter.id, owner: datacenter.owner, name: datacenter.name, region: datacenter.region, zones: datacenter.zones,
            peerAddress: datacenter.peerAddress)
    }
}

extension OrderView {
    init(_ order: Order, contracts: [ContractID]) {
        let draft = order.draft
        self.init(
            id: order.id, participant: draft.participant, series: draft.series, side: draft.side == .buy ? .buy : .sell,
            type: OrderType(draft.lifetime), price: draft.price, lots: draft.lots, filled: order.filled, state: OrderState(order),
            reason: order.cancelReason?.rawValue, datacenter: draft.datacenter, clientOrderID: draft.clientOrderID,
            conditions: draft.conditions == .none ? nil : OrderConditionsView(draft.conditions), created: order.placed, contracts: contracts
        )
    }
}

extension OrderType {
    init(_ lifetime: Order.Lifetime) {
        switch lifetime {
        case .limit: self = .limit
        case .goodTillDate: self = .goodTillDate
        case .immediateOrCancel: self = .immediateOrCancel
        case .market: self = .market
        case .fillOrKill: self = .fillOrKill
        }
    }

    var lifetime: Order.Lifetime {
        switch self {
        case .limit: .limit
        case .goodTillDate: .goodTillDate
        case .immediateOrCancel: .immediateOrCancel
        case .market: .market
        case .fillOrKill: .fillOrKill
        }
    }
}

extension OrderConditionsView {
    /// What is not asked for is left out.
    init(_ conditions: OrderConditions) {
        self.init(
            expires: conditions.expires, display: conditions.display, allOrNone: conditions.allOrNone ? true : nil,
            postOnly: conditions.postOnly ? true : nil, minimumLots: conditions.minimumLots,
            selfMatch: conditions.selfMatch == .refuse ? nil : SelfMatchMode(rawValue: conditions.selfMatch.rawValue))
    }
}

extension OrderConditions {
    init(_ view: OrderConditionsView) {
        self.init(
            expires: view.expires, display: view.display, allOrNone: view.allOrNone ?? false, postOnly: view.postOnly ?? false,
            minimumLots: view.minimumLots, selfMatch: view.selfMatch.flatMap { SelfMatch(rawValue: $0.rawValue) } ?? .refuse)
    }
}

extension OrderState {
    init(_ order: Order) {
        switch order.state {
        case .resting: self = .resting
        case .filled: self = .filled
        case .cancelled where order.cancelReason == .expired: self = .expired
        case .cancelled: self = order.filled > 0 ? .partiallyFilledAndCancelled : .cancelled
        }
    }
}

// MARK: - Products

extension Product {
    var definition: ProductDefinition {
        ProductDefinition(
            name: terms.name, unitClass: terms.unitClass.name, lot: terms.unitClass.lot, region: terms.region, zone: terms.zone,
            jurisdiction: terms.jurisdiction, tenancy: CloudAPI.Tenancy(terms.tenancy), storage: StorageArchitecture(terms.storage),
            firmness: CloudAPI.Firmness(terms.firmness), slaProfile: terms.slaProfile,
            largestOversubscription: terms.largestOversubscription,
            currency: terms.currency, spotPeriodSeconds: terms.spotPeriod.seconds, forwards: ForwardDefinition(terms.forwards),
            risk: ProductRisk(terms.risk), delivery: terms.delivery.map(DeliveryDefinition.init))
    }

    var view: ProductView { ProductView(id: id, definition: definition, termsHash: termsHash, created: created) }
}

extension Product.Terms {
    init(_ definition: ProductDefinition, limits: OrderLimits = .standard) {
        // Far outside of what is allowed, and far from overflowing as microseconds.
        let seconds = min(max(definition.spotPeriodSeconds, -1), 1_000_000_000)
        self.init(
            name: definition.name, unitClass: UnitClass(name: definition.unitClass, lot: definition.lot), region: definition.region,
            zone: definition.zone, jurisdiction: definition.jurisdiction, tenancy: .init(definition.tenancy),
            storage: .init(definition.storage),
            firmness: .init(definition.firmness), slaProfile: definition.slaProfile,
            largestOversubscription: definition.largestOversubscription,
            currency: definition.currency, spotPeriod: .seconds(seconds), limits: limits,
            // Products that were listed before there were forwards say nothing of them.
            forwards: definition.forwards.map(ForwardTerms.init) ?? .none, risk: definition.risk.map(RiskTerms.init) ?? .none,
            delivery: definition.delivery.map(DeliveryTerms.init))
    }
}

extension ProductDefinition {
    /// With all that was left to the exchange filled in: this is what the hash of the terms is made of.
    var complete: ProductDefinition {
        var complete = self
        complete.forwards = ForwardDefinition(ForwardTerms(forwards ?? .all))
        complete.risk = risk.flatMap { ProductRisk(RiskTerms($0)) }
        return complete
    }
}

extension ForwardTerms {
    fileprivate init(_ definition: ForwardDefinition) {
        let usual = ForwardTerms.all
        self.init(
            kinds: definition.calendar.compactMap { Series.Kind(rawValue: $0.rawValue) },
            initialMargin: definition.initialMargin ?? usual.initialMargin,
            performanceBond: definition.performanceBond ?? usual.performanceBond, penalty: definition.penalty ?? usual.penalty)
    }
}

extension ForwardDefinition {
    fileprivate init(_ terms: ForwardTerms) {
        self.init(
            calendar: terms.kinds.compactMap { ForwardKind(rawValue: $0.rawValue) }, initialMargin: terms.initialMargin,
            performanceBond: terms.performanceBond, penalty: terms.penalty)
    }
}

extension CloudAPI.Tenancy {
    fileprivate init(_ tenancy: Product.Tenancy) {
        switch tenancy {
        case .shared: self = .shared
        case .group: self = .group
        case .exclusive: self = .exclusive
        }
    }
}

extension Product.Tenancy {
    fileprivate init(_ tenancy: CloudAPI.Tenancy) {
        switch tenancy {
        case .shared: self = .shared
        case .group: self = .group
        case .exclusive: self = .exclusive
        }
    }
}

extension StorageArchitecture {
    fileprivate init(_ storage: Product.Storage) {
        switch storage {
        case .das: self = .das
        case .nas: self = .nas
        case .san: self = .san
        }
    }
}

extension Product.Storage {
    fileprivate init(_ storage: StorageArchitecture) {
        switch storage {
        case .das: self = .das
        case .nas: self = .nas
        case .san: self = .san
        }
    }
}

extension CloudAPI.Firmness {
    fileprivate init(_ firmness: Product.Firmness) { self = firmness == .firm ? .firm : .interruptible }
}

extension Product.Firmness {
    fileprivate init(_ firmness: CloudAPI.Firmness) { self = firmness == .firm ? .firm : .interruptible }
}

// MARK: - Contracts

extension ContractView {
    /// - Parameter deliveries: what of it is over and not yet paid.
    init(_ contract: Contract, buyer: String, seller: String, product: Product, datacenter: Datacenter, deliveries: [Delivery]) {
        self.init(
            id: contract.id, state: ContractState(contract.state), reason: contract.reasonText, buyer: contract.buyer, buyerName: buyer,
            seller: contract.seller, sellerName: seller, product: contract.product, productName: product.terms.name,
            series: contract.series, trade: contract.trade, proposal: contract.proposal, datacenter: contract.datacenter,
            region: product.terms.region, zone: product.terms.zone,
            peerAddress: datacenter.peerAddress, lots: contract.lots, lot: product.terms.unitClass.lot, price: contract.price,
            currency: contract.currency, period: contract.period, rolls: contract.rolls, termsHash: contract.termsHash,
            settledMicroUnits: contract.settled, marginMicroUnits: contract.isForward ? contract.margin : nil,
            bondMicroUnits: contract.isForward ? contract.bond : nil, creditedMicroUnits: contract.credited,
            confirmation: ConfirmationView(
                deadline: contract.confirmation.deadline, buyer: contract.confirmation.buyer, seller: contract.confirmation.seller),
            outcome: contract.outcome.flatMap { ContractOutcome(rawValue: $0.rawValue) }, next: contract.next(deliveries),
            firmness: CloudAPI.Firmness(product.terms.firmness))
    }

    /// From the market in memory, which has everything a live contract refers to.
    init(_ contract: Contract, in market: Market) {
        guard let buyer = market.participant(contract.buyer), let seller = market.participant(contract.seller),
            let product = market.product(contract.product), let datacenter = market.datacenter(contract.datacenter)
        else { preconditionFailure("a contract refers to what the market has") }
        self.init(
            contract, buyer: buyer.name, seller: seller.name, product: product, datacenter: datacenter,
            deliveries: market.openDeliveries(of: contract.id))
    }
}

extension ContractState {
    init(_ state: Contract.State) {
        switch state {
        case .created: self = .created
        case .delivering: self = .delivering
        case .ended: self = .ended
        case .settled: self = .settled
        }
    }
}

extension Contract {
    /// Why it ended or will end; nil while it goes on.
    var reasonText: String? {
        closing.map { closing in
            let cause =
                switch closing.cause {
                case .stoppedByBuyer: "stopped by the buyer"
                case .stoppedBySeller: "stopped by the seller"
                case .stoppedByOperator: "stopped by the exchange's operator"
                case .cashShort: "the buyer's cash did not cover the next period"
                case .periodOver: "its delivery period is over"
                case .endedByOperator: "ended by the exchange's operator"
                case .busted: "its trade was declared void"
                case .notConfirmedByBuyer: "not confirmed by the buyer in time"
                case .notConfirmedBySeller: "not confirmed by the seller in time"
                case .notConfirmed: "not confirmed by either side in time"
                }
            return closing.detail.isEmpty ? cause : "\(cause): \(closing.detail)"
        }
    }
}
