import CloudAPI
import Crypto
import EC2
import Foundation
import Primitives
import ServiceKit
import Sourcing
import Store
import Tenancy

/// A request to launch, from the EC2 API or manage's own.
struct LaunchRequest: Sendable {
    var image: ImageID
    var offering: String
    var count: ClosedRange<Int>
    var keyName: String?
    /// Base64.
    var userData: String?
    var zone: String?
    /// What the seller's connect is asked to keep to.
    var placement: PlacementTerms?
    var tags: [ResourceTag]
    var clientToken: String?
    /// Everything that makes two requests the same one.
    var canonicalText: String
    /// One of the account's own.
    var network: NetworkID?
}

/// What a launch request comes to once its names are looked up.
private struct ResolvedLaunch {
    var tree: AccountTree
    var account: Account
    var specification: LaunchSpecification
}

extension ManageCore {
    /// Decides, and makes the intent durable: reservation, instances, tags, audit and outbox in one transaction. The reconciler
    /// does the rest.
    ///
    /// Whether contracts and current asks can satisfy it is checked first, so that the caller learns at once what stands in the way.
    func launch(
        _ request: LaunchRequest, by user: User, dryRun: Bool = false, remembering idempotency: IdempotentRequest? = nil
    ) async throws -> [InstanceRecord] {
        let now = time.now()
        let region = configuration.region
        let request = try await inZoneOfNetwork(request, of: user.account)
        let offers = { [self] (market: MarketSnapshot) in
            try await database.write { [self] transaction in
                try accept(
                    request, by: user, market: market, region: region, dryRun: dryRun, at: now, remembering: idempotency, in: transaction)
            }
        }
        if let records = try await offersNotNeeded(request, by: user, now: now, offers) { return records }
        let records = try await offers(try await market(region: region))
        FaultPoint.hit("manage.launch.accepted")
        return records
    }

    /// Machines on a network run where it is: a zone lies in one datacenter.
    private func inZoneOfNetwork(_ request: LaunchRequest, of account: AccountID) async throws -> LaunchRequest {
        guard let id = request.network else { return request }
        let own = try await database.read { [self] in try network(id, of: account, in: $0) }
        guard let zone = own.request.zone else { return request }
        guard request.zone == nil || request.zone == zone else {
            throw Refusal(
                "network.zone", .invalid, "The network '\(id)' is in zone \(zone), not in \(request.zone ?? "").",
                facts: ["network": .text(id.description), "zone": .text(zone)], nearest: "zone \(zone)")
        }
        var request = request
        request.zone = zone
        return request
    }

    /// The launch on contracts alone; nil when the market has to be asked.
    private func offersNotNeeded(
        _ request: LaunchRequest, by user: User, now: Instant, _ accept: (MarketSnapshot) async throws -> [InstanceRecord]
    ) async throws -> [InstanceRecord]? {
        let region = configuration.region
        let suffices = try await database.read { [self] context in
            if try earlier(request, account: user.account, in: context) != nil { return true }
            let launch = try resolve(request, by: user, in: context)
            let state = try SourcingState.load(image: request.image, at: now, in: context)
            let demand = demand(request, launch, region: region, at: now)
            return (try? demand.plan(contracts: state.contracts, offers: []))?.sources.count == request.count.upperBound
        }
        guard suffices else { return nil }
        do {
            let records = try await accept(.empty)
            FaultPoint.hit("manage.launch.accepted")
            return records
        } catch let refusal as Refusal where refusal.rule.hasPrefix("sourcing.") {
            // Somebody else took the room between the look and the transaction.
            return nil
        }
    }

