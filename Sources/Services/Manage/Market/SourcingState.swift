import CloudAPI
import Primitives
import Sourcing
import Store
import Tenancy

/// What sourcing knows inside one transaction: contracts with what is free of each, and which datacenters have the image.
struct SourcingState {
    var contracts: [HeldContract]

    /// - Parameter image: contracts of datacenters that are known not to have it are left out.
    static func load(image: ImageID, excluding excluded: [ContractID] = [], at now: Instant, in context: any ReadContext) throws
        -> SourcingState
    {
        let products = try SiteRecords.products(in: context)
        let datacenters = Dictionary(try SiteRecords.datacenters(in: context).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let images = try SiteRecords.images(in: context)
        let known = Set(images.map(\.datacenter))
        let having = Set(images.filter { $0.image.id == image }.map(\.datacenter))
        var held: [HeldContract] = []
        for record in try ContractRecord.all(in: context, open: true) where record.isActive(at: now) && !record.isReleasing {
            let view = record.view
            guard !excluded.contains(view.id), having.contains(view.datacenter) || !known.contains(view.datacenter) else { continue }
            // What a product that is not known yet is, is known in a moment.
            guard let product = products[view.product] else { continue }
            let zones = datacenters[view.datacenter]?.zones ?? []
            held.append(
                HeldContract(
                    id: view.id, terms: Terms(product),
                    zone: view.zone ?? (zones.count == 1 ? zones[0] : nil),
                    lots: view.lots, price: view.price, free: record.volume - (try record.used(in: context).resources),
                    end: view.period.end,
                    rolls: view.rolls))
        }
        return SourcingState(contracts: held)
    }
}

extension Demand {
    /// What an account wants, under its own price cap and those above it.
    init(
        _ resources: Resources, of offering: String, count: ClosedRange<Int>, region: String, zone: String?, placement: PlacementTerms?,
        account: Account, tree: AccountTree, at now: Instant
    ) {
        self.init(
            resources: resources, minimumCount: count.lowerBound, maximumCount: count.upperBound, region: region, zone: zone,
            currency: account.currency, priceCap: tree.priceCap(of: account.id) ?? account.priceCap,
            rules: Rules(placement),
            // A contract that ends sooner and does not roll would stop the machine almost at once.
            until: now + .hours(1))
        metal = placement?.kind == .metal ? offering : nil
    }
}

extension Rules {
    /// What a launch asks for that only some products give. The seller holds it to its product: nothing looser than that.
    init(_ placement: PlacementTerms?) {
        self.init(
            jurisdictions: (placement?.jurisdiction).map { [$0] }, storage: (placement?.storage?.rawValue).map { [$0] },
            tenancies: placement?.tenancy?.products, firmOnly: placement?.firmness == .firm)
    }
}

extension TenancyTerms {
    /// The tenancies of products that give these terms; nil: all do.
    fileprivate var products: Set<String>? {
        let levels = [connect, pod, pool, host].compactMap { $0?.sharing }
        if host?.sharing == .shared { return [Tenancy.shared.rawValue] }
        if levels.allSatisfy({ $0 == .shared }) { return nil }
        return host?.sharing == .group ? [Tenancy.group.rawValue] : [Tenancy.group.rawValue, Tenancy.exclusive.rawValue]
    }
}

extension Plan {
    /// Refuses when the buyer's cash does not cover the purchases until the end of the periods in progress, which the exchange
    /// will hold at once.
    func checkCash(in market: MarketSnapshot, currency: Currency, at now: Instant) throws(Refusal) {
        guard let cash = market.cash?[currency] ?? (market.cash == nil ? nil : 0) else { return }
        var needed: Int64 = 0
        for case .purchase(let series, let lots, let limit) in sources {
            guard let end = market.periodEnds[series], end > now else { continue }
            var charge = LotHourCharge()
            needed += charge.charge(pricePerLotHour: limit, lots: lots, for: end - now) ?? 0
        }
        guard needed > cash else { return }
        throw Refusal(
            "sourcing.cash", .funds,
            "The purchase holds up to \(Money(microUnits: needed, currency)) until the end of the period, and the company has \(Money(microUnits: cash, currency)) on the exchange.",
            facts: ["neededMicroUnits": .number(needed), "cashMicroUnits": .number(cash)],
            nearest: "A deposit of \(Money(microUnits: needed - cash, currency)).")
    }
}
