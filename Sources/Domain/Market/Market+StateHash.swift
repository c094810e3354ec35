import Primitives

extension Market {
    /// The same for every market in the same state, however it came to be there.
    public var stateHash: UInt64 { snapshot().stateHash }
}

extension MarketSnapshot {
    public var stateHash: UInt64 {
        var hash = StateHash()
        hash.combine(participants) { $1.feed(&$0) }
        hash.combine(products) { $1.feed(&$0) }
        hash.combine(series) { hash, series in
            hash.combine(series.id.bits)
            hash.combine(series.product.bits)
            hash.combine(series.kind.rawValue)
            hash.combine(series.delivery) { $0.combine($1) }
            hash.combine(series.halted) { $0.combine($1) }
            hash.combine(series.haltedUntil) { $0.combine($1.microseconds) }
            hash.combine(series.reference) { hash, setting in
                hash.combine(setting.price)
                hash.combine(setting.afterTrade)
            }
            hash.combine(series.stage.rawValue)
        }
        hash.combine(datacenters) { $1.feed(&$0) }
        hash.combine(offerings) { $1.feed(&$0) }
        hash.combine(orders) { $1.feed(&$0) }
        hash.combine(contracts) { $1.feed(&$0) }
        hash.combine(proposals) { $1.feed(&$0) }
        hash.combine(references) { hash, reference in
            hash.combine(reference.series.bits)
            hash.combine(reference.entries) { hash, entry in
                for number in [entry.number, entry.price, entry.lots] { hash.combine(number) }
            }
        }
        hash.combine(deliveries) { $1.feed(&$0) }
        hash.combine(balances) { hash, balance in
            hash.combine(balance.account.owner) { $0.combine($1.bits) }
            hash.combine(balance.account.kind.rawValue)
            hash.combine(balance.account.currency.code)
            hash.combine(balance.amount)
        }
        for counter in [lastPriority, lastContract, lastProposal, lastPosting, resumed.microseconds] { hash.combine(counter) }
        return hash.value
    }
}

extension StateHash {
    fileprivate mutating func combine(_ period: Period) {
        combine(period.start.microseconds)
        combine(period.end.microseconds)
    }
}

extension Participant {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(id.bits)
        hash.combine(name)
        hash.combine(buys)
        hash.combine(sells)
        hash.combine(currency.code)
        hash.combine(created.microseconds)
        hash.combine(suspended) { $0.combine($1) }
        for number in [creditLine, creditChanges] { hash.combine(number) }
    }
}

extension Product {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(id.bits)
        hash.combine(termsHash)
        hash.combine(created.microseconds)
        hash.combine(closed) { $0.combine($1) }
        for text in [
            terms.name, terms.unitClass.name, terms.region, terms.jurisdiction, terms.tenancy.rawValue, terms.storage.rawValue,
            terms.firmness.rawValue,
            terms.slaProfile, terms.currency.code,
        ] { hash.combine(text) }
        hash.combine(terms.zone) { $0.combine($1) }
        for component in terms.unitClass.lot.components { hash.combine(component.amount) }
        for number in [
            terms.largestOversubscription, terms.spotPeriod.microseconds, terms.limits.tick, terms.limits.largestPrice,
            terms.limits.largestLots, terms.forwards.initialMargin, terms.forwards.performanceBond, terms.forwards.penalty,
            terms.risk.haltSeconds, terms.risk.reference.trades, terms.risk.reference.minimumLots, terms.risk.takerFee,
            terms.risk.makerFee,
        ] { hash.combine(number) }
        hash.combine(terms.forwards.kinds) { $0.combine($1.rawValue) }
        for thousandths in [terms.risk.collar, terms.risk.band] { hash.combine(thousandths) { $0.combine($1) } }
        hash.combine(terms.delivery) { hash, terms in
            for number in [terms.confirmationSeconds, terms.graceSeconds, terms.disputeSeconds, terms.tolerance] { hash.combine(number) }
            hash.combine(terms.penalties) { hash, penalty in
                hash.combine(penalty.below)
                hash.combine(penalty.credit)
            }
        }
    }
}

extension Datacenter {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(id.bits)
        hash.combine(owner.bits)
        hash.combine(name)
        hash.combine(region)
        hash.combine(zones) { $0.combine($1) }
        hash.combine(peerAddress)
    }
}

extension Offering {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(datacenter.bits)
        hash.combine(product.bits)
        for number in [declared, offered, sold] { hash.combine(number) }
        hash.combine(forwards.steps) { hash, step in
            hash.combine(step.at.microseconds)
            hash.combine(step.change)
        }
    }
}

