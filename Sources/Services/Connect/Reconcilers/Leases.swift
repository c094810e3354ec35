import CloudAPI
import Drivers
import Fleet
import Logging
import Primitives
import ServiceKit
import Store

// Fencing by the storage: connect watches the leases of hosts that are silent, and takes those of hosts that are to be fenced. A host that
// still lives sees that, stops its guests and says so; one that does not is reset by its watchdog before its lease has run out.

extension ConnectCore {
    /// Looks at the leases of silent hosts, some at once.
    func watchLeases() async throws {
        guard !configuration.leases.isEmpty else { return }
        let silent = memory.reading { state in
            state.occupancy.hostIDs.filter { [.suspect, .waiting, .fencing].contains(state.occupancy.host($0)?.state) }
        }
        leases.keepOnly(Set(silent))
        guard !silent.isEmpty else { return }
        var hosts = try await database.read { [self] context in try silent.compactMap { try hostLife($0, in: context) } }
            .filter { $0.holdsLease && !$0.life.isFenced }[...]
        while !hosts.isEmpty {
            let some = hosts.prefix(Self.leasesAtOnce)
            hosts = hosts.dropFirst(some.count)
            await withDiscardingTaskGroup { group in
                for host in some {
                    guard let store = configuration.leases[host.podName] else { continue }
                    group.addTask { await look(at: host, store) }
                }
            }
        }
    }

    private static let leasesAtOnce = 16

    private func look(at host: HostLifeRecord, _ store: any LeaseStore) async {
        let isFencing = host.life.health == .fencing
        do {
            let failure: Refusal?
            var isProven = false
            do throws(Refusal) {
                if isFencing { try await store.take(host.id, epoch: host.life.epoch) }
                let begun = leases.now
                let seen = try await store.read(host.id)
                isProven = leases.see(
                    host.id, seen.map(LeaseWatch.Record.init), reading: Period(start: begun, end: leases.now),
                    below: isFencing ? host.life.epoch : .min)
                failure = nil
            } catch {
                failure = error
            }
            guard isFencing else { return }
            try await note(host, isProven: isProven, failure ?? unguarded(host.id))
        } catch {
            logger.warning("a lease was not seen to", metadata: ["host": "\(host.id)", "error": "\(error)"])
        }
    }

    private func note(_ host: HostLifeRecord, isProven: Bool, _ trouble: Refusal?) async throws {
        guard isProven || trouble != nil else { return }
        FaultPoint.hit("connect.fence.lease")
        let now = time.now()
        try await write { [self] transaction in
            guard var current = try hostLife(host.id, in: transaction) else { return }
            let old = current.life
            if isProven {
                current.life.fenced(.storageLease, epoch: host.life.epoch, at: now)
            } else if let trouble, configuration.power == nil {
                current.life.fencingFailed(trouble.message, epoch: host.life.epoch, at: now, hostPolicy)
            }
            try current.save(since: old, in: transaction, at: now)
        }
        if isProven { metrics.count("bourse_host_fencings", ["result": "lease"]) }
    }

    /// A host that nothing resets has to give its lease back itself.
    private func unguarded(_ host: HostID) -> Refusal? {
        guard leases.left(of: host) == nil else { return nil }
        return Refusal(
            "host.unguarded", .conflict, "Its lease on the pod's storage was taken, but no watchdog guards it, and it was not given back.",
            facts: ["host": .text(host.description)], nearest: "switch the host off, then vouch that it is off")
    }

    /// What this datacenter has to make sure that a host runs nothing.
    func means(for host: HostLifeRecord, at now: Instant) -> HostFailure.Means {
        if configuration.power != nil { return .power }
        guard host.holdsLease, configuration.leases[host.podName] != nil, let record = leases.record(of: host.id) else { return .none }
        return .storageLease(expires: now + (leases.left(of: host.id) ?? record.lasts))
    }
}

extension LeaseWatch.Record {
    init(_ lease: StorageLease) {
        self.init(
            epoch: lease.epoch, number: lease.number, lasts: lease.lasts, isGuarded: lease.isGuarded, isReleased: lease.isReleased)
    }
}
