import Primitives
import Synchronization

/// Work in the background.
extension QEMUDriver {
    public func run() async {
        await settleAcceleration()
        while !Task.isCancelled {
            await keepConsolesBounded()
            await resumePaused()
            await reconnect()
            noteUnheardEnds()
            try? await Task.sleep(for: .seconds(2))
        }
    }

    /// Launches use TCG until this has found that KVM works; nobody waits for it.
    private func settleAcceleration() async {
        guard let said = try? await runner.run(configuration.program, ["--version"]).output else { return }
        let version = "QEMU " + (said.split(separator: " ").drop { $0 != "version" }.dropFirst().first.map(String.init) ?? "")
        state.withLock { $0.qemuVersion = version }
        guard let program = try? CommandRunner.locate(configuration.program) else { return }
        let probe = AccelerationProbe(cacheFile: configuration.directory + "/.acceleration.json", runner: runner, program: program)
        let answer: AccelerationProbe.Answer
        if let known = probe.cached(qemu: version) { answer = known } else { answer = await probe.ask(qemu: version) }
        state.withLock { state in
            state.accelerator = answer.kvm ? .kvm : .tcg
            state.isSettled = true
        }
    }

    private func keepConsolesBounded() async {
        let instances = state.withLock { $0.machines.filter { $0.value.process != nil }.map(\.key) }
        for instance in instances {
            let directory = directory(instance)
            // Without space for the older part the log keeps growing until there is some; the next round tries again.
            try? await Blocking.run { () throws(Refusal) in
                try ConsoleLog(current: directory.console, older: directory.olderConsole).rotate()
            }
        }
    }

    /// Free space below which a machine that was paused for lack of it is not resumed: it would only be paused again.
    private static let roomToResume: Int64 = 64 << 20

    /// A guest whose write found the disk full goes on where it was once there is space again.
    private func resumePaused() async {
        let paused = state.withLock { $0.machines.filter { $0.value.process != nil && $0.value.pausedBecause != nil }.map(\.key) }
        for instance in paused {
            let directory = directory(instance)
            let free = try? await Blocking.run { () throws(Refusal) -> Int64? in
                directory.readSpec().flatMap { Files.freeBytes(at: $0.disk) }
            }
            guard let free, free > Self.roomToResume, let monitor = try? monitor(instance) else { continue }
            // One that runs elsewhere now, or does not yet run here, stands still for another reason.
            let mayRun = state.withLock { $0.machines[instance].map { !$0.isReceiving && $0.sentAt == nil } ?? false }
            let status = try? await monitor.execute("query-status")["status"]?.text
            guard mayRun, status != "postmigrate", status != "finish-migrate", status != "inmigrate" else { continue }
            _ = try? await monitor.execute("cont")
        }
    }

    /// Machines whose process has gone without the monitor's telling.
    private func noteUnheardEnds() {
        let watched = state.withLock { $0.machines.filter { $0.value.monitor != nil } }
        for (instance, machine) in watched {
            guard let process = machine.process, !HostProcess.isAlive(process) else { continue }
            monitorClosed(instance, process)
        }
    }

    /// Machines that run but whose monitor was lost.
    private func reconnect() async {
        let silent = state.withLock { $0.machines.filter { $0.value.process != nil && $0.value.monitor == nil } }
        for (instance, machine) in silent {
            guard let process = machine.process, let run = machine.run else { continue }
            if HostProcess.isAlive(process) {
                await locks.withLock(instance) { try? await attach(instance, run, process) }
            } else {
                try? await noteEnd(instance, at: HostClock.now(), .crashed)
            }
            changed.yield(instance)
        }
    }
}