extension Order {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(id.bits)
        hash.combine(priority)
        hash.combine(draft.participant.bits)
        hash.combine(draft.series.bits)
        hash.combine(draft.side.rawValue)
        hash.combine(draft.lifetime.rawValue)
        for number in [draft.price, draft.lots, filled, placed.microseconds] { hash.combine(number) }
        hash.combine(draft.datacenter) { $0.combine($1.bits) }
        hash.combine(draft.clientOrderID) { $0.combine($1) }
        hash.combine(draft.conditions.expires) { $0.combine($1.microseconds) }
        for number in [draft.conditions.display, draft.conditions.minimumLots, shown] { hash.combine(number) { $0.combine($1) } }
        hash.combine(draft.conditions.allOrNone)
        hash.combine(draft.conditions.postOnly)
        hash.combine(draft.conditions.selfMatch.rawValue)
        hash.combine(state.rawValue)
        hash.combine(cancelReason) { $0.combine($1.rawValue) }
    }
}

extension Contract {
    fileprivate func feed(_ hash: inout StateHash) {
        for bits in [id.bits, trade.bits, series.bits, product.bits, buyer.bits, seller.bits, datacenter.bits] { hash.combine(bits) }
        hash.combine(proposal) { $0.combine($1.bits) }
        hash.combine(currency.code)
        hash.combine(termsHash)
        hash.combine(state.rawValue)
        hash.combine(closing) { hash, closing in
            hash.combine(closing.cause.rawValue)
            hash.combine(closing.detail)
            hash.combine(closing.decided.microseconds)
        }
        for number in [
            number, lots, price, spotPeriod.microseconds, created.microseconds, period.start.microseconds, period.end.microseconds,
            settledUntil.microseconds, remainder, settled, held, paidUntil.microseconds, margin, bond, fees.buyer.rate,
            fees.buyer.charged, fees.buyer.remainder, fees.seller.rate, fees.seller.charged, fees.seller.remainder, fees.held,
            credited, confirmation.deadline.microseconds,
        ] { hash.combine(number) }
        hash.combine(delivery) { $0.combine($1) }
        for moment in [confirmation.buyer, confirmation.seller] { hash.combine(moment) { $0.combine($1.microseconds) } }
        hash.combine(outcome) { $0.combine($1.rawValue) }
    }
}

extension Proposal {
    fileprivate func feed(_ hash: inout StateHash) {
        for bits in [id.bits, draft.proposer.bits, draft.counterparty.bits, draft.series.bits] { hash.combine(bits) }
        for number in [number, draft.price, draft.lots, created.microseconds, expires.microseconds] { hash.combine(number) }
        for text in [draft.side.rawValue, state.rawValue] { hash.combine(text) }
        hash.combine(draft.datacenter) { $0.combine($1.bits) }
        for text in [draft.note, reason] { hash.combine(text) { $0.combine($1) } }
        for moment in [draft.expires, decided] { hash.combine(moment) { $0.combine($1.microseconds) } }
        hash.combine(trade) { $0.combine($1.bits) }
        hash.combine(contract) { $0.combine($1.bits) }
    }
}

extension Delivery {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(contract.bits)
        for number in [
            period.start.microseconds, period.end.microseconds, lots, charge, due.microseconds, paid, credited,
        ] { hash.combine(number) }
        hash.combine(state.rawValue)
        hash.combine(basis) { $0.combine($1.rawValue) }
        hash.combine(availability) { $0.combine($1) }
        for received in [buyer, seller] { hash.combine(received) { $1.feed(&$0) } }
        hash.combine(dispute) { $1.feed(&$0) }
    }
}

extension Delivery.Received {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(at.microseconds)
        for number in [report.period.start.microseconds, report.period.end.microseconds, report.demanded, report.delivered] {
            hash.combine(number)
        }
        hash.combine(report.unavailable) { hash, part in
            hash.combine(part.cause.rawValue)
            hash.combine(part.lotMicroseconds)
        }
        for text in [report.evidenceHash, report.signer, report.signature] { hash.combine(text) }
    }
}

extension Dispute {
    fileprivate func feed(_ hash: inout StateHash) {
        hash.combine(id.bits)
        for number in [amount, opened.microseconds, deadline.microseconds] { hash.combine(number) }
        for answer in [buyer, seller] {
            hash.combine(answer) { hash, answer in
                hash.combine(answer.toBuyer)
                hash.combine(answer.note)
                hash.combine(answer.at.microseconds)
            }
        }
    }
}
