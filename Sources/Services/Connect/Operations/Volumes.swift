import CloudAPI
import Fleet
import Foundation
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    func addVolumeRoutes(to router: ProgramRouter, _ scope: @escaping @Sendable (Principal) throws -> ContractID?) {
        router.on(ConnectAPI.listVolumes) { call in
            try await volumes(under: try scope(call.principal), limit: try call.query.limit(), cursor: call.query.text("cursor"))
        }
        router.on(ConnectAPI.showVolume) { call in
            let (id, contract) = (try call.id("volume", as: VolumeID.self), try scope(call.principal))
            return try await database.read { view(try volume(id, under: contract, in: $0)) }
        }
        router.on(ConnectAPI.actOnVolume) { call in
            try await act(call, on: try call.id("volume", as: VolumeID.self), under: try scope(call.principal))
        }
    }

    private func view(_ record: VolumeRecord) -> VolumeView { record.view(hostName: memory.hostName(record.host)) }

    /// Volumes by identifier; the cursor is the last identifier of the page before.
    private func volumes(under contract: ContractID?, limit: Int, cursor: String?) async throws -> CloudAPI.Page<VolumeView> {
        try await database.read { context in
            let records = try VolumeRecord.all(
                "($1 = '' OR v.contract = $1) AND v.id > $2", [.text(contract?.description ?? ""), .text(cursor ?? "")], limit: limit + 1,
                in: context)
            let views = records.prefix(limit).map(view)
            return CloudAPI.Page(views, next: records.count > limit ? views.last?.id.description : nil)
        }
    }

    /// A volume the caller may know of.
    private func volume(_ id: VolumeID, under contract: ContractID?, in context: any ReadContext) throws -> VolumeRecord {
        guard let record = try VolumeRecord.load(id, in: context), contract == nil || record.contract == contract else {
            throw Refusal.unknownVolume(id, "under this contract")
        }
        return record
    }

    // MARK: Creating

    /// Accepts a volume under a contract: checks the contract's period and volume, places it, and stores what is wanted, all in one
    /// turn and one transaction. The same request again is answered with the same volume.
    func createVolume(_ call: Call<CreateVolume>, under terms: ContractTerms) async throws -> VolumeView {
        let (request, now, core) = (call.body, time.now(), self)
        try Self.check(request)
        return try await write { transaction in
            if let known = try VolumeRecord.load(request.id, in: transaction) { return try core.sameAgain(known, request, terms) }
            let contract = try core.activeContract(terms.contract, at: now)
            let wanted = try core.placement(of: request, contract: contract, in: transaction)
            try core.checkVolume(of: contract, for: wanted, at: now)
            let host = try core.memory.reading { try $0.occupancy.placeVolume(wanted, at: now) }
            let record = try VolumeRecord(request, contract: contract.id, on: host, at: now, in: transaction)
            try record.insert(in: transaction)
            try record.announce(toHosts: [host], in: transaction, at: now)
            try transaction.appendAudit(
                actor: call.principal.name, action: "volume.create", subject: record.id.description,
                detail: try WireJSON.text(record.resources), at: now)
            try transaction.remember(core.view(record), status: 202, for: call.idempotency, at: now)
            return core.view(record)
        }
    }

    private static func check(_ request: CreateVolume) throws(Refusal) {
        guard request.id.bits != 0 else {
            throw Refusal(
                "volume.id", .invalid, "\(request.id) is nobody's identifier.", facts: ["volume": .text(request.id.description)],
                nearest: "an identifier with 16 random digits")
        }
        guard (1...largestVolumeMiB).contains(request.sizeMiB) else { throw wrongSize(request.sizeMiB) }
        guard (0...Int64(Int32.max / 2)).contains(request.iops ?? 0) else {
            let most = Int64(Int32.max / 2)
            throw Refusal(
                "volume.iops", .invalid, "A volume is promised 0 to \(most) IOPS, not \(request.iops ?? 0).",
                facts: ["iops": .number(request.iops ?? 0), "most": .number(most)], nearest: "\(min(max(request.iops ?? 0, 0), most))")
        }
    }

    /// 64 TiB, as EC2's largest; a qcow2 file could be larger.
    private static let largestVolumeMiB: Int64 = 64 << 20

    private static func wrongSize(_ size: Int64) -> Refusal {
        Refusal(
            "volume.size", .invalid, "A volume has 1 to \(largestVolumeMiB) MiB, not \(size).",
            facts: ["sizeMiB": .number(size), "most": .number(largestVolumeMiB)], nearest: "\(min(max(size, 1), largestVolumeMiB)) MiB")
    }

    private func sameAgain(_ known: VolumeRecord, _ request: CreateVolume, _ terms: ContractTerms) throws -> VolumeView {
        guard known.contract == terms.contract, known.request.sizeMiB == request.sizeMiB, known.request.iops == request.iops else {
            throw Refusal(
                "volume.exists", .conflict, "There is a volume \(request.id) already, with another contract or size.",
                facts: ["volume": .text(request.id.description)], nearest: "another identifier")
        }
        return view(known)
    }

    /// Near the instance that is to have it, when one is named; else wherever the placement engine finds room.
    private func placement(
        of volume: CreateVolume, contract: ContractRecord, in transaction: FleetTransaction
    ) throws -> PlacementRequest {
        let beside = try volume.instance.map { try neighbour($0, of: contract, in: transaction) }
        if let beside, memory.reading({ $0.occupancy.host(beside.host)?.placement.kind }) == .metal {
            throw Self.metal("Instance \(beside.id) is bare metal", "instance", beside.id.description)
        }
        let (terms, fixed) = try memory.reading { state in
            (
                try state.terms(for: nil, zone: beside == nil ? volume.zone : nil, under: contract),
                try state.fixedTerms(for: nil, under: contract)
            )
        }
        guard terms.kind != .metal else {
            throw Self.metal("Contract \(contract.id) is for bare metal", "contract", contract.id.description)
        }
        var request = PlacementRequest(
            instance: InstanceID(bits: volume.id.bits), party: contract.view.buyer,
            resources: Resources(diskMiB: volume.sizeMiB, iops: volume.iops ?? 0), terms: InstanceTerms(terms, of: contract.view.buyer))
        (request.contract, request.fixed) = (contract.id, fixed)
        if let name = volume.pod { request.pod = try Self.pod(named: name, in: transaction) }
        if let beside { request.host = beside.host }
        return request
    }

    private static func pod(named name: String, in context: any ReadContext) throws -> PodID {
        guard let row = try context.queryOne("SELECT id FROM pods WHERE name = $1 AND removed IS NULL", [.text(name)]) else {
            throw try Refusal.unknownPod(name, in: context)
        }
        return try row.id("id")
    }

    /// An instance of the same buyer, which may run under another of its contracts.
    private func neighbour(_ id: InstanceID, of contract: ContractRecord, in context: any ReadContext) throws -> InstanceRecord {
        guard let instance = try InstanceRecord.load(id, in: context), instance.life.desired != .absent,
            instance.contract == contract.id || memory.contract(instance.contract)?.view.buyer == contract.view.buyer
        else {
            throw Refusal.unknownInstance(id, "of this buyer here, or it is on its way out")
        }
        return instance
    }

    // MARK: Acting

    /// Attach, detach, resize, delete or retry. `contract` nil: the operator, who may act on all.
    private func act(_ call: Call<ActOnVolume>, on id: VolumeID, under contract: ContractID?) async throws -> VolumeView {
        let (request, now, core) = (call.body, time.now(), self)
        return try await write { transaction in
            let old = try core.volume(id, under: contract, in: transaction)
            if let known = request.generation, known != old.life.generation { throw Self.newer(old, than: known) }
            var record = old
            try core.apply(request, to: &record, at: now, in: transaction)
            if record.life != old.life || record.resources != old.resources {
                try record.save(since: old, in: transaction, at: now)
                try transaction.appendAudit(
                    actor: call.principal.name, action: "volume.\(request.action.rawValue)", subject: id.description,
                    detail: try WireJSON.text(request), at: now)
            }
            try transaction.remember(core.view(record), status: 202, for: call.idempotency, at: now)
            return core.view(record)
        }
    }

    private static func newer(_ record: VolumeRecord, than known: Int64) -> Refusal {
        Refusal(
            "volume.generation", .conflict, "Volume \(record.id) is at generation \(record.life.generation), not \(known).",
            facts: ["generation": .number(record.life.generation), "known": .number(known)],
            nearest: "the same for generation \(record.life.generation)")
    }

    private func apply(_ request: ActOnVolume, to record: inout VolumeRecord, at now: Instant, in transaction: FleetTransaction) throws {
        switch request.action {
        case .attach: try attach(&record, request, at: now, in: transaction)
        case .detach:
            if let instance = request.instance, let holder = record.life.attachment?.instance, holder != instance {
                throw Refusal(
                    "volume.instance", .conflict, "Volume \(record.id) is attached to \(holder), not to \(instance).",
                    facts: ["instance": .text(holder.description)], nearest: "a detachment from \(holder)")
            }
            _ = try record.life.detach(at: now)
        case .resize: try resize(&record, request, at: now)
        case .delete: _ = try record.life.delete(at: now)
        case .retry: try record.life.retry(at: now)
        }
    }

    /// Grows it where it is: its host and its contract must have the room.
    private func resize(_ record: inout VolumeRecord, _ request: ActOnVolume, at now: Instant) throws {
        let (size, iops) = (request.sizeMiB ?? record.sizeMiB, request.iops ?? record.iops)
        guard size >= record.sizeMiB else {
            throw Refusal(
                "volume.shrink", .invalid, "Volume \(record.id) has \(record.sizeMiB) MiB and cannot shrink to \(size).",
                facts: ["sizeMiB": .number(record.sizeMiB)], nearest: "\(record.sizeMiB) MiB, or a new volume of \(size)")
        }
        var wanted = record.request
        (wanted.sizeMiB, wanted.iops) = (size, iops)
        try Self.check(wanted)
        let more = Resources(diskMiB: size - record.sizeMiB, iops: iops - record.iops)
        guard more != .zero else { return }
        try checkGrowth(of: record, by: more, under: try activeContract(record.contract, at: now))
        let host = record.host
        try memory.reading { try $0.occupancy.checkRoom(for: more, on: host, mustBeUp: false) }
        try record.life.amend(at: now)
        (record.sizeMiB, record.iops) = (size, iops)
    }
}

