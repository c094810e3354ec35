import CloudAPI
import CloudClient
import EC2
import Foundation
import Primitives
import ServiceKit
import Sourcing
import Store
import Tenancy

extension ManageCore {
    // MARK: Instances

    func instances(_ call: Call<Empty>) async throws -> CloudAPI.Page<ManagedInstanceView> {
        let visible = try await visibleAccounts(call.principal)
        let (limit, cursor) = (try call.query.limit(), call.query.text("cursor"))
        return try await database.read { [self] context in
            let (records, next) = try InstanceRecord.page(of: visible, limit: limit, before: cursor, in: context)
            return CloudAPI.Page(try records.map { try managedView($0, in: context) }, next: next)
        }
    }

    func instance(_ id: InstanceID, for principal: Principal) async throws -> ManagedInstanceView {
        let visible = try await visibleAccounts(principal)
        return try await database.read { [self] context in
            guard let record = try InstanceRecord.load(id, in: context), visible?.contains(record.account) ?? true else {
                throw Refusal("instance.unknown", .notFound, "There is no instance \(id).", facts: ["instance": .text(id.description)])
            }
            return try managedView(record, in: context)
        }
    }

    func managedView(_ record: InstanceRecord, in context: any ReadContext) throws -> ManagedInstanceView {
        let contract = try record.contract.flatMap { try ContractRecord.load($0, in: context) }?.view
        let datacenter = try contract.flatMap { contract in
            try SiteRecords.datacenters(in: context).first { $0.id == contract.datacenter }
        }
        let account = try AccountTree.load(in: context).account(record.account)
        let isGone = record.state == .terminated
        return ManagedInstanceView(
            id: record.id, name: try TagRecord.of(record.id.description, in: context).first { $0.key == "Name" }?.value,
            account: record.account,
            offering: record.specification.offering, image: record.specification.image, state: record.state, reason: record.reason,
            step: record.stepText, contract: record.contract, seller: contract?.sellerName, datacenter: datacenter?.name,
            zone: record.seen?.zone ?? contract?.zone ?? record.specification.zone, host: record.seen?.hostName,
            address: isGone ? nil : record.seen?.privateAddress, accepted: record.accepted, executed: record.seen?.executed,
            interruption: isGone ? nil : record.seen?.interruption,
            charged: Money(microUnits: try MeterRecord.charged(record.id, in: context), account.currency))
    }

    // MARK: Consoles

    /// The end of the serial console: from the seller's connect while the contract runs, afterwards what was last fetched.
    func console(of id: InstanceID, in accounts: Set<AccountID>, by user: User) async throws -> ConsoleView {
        try user.authorize(.viewInstances)
        let now = time.now()
        let (record, contract, kept) = try await database.read { [self] context in
            let record = try found([id], of: accounts, in: context)[0]
            return (record, try record.contract.flatMap { try ContractRecord.load($0, in: context) }, try Self.keptConsole(id, in: context))
        }
        guard let contract, record.seen != nil, record.state != .terminated, contract.isActive(at: now) else {
            return kept ?? ConsoleView(instance: id, output: "", at: record.stateChanged)
        }
        let view = try await connects.client(for: contract.view).call(
            ConnectAPI.console, path: ["instance": id.description], deadline: .seconds(5))
        try await database.write { transaction in
            try transaction.execute(
                """
                INSERT INTO consoles (instance, output, at) VALUES ($1, $2, $3)
                ON CONFLICT (instance) DO UPDATE SET output = excluded.output, at = excluded.at
                """, [SQLValue(id), .text(view.output), SQLValue(view.at)])
        }
        return view
    }

    private static func keptConsole(_ id: InstanceID, in context: any ReadContext) throws -> ConsoleView? {
        try context.queryOne("SELECT output, at FROM consoles WHERE instance = $1", [SQLValue(id)]).map {
            ConsoleView(instance: id, output: try $0.text("output"), at: try $0.instant("at"))
        }
    }

    // MARK: Catalogue

    /// Instance types, with what an hour costs at the cheapest ask now; without prices for those who may not see them, and while
    /// the exchange does not answer.
    func offerings(_ principal: Principal) async throws -> [OfferingView] {
        var mayPrice = principal == .operator
        if case .user = principal { mayPrice = (try? await user(principal).authorize(.viewPrices)) != nil }
        let offers = mayPrice ? (try? await market(region: configuration.region))?.offers ?? [] : []
        return try await database.read { [self] in try offerings(in: $0) as [Offering] }.map { offering in
            let prices = offers.compactMap { offer -> Money? in
                guard offer.terms.metal == (offering.isMetal ? offering.name : nil),
                    !offering.isMetal || offer.terms.lot == offering.resources,
                    let lots = offering.resources.lots(of: offer.terms.lot), let best = offer.asks.first?.price
                else { return nil }
                let (hourly, overflow) = best.multipliedReportingOverflow(by: lots)
                return overflow ? nil : Money(microUnits: hourly, offer.terms.currency)
            }
            return OfferingView(name: offering.name, resources: offering.resources, hourly: prices.min { $0.microUnits < $1.microUnits })
        }
    }

    func images() async throws -> [ImageView] {
        try await database.read { context in
            var images: [ImageView] = []
            for (image, _) in try SiteRecords.images(in: context) where images.last?.id != image.id { images.append(image) }
            return images
        }
    }

    // MARK: Money

    func contracts(_ call: Call<Empty>) async throws -> CloudAPI.Page<SellerContractView> {
        if call.principal != .operator { try await user(call.principal).authorize(.viewContracts) }
        let (limit, cursor) = (try call.query.limit(), call.query.text("cursor"))
        return try await database.read { context in
            let records = try ContractRecord.page(limit: limit + 1, before: cursor, in: context)
            let views = try records.prefix(limit).map { SellerContractView(contract: $0.view, capacity: try $0.capacity(in: context)) }
            return CloudAPI.Page(views, next: records.count > limit ? views.last?.contract.id.description : nil)
        }
    }

    func charges(_ call: Call<Empty>) async throws -> CloudAPI.Page<ChargeView> {
        if call.principal != .operator { try await user(call.principal).authorize(.viewCharges) }
        let visible = try await visibleAccounts(call.principal)
        let (limit, cursor) = (try call.query.limit(), call.query.text("cursor"))
        return try await database.read { context in
            let (records, next) = try MeterRecord.page(of: visible, limit: limit, before: cursor, in: context)
            return CloudAPI.Page(records.map(\.view), next: next)
        }
    }
}

extension InstanceRecord {
    /// What is being done for it now, and what stands in the way, for people.
    fileprivate var stepText: String? {
        let doing: String?
        switch (step, action) {
        case (.source?, _): doing = "sourcing"
        case (.create?, _): doing = "creating"
        case (nil, let action?): doing = action.rawValue
        case (nil, nil): doing = nil
        }
        return doing.map { doing in note.map { "\(doing): \($0)" } ?? doing }
    }
}
