import Primitives

extension Demand {
    /// Why something cannot serve this demand whatever it costs.
    enum BrokenRule: String, CaseIterable {
        case region, zone, currency, kind, size, jurisdiction, storage, tenancy, firmness, oversubscription
    }

    func brokenRule(_ terms: Terms, zone offered: String?) -> BrokenRule? {
        if terms.region != region { return .region }
        if let zone, let offered, offered != zone { return .zone }
        // A product without a zone delivers in any of the region, so it cannot promise one.
        if zone != nil, offered == nil { return .zone }
        if terms.currency != currency { return .currency }
        if terms.metal != metal { return .kind }
        if metal != nil ? terms.lot != resources : resources.lots(of: terms.lot) == nil { return .size }
        if let allowed = rules.jurisdictions, !allowed.contains(terms.jurisdiction) { return .jurisdiction }
        if let allowed = rules.storage, !allowed.contains(terms.storage) { return .storage }
        if let allowed = rules.tenancies, !allowed.contains(terms.tenancy) { return .tenancy }
        if rules.firmOnly, !terms.isFirm { return .firmness }
        if let largest = rules.largestOversubscription, terms.largestOversubscription > largest { return .oversubscription }
        return nil
    }

    /// The offers that keep every rule, and how many fell to which.
    func considered(_ offers: [Offer]) -> (allowed: [Offer], fallen: [BrokenRule: Int]) {
        var allowed: [Offer] = []
        var fallen: [BrokenRule: Int] = [:]
        for offer in offers {
            if let rule = brokenRule(offer.terms, zone: offer.terms.zone) { fallen[rule, default: 0] += 1 } else { allowed.append(offer) }
        }
        return (allowed, fallen)
    }

    /// The explained no for a plan that ended with `planned` machines. `allowed`: the books before the plan took from them.
    func refusal(planned: Int, allowed: [Offer], fallen: [BrokenRule: Int]) -> Refusal {
        if allowed.isEmpty { return noProduct(fallen) }
        let liquid = allowed.filter { !$0.asks.isEmpty }
        guard let cheapest = liquid.flatMap(\.asks).map(\.price).min() else {
            return Refusal(
                "sourcing.noAsk", .capacity,
                "No contract has room for this machine, and nothing is on offer in \(place) for \(allowed.count) product(s) that fit.",
                facts: ["products": .number(Int64(allowed.count))], nearest: "Wait for an ask, or try another zone or region.")
        }
        if cheapest > priceCap { return tooExpensive(cheapest) }
        return tooLittle(planned: planned, liquid)
    }

    private var place: String { zone ?? region }

    private func noProduct(_ fallen: [BrokenRule: Int]) -> Refusal {
        let counts = BrokenRule.allCases.compactMap { rule in fallen[rule].map { "\($0) by \(rule.rawValue)" } }
        let text = counts.isEmpty ? "There is no product on the market." : "Every product falls: \(counts.joined(separator: ", "))."
        var facts: [String: Refusal.Fact] = [:]
        for (rule, count) in fallen { facts[rule.rawValue] = .number(Int64(count)) }
        return Refusal(
            "sourcing.noProduct", .capacity,
            "No contract has room for this machine in \(place), and no product may be bought for it. " + text,
            facts: facts, nearest: nearest(fallen))
    }

    /// What can be asked for less strictly, the wish first that most products fall to.
    private func nearest(_ fallen: [BrokenRule: Int]) -> String? {
        if metal != nil, fallen[.size] == nil, fallen.keys.allSatisfy({ $0 == .kind }) { return "An instance type of bare metal on offer." }
        let wishes: [BrokenRule] = [.zone, .storage, .tenancy, .jurisdiction, .firmness, .oversubscription]
        let first = wishes.filter { fallen[$0] != nil }.max { (fallen[$0] ?? 0) < (fallen[$1] ?? 0) }
        return first.map { $0 == .zone ? "Leave the zone out." : "Leave out what is asked of \($0.rawValue)." }
    }

    private func tooExpensive(_ cheapest: Int64) -> Refusal {
        Refusal(
            "sourcing.priceCap", .funds,
            "The cheapest ask is \(decimalText(microUnits: cheapest)) \(currency) per lot-hour, the price cap \(decimalText(microUnits: priceCap)).",
            facts: ["cheapestAsk": .number(cheapest), "priceCap": .number(priceCap)],
            nearest: "A price cap of \(decimalText(microUnits: cheapest)) \(currency) per lot-hour would buy.")
    }

    private func tooLittle(planned: Int, _ liquid: [Offer]) -> Refusal {
        let lots = liquid.flatMap(\.asks).filter { $0.price <= priceCap }.reduce(0) { $0 + $1.lots }
        let needed = liquid.compactMap { resources.lots(of: $0.terms.lot) }.min() ?? 0
        let dearer = liquid.flatMap(\.asks).map(\.price).filter { $0 > priceCap }.min()
        var nearest: [String] = []
        if planned > 0 { nearest.append("\(planned) machine(s) can be had now") }
        if let dearer { nearest.append("more is on offer from \(decimalText(microUnits: dearer)) \(currency) per lot-hour") }
        return Refusal(
            "sourcing.capacity", .capacity,
            "\(minimumCount) machine(s) of \(needed) lot(s) each were asked for; contracts have room for, and asks of \(lots) lot(s) within the price cap allow, \(planned).",
            facts: [
                "askedMachines": .number(Int64(minimumCount)), "possibleMachines": .number(Int64(planned)),
                "lotsPerMachine": .number(needed),
                "lotsOnOffer": .number(lots),
            ], nearest: nearest.isEmpty ? nil : nearest.joined(separator: "; ").capitalizedFirst + ".")
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