// MARK: - Attaching

extension ConnectCore {
    private func attach(
        _ record: inout VolumeRecord, _ request: ActOnVolume, at now: Instant, in transaction: FleetTransaction
    ) throws {
        guard let id = request.instance else {
            throw Refusal(
                "volume.instance", .invalid, "An attachment needs the instance that is to have the volume.",
                nearest: "the same with instance: one that GET /v1/instances shows")
        }
        let contract = try activeContract(record.contract, at: now)
        let instance = try neighbour(id, of: contract, in: transaction)
        guard instance.life.move?.kind != .live else {
            throw Refusal(
                "instance.moving", .unavailable, "The instance is on its way to another host and takes no volume before it is there.",
                facts: ["instance": .text(id.description)], nearest: "the same request in a minute")
        }
        let others = try VolumeRecord.of(id, in: transaction).filter { $0.id != record.id }.compactMap(\.life.attachment?.device)
        let device = try Self.device(request.device, of: record, on: id, taken: Set(others))
        // Asked for again: nothing to do, and nothing to look for.
        guard try record.life.attach(to: VolumeLifecycle.Attachment(instance: id, device: device), at: now) else { return }
        if instance.host != record.host { try bring(&record, to: instance, in: transaction) }
        record.isBlank = false
    }

    private static func device(
        _ asked: String?, of record: VolumeRecord, on instance: InstanceID, taken: Set<String>
    ) throws(Refusal) -> String {
        if let asked {
            guard let device = VolumeDevice(asked) else {
                throw Refusal(
                    "volume.device", .invalid, "'\(asked)' is not a place for a volume.", facts: ["device": .text(asked)],
                    nearest: "vdb to vdu")
            }
            guard !taken.contains(device.name) else {
                throw Refusal(
                    "volume.device", .conflict, "Instance \(instance) has another volume as \(device.name).",
                    facts: ["device": .text(device.name)],
                    nearest: VolumeDevice.all.first { !taken.contains($0.name) }?.name)
            }
            return device.name
        }
        if let present = record.life.attachment, present.instance == instance { return present.device }
        guard let free = VolumeDevice.all.first(where: { !taken.contains($0.name) }) else {
            throw Refusal(
                "volume.count", .conflict, "Instance \(instance) has \(counted(taken.count, "volume")), the most there may be.",
                facts: ["volumes": .number(Int64(taken.count)), "most": .number(VolumeDevice.slots.upperBound)],
                nearest: "the same once one of them is detached")
        }
        return free.name
    }

