import CloudAPI
import Market
import Primitives
import Store

// Collars, halts, credit lines and busts as the wire shows them.

extension ProductRisk {
    /// Nil when there is nothing to say.
    init?(_ terms: RiskTerms) {
        guard terms != .none else { return nil }
        self.init(
            collarThousandths: terms.collar, bandThousandths: terms.band, haltSeconds: terms.haltSeconds,
            referenceTrades: terms.reference.trades, referenceMinimumLots: terms.reference.minimumLots,
            takerFeeMillionths: terms.takerFee, makerFeeMillionths: terms.makerFee)
    }
}

extension RiskTerms {
    init(_ risk: ProductRisk) {
        let standard = RiskTerms.none
        self.init(
            collar: risk.collarThousandths, band: risk.bandThousandths, haltSeconds: risk.haltSeconds ?? standard.haltSeconds,
            reference: ReferencePrice.Rule(
                trades: risk.referenceTrades ?? standard.reference.trades,
                minimumLots: risk.referenceMinimumLots ?? standard.reference.minimumLots),
            takerFee: risk.takerFeeMillionths ?? 0, makerFee: risk.makerFeeMillionths ?? 0)
    }
}

extension Product.Terms {
    func range(_ thousandths: Int64?, around reference: Int64?) -> PriceRange? {
        guard let thousandths, let reference else { return nil }
        let range = limits.range(around: reference, thousandths: thousandths)
        return PriceRange(lowest: range.lowerBound, highest: range.upperBound)
    }
}

extension BustView {
    /// From a row that has the columns of a bust, null when there is none.
    init?(_ row: Row, seen: Bool) throws {
        guard let reason = try row.optionalText("bust_reason") else { return nil }
        self.init(reason: reason, at: try row.instant("busted_at"), paidBackMicroUnits: seen ? try row.integer("paid_back") : nil)
    }

    init(_ bust: Bust) { self.init(reason: bust.reason, at: bust.at, paidBackMicroUnits: bust.paidBack) }
}

extension CreditLineView {
    init(of participant: Participant, cash: Int64, changes: [CreditLineChange]) {
        let money = { (amount: Int64) in Money(microUnits: amount, participant.currency) }
        let used = max(0, -cash)
        self.init(
            participant: participant.id, amount: money(participant.creditLine), used: money(used),
            available: money(participant.creditLine - used), changes: changes)
    }
}

extension CreditLineChange {
    init(_ line: CreditLine, _ currency: Currency) {
        self.init(
            number: line.number, amount: Money(microUnits: line.amount, currency), previous: Money(microUnits: line.previous, currency),
            reason: line.reason, at: line.at)
    }
}
