import Glibc
public import Primitives
import Synchronization

/// Stopping, resetting, forgetting.
extension QEMUDriver {
    @discardableResult public func ensureStopped(_ instance: InstanceID, grace: Span) async throws(Refusal) -> MachineObservation {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await stop(instance, grace: grace)
            return look(instance)
        }
    }

    func stop(_ instance: InstanceID, grace: Span) async throws(Refusal) {
        guard let process = state.withLock({ $0.machines[instance]?.process }) else { return }
        if grace > .zero, try await waitForGuest(instance, process, grace) { return }
        if Task.isCancelled { throw Refusal("compute.cancelled", .unavailable, "the wait for \(instance) to stop was given up") }
        // Quitting flushes the disks; a process that hangs is killed.
        if let monitor = try? monitor(instance) {
            _ = try? await monitor.execute("quit", deadline: .seconds(2))
            if await hasEnded(instance, process, within: .seconds(3)) { return }
        }
        state.withLock { $0.machines[instance]?.shutdownReason = "killed" }
        try await Blocking.run { () throws(Refusal) in HostProcess.signal(process, SIGKILL) }
        guard await hasEnded(instance, process, within: .seconds(10)) else {
            throw Refusal(
                "compute.unkillable", .unavailable, "the QEMU process of \(instance) does not end",
                facts: ["processID": .number(Int64(process.pid))], nearest: "look for a hung disk below it")
        }
    }

    /// Presses the power button until the guest has gone or `grace` is over. A guest that still boots does not feel the first press.
    private func waitForGuest(_ instance: InstanceID, _ process: ProcessIdentity, _ grace: Span) async throws(Refusal) -> Bool {
        state.withLock { $0.machines[instance]?.askedToStop = true }
        let clock = ContinuousClock()
        let end = clock.now + grace.duration
        while clock.now < end, !Task.isCancelled {
            guard let monitor = try? monitor(instance) else { break }
            _ = try? await monitor.execute("system_powerdown", deadline: .seconds(2))
            if await hasEnded(instance, process, within: min(.seconds(3), end - clock.now)) { return true }
        }
        return await hasEnded(instance, process, within: .zero)
    }

    /// True once the process has gone and its end is on record. Cancelling ends the wait.
    private func hasEnded(_ instance: InstanceID, _ process: ProcessIdentity, within limit: Duration) async -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + limit
        while true {
            if state.withLock({ $0.machines[instance]?.process != process }) { return true }
            let watched = state.withLock { $0.machines[instance]?.monitor != nil }
            if !watched, !HostProcess.isAlive(process) {
                try? await noteEnd(instance, at: HostClock.now(), .forced)
                changed.yield(instance)
                return true
            }
            guard clock.now < end, !Task.isCancelled else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    public func ensureAbsent(_ instance: InstanceID) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            try await stop(instance, grace: .zero)
            let path = directory(instance).path
            try await Blocking.run { () throws(Refusal) in try Files.removeTree(path) }
            _ = state.withLock { $0.machines.removeValue(forKey: instance) }
        }
    }

    public func reset(_ instance: InstanceID, grace: Span) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            let monitor = try monitor(instance)
            if grace > .zero { try await shutDownInPlace(instance, monitor, grace) }
            try await completeReset(monitor)
            state.withLock { state in
                state.machines[instance]?.restarting = false
                state.machines[instance]?.shutdownReason = nil
            }
        }
    }

    /// The guest shuts down and QEMU holds it there instead of ending.
    private func shutDownInPlace(_ instance: InstanceID, _ monitor: QMPClient, _ grace: Span) async throws(Refusal) {
        try await monitor.execute("set-action", ["shutdown": "pause"])
        state.withLock { $0.machines[instance]?.restarting = true }
        let clock = ContinuousClock()
        let end = clock.now + grace.duration
        var pressAgain = clock.now
        while clock.now < end, !Task.isCancelled {
            if clock.now >= pressAgain {
                try await monitor.execute("system_powerdown")
                pressAgain = clock.now + .seconds(3)
            }
            if try await monitor.execute("query-status")["status"]?.text == "shutdown" { return }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    func completeReset(_ monitor: QMPClient) async throws(Refusal) {
        try await monitor.execute("system_reset")
        try await monitor.execute("cont")
        try await monitor.execute("set-action", ["shutdown": "poweroff"])
    }
}

extension JSONValue: ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self = .text(value) }
}