    private static func metal(_ which: String, _ name: String, _ id: String) -> Refusal {
        Refusal(
            "volume.metal", .invalid, "\(which): the disks of its host go with it, and no volume lies on them.", facts: [name: .text(id)],
            nearest: "a volume for a machine on virtual hosts, under a contract of a product such as block-ssd")
    }

    /// A volume has gravity: what was written to it stays on its host (DAS) or in its pod (NAS, SAN). While it is blank it goes to the
    /// host of the first instance that has it, when there is room.
    private func bring(_ record: inout VolumeRecord, to instance: InstanceRecord, in transaction: FleetTransaction) throws {
        let (there, storage) = try Self.pod(of: instance.host, in: transaction)
        let isShared = record.storage != .das && there.id == record.pod
        guard isShared || record.isBlank else { throw gravity(record, instance, pod: there.name) }
        guard memory.reading({ $0.occupancy.host(instance.host)?.placement.kind }) != .metal else {
            throw Self.metal("Instance \(instance.id) is bare metal", "instance", instance.id.description)
        }
        let (needed, target) = (record.resources, instance.host)
        try memory.reading { try $0.occupancy.checkRoom(for: needed, on: target, mustBeUp: true) }
        if !isShared {
            (record.pod, record.podName, record.storage) = (there.id, there.name, storage)
            (record.zone, record.isMade, record.actualMiB) = (instance.zone, false, 0)
        }
        record.host = target
    }