    private func accept(
        _ request: LaunchRequest, by user: User, market: MarketSnapshot, region: String, dryRun: Bool, at now: Instant,
        remembering idempotency: IdempotentRequest?, in transaction: any WriteContext
    ) throws -> [InstanceRecord] {
        if let earlier = try earlier(request, account: user.account, in: transaction) {
            if dryRun { throw EC2Error.dryRun }
            return earlier
        }
        let launch = try resolve(request, by: user, in: transaction)
        let state = try SourcingState.load(image: request.image, at: now, in: transaction)
        let plan = try demand(request, launch, region: region, at: now).plan(contracts: state.contracts, offers: market.offers)
        try plan.checkCash(in: market, currency: launch.account.currency, at: now)
        let milliCPU = launch.specification.resources.milliCPU * Int64(plan.sources.count)
        try launch.tree.checkQuota(of: launch.account.id, adding: milliCPU, usage: try usage(in: transaction))
        if dryRun { throw EC2Error.dryRun }
        let records = try save(request, launch, plan, by: user, at: now, in: transaction)
        if let idempotency {
            let views = try records.map { try managedView($0, in: transaction) }
            try transaction.remember(CloudAPI.Page(views), status: 202, for: idempotency, at: now)
        }
        return records
    }

    private func demand(_ request: LaunchRequest, _ launch: ResolvedLaunch, region: String, at now: Instant) -> Demand {
        Demand(
            launch.specification.resources, of: launch.specification.offering, count: request.count, region: region, zone: request.zone,
            placement: launch.specification.placement,
            account: launch.account, tree: launch.tree, at: now)
    }

    /// Thousandths of a vCPU in use, by account.
    private func usage(in context: any ReadContext) throws -> [AccountID: Int64] {
        let rows = try context.query(
            "SELECT account, CAST(SUM(milli_cpu) AS BIGINT) AS used FROM instances WHERE state <> 'terminated' GROUP BY account")
        return Dictionary(try rows.map { (try $0.id("account"), try $0.integer("used")) }, uniquingKeysWith: { first, _ in first })
    }
}

// MARK: - The same request again

extension ManageCore {
    /// The instances launched with this client token before. Refused when it was used for another request.
    private func earlier(_ request: LaunchRequest, account: AccountID, in context: any ReadContext) throws -> [InstanceRecord]? {
        guard let token = request.clientToken else { return nil }
        let row = try context.queryOne(
            "SELECT id, request_hash FROM reservations WHERE account = $1 AND client_token = $2", [SQLValue(account), .text(token)])
        guard let row else { return nil }
        guard try row.text("request_hash") == Self.hash(request) else {
            throw Refusal(
                "launch.clientToken", .conflict, "The client token '\(token)' was used before with other parameters.",
                facts: ["clientToken": .text(token)], nearest: "A new token for a new request.")
        }
        return try InstanceRecord.ofReservation(try row.id("id"), in: context)
    }

