import CloudAPI
import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

/// A request for a volume, from the EC2 API or manage's own.
struct VolumeRequest: Sendable {
    var sizeMiB: Int64
    var iops: Int64
    var zone: String?
    var instance: InstanceID?
    var tags: [ResourceTag]
    var clientToken: String?
}

extension ManageCore {
    func addVolumeRoutes(to router: ProgramRouter) {
        router.on(ManageAPI.createVolume) { call in
            let body = call.body
            let request = VolumeRequest(
                sizeMiB: body.sizeMiB, iops: body.iops ?? 0, zone: body.zone, instance: body.instance,
                tags: body.name.map { [ResourceTag(key: "Name", value: $0)] } ?? [], clientToken: nil)
            let record = try await createVolume(request, by: try await user(call.principal), remembering: call.idempotency)
            return try await database.read { [self] in try managedView(record, in: $0) }
        }
        router.on(ManageAPI.listVolumes) { call in
            let visible = try await visibleAccounts(call.principal)
            let (limit, cursor) = (try call.query.limit(), call.query.text("cursor") ?? "")
            return try await database.read { [self] context in
                let records = try VolumeRecord.all(of: visible, after: cursor, limit: limit + 1, in: context)
                let views = try records.prefix(limit).map { try managedView($0, in: context) }
                return CloudAPI.Page(views, next: records.count > limit ? views.last?.id.description : nil)
            }
        }
        router.on(ManageAPI.showVolume) { call in
            let (id, visible) = (try call.id("volume", as: VolumeID.self), try await visibleAccounts(call.principal))
            return try await database.read { [self] in try managedView(try volume(id, of: visible, in: $0), in: $0) }
        }
        router.on(ManageAPI.actOnVolume) { call in
            let (id, user) = (try call.id("volume", as: VolumeID.self), try await user(call.principal))
            let accounts = try await visibleAccounts(call.principal) ?? []
            let record = try await act(call.body, on: id, of: accounts, by: user, remembering: call.idempotency)
            return try await database.read { [self] in try managedView(record, in: $0) }
        }
    }

    func volume(_ id: VolumeID, of accounts: Set<AccountID>?, in context: any ReadContext) throws -> VolumeRecord {
        guard let record = try VolumeRecord.load(id, in: context), accounts?.contains(record.account) ?? true else {
            throw Refusal("volume.unknown", .notFound, "The volume '\(id)' does not exist.", facts: ["volume": .text(id.description)])
        }
        return record
    }

    func managedView(_ record: VolumeRecord, in context: any ReadContext) throws -> ManagedVolumeView {
        let contract = try ContractRecord.load(record.contract, in: context)?.view
        let doing = record.action?.action.rawValue ?? (record.isMade ? nil : "creating")
        return ManagedVolumeView(
            id: record.id, name: try TagRecord.of(record.id.description, in: context).first { $0.key == "Name" }?.value,
            account: record.account, state: record.state, reason: record.reason,
            step: record.isUnfinished ? doing.map { doing in record.note.map { "\(doing): \($0)" } ?? doing } : nil,
            sizeMiB: record.sizeMiB, actualMiB: record.seen?.actualMiB ?? 0, iops: record.iops, instance: record.attachment?.instance,
            device: record.attachment?.device, contract: record.contract, seller: contract?.sellerName,
            zone: record.seen?.zone ?? record.request.zone ?? contract?.zone, pod: record.seen?.pod, host: record.seen?.hostName,
            created: record.created)
    }

    // MARK: Creating

    /// While the caller waits it is asked for here; afterwards the reconciler sees to it.
    private static let callersTurn = Span.seconds(12)