    private static func pod(
        of host: HostID, in context: any ReadContext
    ) throws -> (pod: (id: PodID, name: String), storage: StorageArchitecture) {
        let row = try context.queryOne(
            "SELECT p.id, p.name, p.storage FROM hosts h JOIN pods p ON p.id = h.pod WHERE h.id = $1", [SQLValue(host)])
        guard let row else {
            throw Refusal(
                "host.unknown", .notFound, "There is no host \(host).", facts: ["host": .text(host.description)],
                nearest: "one of `bourse host list`")
        }
        return ((try row.id("id"), try row.text("name")), try row.value("storage"))
    }

    private func gravity(_ record: VolumeRecord, _ instance: InstanceRecord, pod: String) -> Refusal {
        let place = memory.hostName(record.host) ?? record.host.description
        let other = memory.hostName(instance.host) ?? instance.host.description
        let isDirect = record.storage == .das
        return Refusal(
            "volume.gravity", .conflict,
            isDirect
                ? "Volume \(record.id) lies on host \(place), instance \(instance.id) runs on \(other), and their storage is each host's own."
                : "Volume \(record.id) lies in pod \(record.podName), instance \(instance.id) runs in \(pod).",
            facts: [
                "host": .text(record.host.description), "pod": .text(record.podName), "instanceHost": .text(instance.host.description),
                "instancePod": .text(pod), "storage": .text(record.storage.rawValue),
            ],
            nearest: "an instance \(isDirect ? "on host \(place)" : "in pod \(record.podName)"), launched with this volume named")
    }
}

extension VolumeRecord {
    fileprivate init(
        _ request: CreateVolume, contract: ContractID, on host: HostID, at now: Instant, in context: any ReadContext
    ) throws {
        let row = try context.queryOne(
            "SELECT p.id, p.name, p.storage, h.zone FROM hosts h JOIN pods p ON p.id = h.pod WHERE h.id = $1", [SQLValue(host)])
        guard let row else { preconditionFailure("placement chose a host that is not there") }
        self.init(
            id: request.id, contract: contract, request: request, created: now, pod: try row.id("id"), podName: try row.text("name"),
            storage: try row.value("storage"), host: host, zone: try row.text("zone"), sizeMiB: request.sizeMiB, actualMiB: 0,
            iops: request.iops ?? 0, isMade: false, isBlank: true, life: VolumeLifecycle(createdAt: now))
    }
}
