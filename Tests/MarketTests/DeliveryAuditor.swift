import Market
import Primitives

/// Knows how a stretch must be paid for what was reported of it. Its own arithmetic, straight from the words of the terms.
struct DeliveryAuditor {
    private var terms: [ProductID: DeliveryTerms] = [:]
    private var last: [String: Delivery] = [:]
    private var charges: [ContractID: [Instant: Int64]] = [:]
    private var ends: [ContractID: Instant] = [:]
    private(set) var settled: [Delivery.Basis: Int] = [:]
    private(set) var resolved: [Dispute.Outcome: Int] = [:]
    private var busted: Set<ContractID> = []
    private(set) var found: [String] = []

    mutating func see(_ product: Product) { terms[product.id] = product.terms.deliveryTerms }

    mutating func see(_ bust: Bust) { busted.insert(bust.contract) }

    func charged(_ contract: ContractID) -> Int64 { (charges[contract] ?? [:]).values.reduce(0, +) }

    mutating func see(_ delivery: Delivery, _ contract: Contract?) {
        let key = "\(delivery.contract) \(delivery.period.start)"
        guard let contract, let terms = terms[contract.product] else { return found.append("\(key) is of no contract") }
        let before = last[key]
        if before?.state == .settled { found.append("\(key) changed after it was settled") }
        if before == nil { checkNew(delivery, contract, terms, key) }
        if delivery.basis == .busted {
            if !busted.contains(contract.id) || delivery.state != .settled { found.append("\(key) is busted and its trade is not") }
        } else if before?.state ?? .waiting == .waiting, delivery.state != .waiting {
            checkVerdict(delivery, contract, terms, key)
        }
        if delivery.state == .settled {
            settled[delivery.basis ?? .contracted, default: 0] += 1
            if delivery.paid + delivery.credited != delivery.charge { found.append("\(key) is settled and not all paid") }
            if before?.state == .disputed, delivery.basis != .busted { checkResolution(delivery, before, key) }
        }
        last[key] = delivery
        charges[delivery.contract, default: [:]][delivery.period.start] = delivery.charge
    }

    /// Stretches follow on each other without gap or overlap.
    private mutating func checkNew(_ delivery: Delivery, _ contract: Contract, _ terms: DeliveryTerms, _ key: String) {
        let start = ends.updateValue(delivery.period.end, forKey: contract.id) ?? contract.period.start
        if delivery.period.start != start { found.append("\(key) does not follow on the one before") }
        if delivery.due < delivery.period.end + .seconds(terms.graceSeconds) { found.append("\(key) waits too short a time") }
    }

    private mutating func checkVerdict(_ delivery: Delivery, _ contract: Contract, _ terms: DeliveryTerms, _ key: String) {
        let volume = Int128(delivery.lots) * Int128(delivery.period.end.microseconds - delivery.period.start.microseconds)
        func missing(_ received: Delivery.Received?) -> Int128? {
            received.map { $0.report.unavailable.map { Int128($0.lotMicroseconds) }.reduce(0, +) }
        }
        func back(_ missing: Int128) -> Int64 {
            let share = terms.penalties.filter { (volume - missing) * 1_000 < Int128($0.below) * volume }.map(\.credit).max() ?? 0
            let twice = Int128(delivery.charge) * Int128(share) * 2
            let (down, rest) = twice.quotientAndRemainder(dividingBy: 2_000)
            return Int64(rest > 1_000 || (rest == 1_000 && !down.isMultiple(of: 2)) ? down + 1 : down)
        }
        var (basis, paid, credited) = (Delivery.Basis.contracted, delivery.charge, Int64(0))
        if contract.confirmation.seller == nil {
            (basis, paid, credited) = (.unconfirmed, 0, delivery.charge)
        } else {
            switch (missing(delivery.buyer), missing(delivery.seller)) {
            case (nil, nil): break
            case (let one?, nil): (basis, credited) = (.buyersReport, back(one))
            case (nil, let one?): (basis, credited) = (.sellersReport, back(one))
            case (let a?, let b?):
                let apart = (a > b ? a - b : b - a) * 1_000 > Int128(terms.tolerance) * volume || back(a) != back(b)
                basis = apart ? .disputed : .agreed
                credited = apart ? min(back(a), back(b)) : back((a + b) / 2)
                if apart { paid = delivery.charge - max(back(a), back(b)) }
            }
            if basis != .disputed { paid = delivery.charge - credited }
        }
        if delivery.basis != basis || delivery.paid != paid || delivery.credited != credited {
            found.append("\(key): \(delivery.paid) paid and \(delivery.credited) back by \(basis); must be \(paid) and \(credited)")
        }
        if (paid + credited == delivery.charge) != (delivery.state == .settled) { found.append("\(key) is \(delivery.state.rawValue)") }
        if delivery.dispute?.amount ?? 0 != delivery.charge - paid - credited { found.append("\(key) disputes another amount") }
    }

    private mutating func checkResolution(_ delivery: Delivery, _ before: Delivery?, _ key: String) {
        guard let before, let dispute = delivery.dispute, let resolution = dispute.resolution else {
            return found.append("\(key) was disputed and nobody said how it ended")
        }
        resolved[resolution.outcome, default: 0] += 1
        let (buyer, seller) = (delivery.credited - before.credited, delivery.paid - before.paid)
        if buyer != resolution.toBuyer || buyer + seller != dispute.amount || buyer < 0 || seller < 0 {
            found.append("\(key): \(buyer) and \(seller) of \(dispute.amount) for \(resolution.outcome)")
        }
        switch (resolution.outcome, dispute.buyer?.toBuyer, dispute.seller?.toBuyer) {
        case (.agreed, let asked?, let offered?): if asked > offered || buyer < asked || buyer > offered { found.append("\(key) agreed?") }
        case (.agreed, _, _): found.append("\(key): agreed without two answers")
        case (.expired, let asked?, nil): if buyer != asked { found.append("\(key): only the buyer answered") }
        case (.expired, nil, let offered?): if buyer != offered { found.append("\(key): only the seller answered") }
        case (.expired, nil, nil):
            let missing = [delivery.seller, delivery.buyer].map { $0?.report.unavailable.map(\.lotMicroseconds).reduce(0, +) ?? 0 }
            let asReported = missing[0] >= missing[1] ? dispute.amount : 0
            if buyer != asReported { found.append("\(key): \(buyer) back, the seller's report comes to \(asReported)") }
        case (.expired, _, _): found.append("\(key): two answers, and nobody ruled")
        case (.ruled, _, _): break
        case (.busted, _, _): found.append("\(key): busted and paid")
        }
    }
}
