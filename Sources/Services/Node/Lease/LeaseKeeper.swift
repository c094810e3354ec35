import Drivers
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle

/// Renews this host's lease on its pod's storage, and stops all guests when it cannot: others may start them then. The two go on beside
/// each other, because storage that hangs must not keep guests from being stopped.
struct LeaseKeeper: Service {
    let core: NodeCore
    let lease: HostLease

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // Guests of the process before live under a lease of which this one knows nothing: it is renewed at once, or they stop.
            await renew(1)
            await withDiscardingTaskGroup { group in
                group.addTask { await keepRenewing() }
                group.addTask { await guardGuests() }
            }
        }
        await letGo()
    }

    // MARK: Renewing

    private func keepRenewing() async {
        var number: Int64 = 1
        var epoch = core.facts.values?.epoch
        while !Task.isCancelled {
            if core.facts.values?.epoch != epoch {
                epoch = core.facts.values?.epoch
                lease.epochChanged()
            }
            number += 1
            await renew(number)
            try? await Task.sleep(for: core.facts.values == nil ? .milliseconds(200) : lease.interval)
        }
    }

    private func renew(_ number: Int64) async {
        guard let record = record(number, isGuarded: lease.watchdog.map { _ in core.facts.isGuarded } ?? false), !lease.isTaken else {
            return
        }
        let begun = lease.now
        do throws(Refusal) {
            try await lease.store.renew(record)
            lease.renewed(begun: begun)
            try patInTime(begun)
        } catch  where error.rule == "lease.taken" {
            lease.taken()
            core.logger.critical("this host's lease was taken: all guests stop", metadata: ["error": "\(error)"])
        } catch {
            core.logger.warning("the lease on the pod's storage was not renewed", metadata: ["error": "\(error)"])
        }
    }

    /// Nil: connect has not named this host yet.
    private func record(_ number: Int64, isGuarded: Bool) -> StorageLease? {
        core.facts.values.map {
            // Another number than any process before used.
            StorageLease(
                host: $0.host, epoch: $0.epoch ?? 0, number: core.time.now().microseconds &+ number, lasts: lease.lasts,
                isGuarded: isGuarded)
        }
    }

    /// The watchdog counts from here for three fifths of the lease; with a renewal that took a fifth of it, the host is reset in time.
    private func patInTime(_ begun: Instant) throws(Refusal) {
        guard let watchdog = lease.watchdog, (lease.now - begun).microseconds < lease.lasts.microseconds / 5 else { return }
        if core.facts.isGuarded { return try watchdog.pat() }
        try watchdog.arm(Span(microseconds: lease.lasts.microseconds * 3 / 5))
        core.facts.setGuarded(true)
    }

    // MARK: Stopping

    private func guardGuests() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .microseconds(lease.lasts.microseconds / 40))
            guard !lease.isHeld, core.facts.values != nil else { continue }
            let alive = await core.drivers.compute.observe().filter { $0.state == .running || $0.state == .paused }.map(\.instance)
            if alive.isEmpty {
                await noteNothingRuns()
            } else {
                await stop(alive)
            }
        }
    }

    private func stop(_ instances: [InstanceID]) async {
        core.logger.critical("no lease on the pod's storage: guests are stopped", metadata: ["guests": "\(instances.count)"])
        core.metrics.count("bourse_node_self_fenced", by: instances.count)
        await withDiscardingTaskGroup { group in
            for instance in instances {
                group.addTask {
                    do {
                        core.board.see(try await core.drivers.compute.ensureStopped(instance, grace: .zero))
                        try await core.settleMeter(of: instance)
                    } catch {
                        // Tried again in a moment; the watchdog is not patted meanwhile.
                        core.logger.error("a guest was not stopped", metadata: ["instance": "\(instance)", "error": "\(error)"])
                    }
                }
            }
        }
    }

    /// Then the host need not be reset, and a lease that was taken is given back.
    private func noteNothingRuns() async {
        if core.facts.isGuarded { try? lease.watchdog?.pat() }
        guard lease.mustRelease, let record = record(0, isGuarded: core.facts.isGuarded) else { return }
        do throws(Refusal) {
            try await lease.store.release(record)
            lease.noteReleased()
            core.logger.notice("the lease that was taken is given back")
        } catch {
            core.logger.warning("the lease was not given back", metadata: ["error": "\(error)"])
        }
    }

    // MARK: The end of this process

    /// Guests outlive this process. Without it nobody stops them in time, so the lease says first that it proves nothing any more; only
    /// then is the watchdog disarmed. When that cannot be said, the watchdog goes on counting.
    private func letGo() async {
        guard core.facts.isGuarded, let record = record(0, isGuarded: false) else { return }
        do throws(Refusal) {
            if !lease.isTaken { try await lease.store.renew(record) }
            try lease.watchdog?.disarm()
            core.facts.setGuarded(false)
        } catch {
            core.logger.critical("the watchdog stays armed", metadata: ["error": "\(error)"])
        }
    }
}
