import CloudAPI
import Fleet
import Primitives
import Store

// Volumes between connect and its nodes, and with the instances that have them.

extension ConnectCore {
    /// What a host is to do about its volumes: all, or those among the subjects of changes.
    func volumeIntents(for host: HostID, of subjects: Set<String>? = nil, in context: any ReadContext) throws -> [VolumeIntent]? {
        let records =
            if let subjects {
                try subjects.compactMap(VolumeID.init).sorted().compactMap { try VolumeRecord.load($0, in: context) }
            } else {
                try VolumeRecord.all("v.host = $1", [SQLValue(host)], in: context)
            }
        return records.isEmpty ? nil : records.map { $0.intent(for: host) }
    }

    /// Whether an observation may change what is known, or shows that the host has not heard something.
    func isNews(_ seen: VolumeObservation, from host: HostID) -> Bool {
        guard let held = memory.reading({ $0.occupancy[seen.volume] }) else { return seen.state != .absent }
        guard held.host == host else { return seen.state != .absent }
        return held.generation == seen.generation
    }

    /// Takes in what a host saw of a volume. A host that still has one which is deleted, or another's, is told again what is wanted.
    func observe(_ seen: VolumeObservation, from host: HostID, at now: Instant, in transaction: FleetTransaction) throws {
        guard let old = try VolumeRecord.load(seen.volume, in: transaction) else { return }
        guard old.host == host, old.life.state != .deleted else {
            if seen.state != .absent { try old.announce(toHosts: [host], in: transaction, at: now) }
            return
        }
        guard seen.generation == old.life.generation, let state = VolumeLifecycle.Seen(rawValue: seen.state.rawValue) else { return }
        var record = old
        let reason = seen.reason.map { VolumeLifecycle.Reason($0.code, $0.message) }
        _ = record.life.observe(state, generation: seen.generation, reason: reason, at: now)
        if state == .present || state == .attached { record.isMade = true }
        if let size = seen.sizeMiB { record.actualMiB = size }
        guard record.life != old.life || record.isMade != old.isMade || record.actualMiB != old.actualMiB else { return }
        try record.save(since: old, in: transaction, at: now)
    }

    /// Has an instance placed where volumes it is to use can be attached: on their host (DAS), in their pod (NAS, SAN).
    func pull(
        _ request: inout PlacementRequest, towards volumes: [VolumeID], of contract: ContractRecord, in context: any ReadContext
    ) throws {
        for id in volumes {
            guard let volume = try VolumeRecord.load(id, in: context), volume.life.desired != .absent,
                memory.contract(volume.contract)?.view.buyer == contract.view.buyer
            else {
                throw Refusal.unknownVolume(id, "of this buyer here")
            }
            // A blank one comes to wherever the instance is.
            guard !volume.isBlank else { continue }
            let (host, pod) = (volume.storage == .das ? volume.host : nil, volume.pod)
            guard request.host == nil || host == nil || request.host == host, request.volumePod == nil || request.volumePod == pod else {
                throw Refusal(
                    "volume.gravity", .conflict, "The volumes lie apart: no host can have all of them attached.",
                    facts: ["volume": .text(id.description), "pod": .text(volume.podName)], nearest: "an instance for each of them")
            }
            request.volumePod = pod
            if let host { request.host = host }
        }
    }
}

extension VolumeRecord {
    /// An instance goes to another host of its pod. What it has on shared storage goes along; what lies on a disk of the host's own stays
    /// there, and is let go of.
    static func follow(_ instance: InstanceID, to host: HostID, in transaction: FleetTransaction, at now: Instant) throws {
        for old in try of(instance, in: transaction) where old.host != host && old.life.desired == .attached {
            var record = old
            if record.storage == .das {
                _ = try record.life.detach(at: now)
            } else {
                record.host = host
                record.life.follow(at: now)
            }
            try record.save(since: old, in: transaction, at: now)
        }
    }

    /// An instance is on its way out: its volumes stay, and are free again once it has let go of them.
    static func detachAll(from instance: InstanceID, in transaction: FleetTransaction, at now: Instant) throws {
        for old in try of(instance, in: transaction) {
            var record = old
            guard try record.life.detach(at: now) else { continue }
            try record.save(since: old, in: transaction, at: now)
        }
    }
}