    private static func hash(_ request: LaunchRequest) -> String {
        SHA256.hash(data: Data(request.canonicalText.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

// MARK: - Names to things

extension ManageCore {
    private func resolve(_ request: LaunchRequest, by user: User, in context: any ReadContext) throws -> ResolvedLaunch {
        let tree = try AccountTree.load(in: context)
        try tree.authorize(user, .launchInstances, on: user.account)
        let account = try tree.account(user.account)
        let offerings = try self.offerings(in: context)
        guard let offering = offerings.first(where: { $0.name == request.offering }) else {
            let names = offerings.map(\.name).joined(separator: ", ")
            throw Refusal(
                "launch.offering", .invalid, "Invalid value '\(request.offering)' for InstanceType.",
                facts: ["offering": .text(request.offering)],
                nearest: "One of \(names).")
        }
        let image = try image(request.image, in: context)
        try check(offering, against: image)
        if let zone = request.zone { try check(zone: zone, in: context) }
        var placement = request.placement
        if offering.isMetal { placement = try offering.wholeHost(placement) }
        let specification = LaunchSpecification(
            image: request.image, architecture: image.architecture, offering: offering.name, resources: offering.resources,
            zone: request.zone,
            key: try sshKey(request.keyName, of: account.id, in: context), userData: request.userData, clientToken: request.clientToken,
            placement: placement, network: request.network)
        return ResolvedLaunch(tree: tree, account: account, specification: specification)
    }

    private func image(_ id: ImageID, in context: any ReadContext) throws -> ImageView {
        guard let image = try SiteRecords.images(in: context).first(where: { $0.image.id == id })?.image else {
            throw Refusal("launch.image", .notFound, "The image id '[\(id)]' does not exist", facts: ["image": .text(id.description)])
        }
        return image
    }

    private func check(_ offering: Offering, against image: ImageView) throws {
        guard offering.resources.memoryMiB >= image.minimumMemoryMiB, offering.resources.diskMiB >= image.virtualSizeMiB else {
            let fitting = configuration.offerings.first {
                $0.resources.memoryMiB >= image.minimumMemoryMiB && $0.resources.diskMiB >= image.virtualSizeMiB
            }
            throw Refusal(
                "launch.size", .invalid,
                "Image \(image.name) needs \(image.minimumMemoryMiB) MiB of memory and \(image.virtualSizeMiB) MiB of disk; \(offering.name) has \(offering.resources.memoryMiB) and \(offering.resources.diskMiB).",
                facts: ["memoryMiB": .number(image.minimumMemoryMiB), "diskMiB": .number(image.virtualSizeMiB)],
                nearest: fitting.map { "\($0.name) is large enough." })
        }
    }

    private func check(zone: String, in context: any ReadContext) throws {
        let region = configuration.region
        let zones = try SiteRecords.datacenters(in: context).filter { $0.region == region }.flatMap(\.zones)
        guard zones.contains(zone) else {
            throw Refusal(
                "launch.zone", .notFound, "The zone '\(zone)' does not exist in region \(region).", facts: ["zone": .text(zone)],
                nearest: zones.isEmpty ? nil : "One of \(Set(zones).sorted().joined(separator: ", ")).")
        }
    }

    private func sshKey(_ name: String?, of account: AccountID, in context: any ReadContext) throws -> SSHKey? {
        guard let name else { return nil }
        guard let pair = try KeyPairRecord.named(name, of: account, in: context) else {
            throw Refusal("launch.keyPair", .notFound, "The key pair '\(name)' does not exist", facts: ["keyName": .text(name)])
        }
        return SSHKey(name: pair.name, publicKey: pair.publicKey)
    }
}

// MARK: - Records

extension ManageCore {
    private func save(
        _ request: LaunchRequest, _ launch: ResolvedLaunch, _ plan: Plan, by user: User, at now: Instant, in transaction: any WriteContext
    ) throws -> [InstanceRecord] {
        let reservation = ids.next(ReservationID.self)
        try transaction.execute(
            "INSERT INTO reservations (id, account, user_id, client_token, request_hash, created) VALUES ($1, $2, $3, $4, $5, $6)",
            [
                SQLValue(reservation), SQLValue(launch.account.id), SQLValue(user.id), SQLValue(request.clientToken),
                .text(Self.hash(request)),
                SQLValue(now),
            ])
        var specification = launch.specification
        specification.launchCount = Int64(plan.sources.count)
        var records: [InstanceRecord] = []
        for (index, source) in plan.sources.enumerated() {
            var contract: ContractID?
            if case .contract(let id) = source { contract = id }
            let record = InstanceRecord(
                id: ids.next(InstanceID.self), account: launch.account.id, reservation: reservation, launchIndex: Int64(index),
                specification: specification, contract: contract, accepted: now)
            try record.insert(in: transaction)
            if case .purchase(let series, let lots, let limit) = source {
                let purchase = PurchaseRecord(instance: record.id, attempt: 1, series: series, lots: lots, limit: limit)
                try purchase.insert(at: now, in: transaction)
            }
            try TagRecord.set(request.tags, on: record.id.description, type: "instance", account: launch.account.id, in: transaction)
            records.append(record)
        }
        let detail = ["offering": request.offering, "image": request.image.description, "count": String(records.count)]
        try transaction.appendAudit(
            actor: user.id.description, action: "instance.launch", subject: reservation.description, detail: try WireJSON.text(detail),
            at: now)
        return records
    }
}