    /// Decides under which contract, makes the intent durable, and asks connect: what stands in the way the caller learns at once.
    func createVolume(
        _ request: VolumeRequest, by user: User, dryRun: Bool = false, remembering idempotency: IdempotentRequest? = nil
    ) async throws -> VolumeRecord {
        let (now, id) = (time.now(), ids.next(VolumeID.self))
        let record = try await database.write { [self] transaction -> VolumeRecord in
            if let token = request.clientToken,
                let earlier = try VolumeRecord.load(user.account, clientToken: token, in: transaction)
            {
                return try Self.sameAgain(earlier, request, token)
            }
            let tree = try AccountTree.load(in: transaction)
            try tree.authorize(user, .operateInstances, on: user.account)
            guard request.sizeMiB > 0, request.iops >= 0 else {
                throw Refusal("volume.size", .invalid, "A volume has at least 1 MiB.", nearest: "1 MiB")
            }
            try tree.checkVolumeQuota(of: user.account, adding: request.sizeMiB, usage: try VolumeRecord.usage(in: transaction))
            let contract = try contract(for: request, of: tree.subtree(of: user.account), at: now, in: transaction)
            let record = VolumeRecord(
                CloudAPI.CreateVolume(
                    id: id, sizeMiB: request.sizeMiB, iops: request.iops, zone: request.zone, instance: request.instance,
                    account: user.account),
                account: user.account, contract: contract, created: now, nextAttempt: now + Self.callersTurn)
            if dryRun { throw EC2Error.dryRun }
            try record.insert(clientToken: request.clientToken, in: transaction)
            try TagRecord.set(request.tags, on: id.description, type: "volume", account: user.account, in: transaction)
            try transaction.appendAudit(
                actor: user.id.description, action: "volume.create", subject: id.description, detail: try WireJSON.text(record.request),
                at: now)
            try transaction.remember(try managedView(record, in: transaction), status: 202, for: idempotency, at: now)
            return record
        }
        FaultPoint.hit("manage.volume.accepted")
        return try await driveOnce(record)
    }

    private static func sameAgain(_ earlier: VolumeRecord, _ request: VolumeRequest, _ token: String) throws(Refusal) -> VolumeRecord {
        guard earlier.request.sizeMiB == request.sizeMiB, earlier.request.iops ?? 0 == request.iops, earlier.request.zone == request.zone
        else {
            throw Refusal(
                "launch.clientToken", .conflict, "The client token '\(token)' was used before with other parameters.",
                facts: ["clientToken": .text(token)], nearest: "A new token for a new request.")
        }
        return earlier
    }

    /// The contract with room that is left with the least: block storage rather than what machines need.
    private func contract(
        for request: VolumeRequest, of accounts: Set<AccountID>, at now: Instant, in context: any ReadContext
    ) throws -> ContractID {
        let needed = Resources(diskMiB: request.sizeMiB, iops: request.iops)
        var datacenter: DatacenterID?
        if let instance = request.instance {
            let near = try found([instance], of: accounts, in: context)[0]
            datacenter = try near.contract.flatMap { try ContractRecord.load($0, in: context) }?.view.datacenter
        }
        var fitting: [(isBlock: Bool, left: Int64, id: ContractID)] = []
        var most = Resources.zero
        let products = try SiteRecords.products(in: context)
        for record in try ContractRecord.all(in: context, open: true) where record.isActive(at: now) && !record.isReleasing {
            let view = record.view
            // The disks of a whole host go with it.
            guard products[view.product]?.definition.hosting == .virtual else { continue }
            guard request.zone == nil || view.zone == nil || view.zone == request.zone, datacenter.map({ $0 == view.datacenter }) ?? true
            else { continue }
            let free = record.volume - (try record.used(in: context).resources)
            most = Resources(diskMiB: max(most.diskMiB, free.diskMiB), iops: max(most.iops, free.iops))
            guard needed.fits(in: Resources(diskMiB: free.diskMiB, iops: free.iops)) else { continue }
            fitting.append((view.lot.milliCPU == 0, free.diskMiB, view.id))
        }
        let best = fitting.min { ($0.isBlock ? 0 : 1, $0.left, $0.id) < ($1.isBlock ? 0 : 1, $1.left, $1.id) }
        guard let best else { throw Self.noRoom(needed, most) }
        return best.id
    }

    private static func noRoom(_ needed: Resources, _ most: Resources) -> Refusal {
        Refusal(
            "volume.contract", .capacity,
            "No contract of yours has \(needed.diskMiB) MiB and \(needed.iops) IOPS free; the most that one has is \(most.diskMiB) MiB and \(most.iops) IOPS.",
            facts: ["diskMiB": .number(needed.diskMiB), "iops": .number(needed.iops), "freeMiB": .number(most.diskMiB)],
            nearest: most.diskMiB > 0 ? "\(most.diskMiB) MiB, or another contract" : "a contract for storage")
    }

