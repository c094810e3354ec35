import Market
import Primitives

extension MarketFixture {
    /// At random: confirmations, reports that are right, wrong or repeated, and words on disputes; nil when there is nothing to say.
    func aboutDelivery(using random: inout SeededGenerator) -> MarketCommand? {
        func pick<T>(_ items: [T]) -> T { items[Int.random(in: 0..<items.count, using: &random)] }
        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
        let snapshot = market.snapshot()
        let party = pick(ContractParty.allCases)
        let unconfirmed = snapshot.contracts.filter { !$0.confirmation.isComplete }
        if !unconfirmed.isEmpty, chance(60) { return .confirmContract(pick(unconfirmed).id, party) }
        guard !snapshot.deliveries.isEmpty else { return nil }
        let delivery = pick(snapshot.deliveries)
        if let dispute = delivery.dispute, chance(60) {
            let amount = Int64.random(in: 0...(chance(5) ? dispute.amount + 9 : dispute.amount), using: &random)
            return chance(15)
                ? .ruleDispute(dispute.id, toBuyer: amount, note: "so") : .answerDispute(dispute.id, party, toBuyer: amount, note: "no")
        }
        let contracted = delivery.contracted
        let missing = chance(50) ? 0 : Int64.random(in: 0...contracted / (chance(50) ? 80 : 1), using: &random)
        let demanded = max(missing, Int64.random(in: 0...contracted, using: &random)) + (chance(3) ? contracted : 0)
        return .reportDelivery(
            delivery.contract, party,
            DeliveryReport(
                period: chance(95) ? delivery.period : Period(start: delivery.period.start, end: delivery.period.end + .seconds(1)),
                demanded: demanded, delivered: demanded - missing,
                unavailable: missing == 0 ? [] : [.init(cause: pick(DeliveryReport.Cause.allCases), lotMicroseconds: missing)],
                evidenceHash: String(repeating: chance(50) ? "0a" : "b1", count: 32), signer: "77", signature: "abc="))
    }
}