    // MARK: Acting

    /// Accepts an action and tells connect of it; what connect refuses the caller learns at once.
    func act(
        _ action: ActOnManagedVolume, on id: VolumeID, of accounts: Set<AccountID>, by user: User,
        remembering idempotency: IdempotentRequest? = nil
    ) async throws -> VolumeRecord {
        let now = time.now()
        try user.authorize(.operateInstances)
        let (record, isNew) = try await database.write { [self] transaction in
            var record = try volume(id, of: accounts, in: transaction)
            let isNew = try accept(action, on: &record, of: accounts, at: now, in: transaction)
            if isNew {
                try record.save(in: transaction, at: now)
                try transaction.appendAudit(
                    actor: user.id.description, action: "volume.\(action.action.rawValue)", subject: id.description,
                    detail: try WireJSON.text(action), at: now)
            }
            try transaction.remember(try managedView(record, in: transaction), status: 202, for: idempotency, at: now)
            return (record, isNew)
        }
        FaultPoint.hit("manage.volume.acted")
        return isNew ? try await driveOnce(record) : record
    }

    /// False: it is so already.
    private func accept(
        _ action: ActOnManagedVolume, on record: inout VolumeRecord, of accounts: Set<AccountID>, at now: Instant,
        in transaction: any WriteContext
    ) throws -> Bool {
        if record.action == action { return false }
        if action.action == .delete, record.state == .deleting || record.state == .deleted { return false }
        guard record.action == nil, record.isMade, record.state != .deleted else { throw Self.wrongState(record, action.action) }
        let contract = try ContractRecord.load(record.contract, in: transaction)
        if contract?.isOver(at: now) ?? true {
            guard action.action == .delete else { throw Self.wrongState(record, action.action) }
            // Nobody can be told any more; the seller takes the disk away by itself.
            record.end(nil, at: now)
            return true
        }
        try check(action, on: record, of: accounts, at: now, in: transaction)
        (record.action, record.attempts, record.note) = (action, 0, nil)
        record.actionNumber += 1
        record.nextAttempt = now + Self.callersTurn
        switch action.action {
        case .attach: record.enter(.attaching, nil, at: now)
        case .detach: record.enter(.detaching, nil, at: now)
        case .delete: record.enter(.deleting, nil, at: now)
        case .resize: (record.sizeMiB, record.iops) = (action.sizeMiB ?? record.sizeMiB, action.iops ?? record.iops)
        case .retry: break
        }
        return true
    }

    private func check(
        _ action: ActOnManagedVolume, on record: VolumeRecord, of accounts: Set<AccountID>, at now: Instant, in context: any ReadContext
    ) throws {
        switch action.action {
        case .attach:
            guard let instance = action.instance else {
                throw Refusal("volume.instance", .invalid, "An attachment needs the instance that is to have the volume.")
            }
            _ = try found([instance], of: accounts, in: context)
            guard record.state == .available else { throw Self.wrongState(record, .attach) }
        case .detach: guard record.seen?.instance != nil else { throw Self.wrongState(record, .detach) }
        case .delete: guard record.state == .available || record.state == .error else { throw Self.wrongState(record, .delete) }
        case .resize:
            guard record.state == .available || record.state == .inUse else { throw Self.wrongState(record, .resize) }
            let more = (action.sizeMiB ?? record.sizeMiB) - record.sizeMiB
            let tree = try AccountTree.load(in: context)
            if more > 0 { try tree.checkVolumeQuota(of: record.account, adding: more, usage: try VolumeRecord.usage(in: context)) }
        case .retry: break
        }
    }

    private static func wrongState(_ record: VolumeRecord, _ action: VolumeAction) -> Refusal {
        let wanted = action == .detach ? "in-use" : "available"
        return Refusal(
            "volume.state", .conflict,
            "The volume '\(record.id)' is \(record.state.rawValue)\(record.action == nil ? "" : ", and something else is being done with it"); it cannot be asked to \(action.rawValue) now.",
            facts: ["volume": .text(record.id.description), "state": .text(record.state.rawValue)],
            nearest: "The same request once it is \(wanted).")
    }
}
