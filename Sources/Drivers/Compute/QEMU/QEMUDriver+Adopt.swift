import Dispatch
import Fleet
import Glibc
public import Primitives
import Synchronization

/// Finding machines again, and following them until they end.
extension QEMUDriver {
    public func adopt() async throws(Refusal) -> [MachineObservation] {
        let root = configuration.directory
        let instances = try await Blocking.run { () throws(Refusal) in Files.list(root).compactMap { InstanceID($0) } }
        for instance in instances {
            await locks.withLock(instance) { await adoptOne(instance) }
        }
        return await observe()
    }

    private func adoptOne(_ instance: InstanceID) async {
        let directory = directory(instance)
        guard directory.exists, state.withLock({ $0.machines[instance]?.process == nil }) else { return }
        let record = directory.readRun()
        let process = (try? await findProcess(instance)) ?? nil
        let isReceiving = directory.readMove().map { $0.part == .target && $0.ruling != .taken } ?? false
        if isReceiving {
            guard let process else { return state.withLock { $0.machines[instance] = Machine() } }
            return await adoptReceiver(instance, process)
        }
        guard let process else {
            var run = record
            if let known = record, known.ended == nil { run = Self.closing(known, directory) }
            if let run, run != record { try? await Blocking.run { () throws(Refusal) in try directory.write(run) } }
            let found = Machine(run: run)
            state.withLock { $0.machines[instance] = found }
            return
        }
        var run = record ?? RunRecord(executed: HostProcess.started(process) ?? HostClock.now(), accelerator: .tcg)
        if run.process != process {
            // The driver died between exec and its note of it: the kernel knows when the process began.
            run = RunRecord(executed: HostProcess.started(process) ?? run.executed, accelerator: run.accelerator, process: process)
        }
        let known = run
        try? await Blocking.run { () throws(Refusal) in try directory.write(known) }
        do throws(Refusal) {
            try await attach(instance, run, process)
        } catch {
            // It runs and is ours, it only does not talk: say so, and try again when asked for something.
            state.withLock { $0.machines[instance] = Machine(run: known, process: process, trouble: error.message) }
        }
    }

    /// It waits for a machine that runs elsewhere: there is no run here yet.
    private func adoptReceiver(_ instance: InstanceID, _ process: ProcessIdentity) async {
        let run = RunRecord(executed: HostProcess.started(process) ?? HostClock.now(), accelerator: .tcg)
        do throws(Refusal) {
            try await attach(instance, run, process)
        } catch {
            state.withLock { $0.machines[instance] = Machine(run: run, process: process, trouble: error.message, isReceiving: true) }
        }
    }

    /// A run nobody saw the end of.
    private static func closing(_ run: RunRecord, _ directory: MachineDirectory) -> RunRecord {
        var run = run
        let restarted = run.process.map { $0.boot != HostProcess.boot } ?? false
        let orderly = !Files.exists(directory.pidFile)
        run.ended = directory.lastSignOfLife(disk: directory.readSpec()?.disk, notBefore: run.executed)
        run.cause = restarted ? .hostRestarted : orderly ? .guest : .crashed
        return run
    }

    /// The living QEMU of this machine, by its pid file and command line. Nil when there is none.
    func findProcess(_ instance: InstanceID) async throws(Refusal) -> ProcessIdentity? {
        let directory = directory(instance)
        return try await Blocking.run { () throws(Refusal) in
            guard let pid = HostProcess.pid(inFile: directory.pidFile), let process = HostProcess.identity(of: pid) else { return nil }
            let line = HostProcess.commandLine(of: pid)
            guard line.contains(QEMUArguments.uuid(instance)), line.contains(directory.pidFile) else { return nil }
            return process
        }
    }

    /// Opens the monitor and makes sure that it is this machine's.
    func attach(_ instance: InstanceID, _ run: RunRecord, _ process: ProcessIdentity) async throws(Refusal) {
        let monitor = try await QMPClient.connect(
            directory(instance).socket, deadline: .seconds(10), onEvent: { [weak self] in self?.handle($0, instance, process) },
            onClose: { [weak self] in self?.monitorClosed(instance, process) })
        do throws(Refusal) {
            let uuid = try await monitor.execute("query-uuid")["UUID"]?.text
            guard monitor.peer == process.pid, uuid == QEMUArguments.uuid(instance) else {
                throw Refusal(
                    "compute.stranger", .conflict, "the process that answers for \(instance) is not its QEMU",
                    facts: ["processID": .number(Int64(monitor.peer)), "uuid": .text(uuid ?? "")])
            }
            let status = try await monitor.execute("query-status")["status"]?.text ?? "running"
            let move = directory(instance).readMove()
            let isReceiving = move?.part == .target && move?.ruling != .taken
            let isSent = move?.part == .source && status == "postmigrate"
            state.withLock { state in
                state.machines[instance] = Machine(
                    run: run, monitor: monitor, process: process, pausedBecause: isReceiving ? nil : Self.pause(status),
                    restarting: status == "shutdown", isReceiving: isReceiving, sentAt: isSent ? HostClock.now() : nil)
            }
            // A reset was under way when the former driver died.
            if status == "shutdown" { try await completeReset(monitor) }
        } catch {
            monitor.close()
            throw error
        }
    }

    /// QEMU's run states that hold the guest.
    private static func pause(_ status: String) -> String? {
        switch status {
        case "running", "shutdown", "prelaunch", "inmigrate", "postmigrate", "finish-migrate": nil
        case "io-error": "the host's disk is full or failing"
        default: status
        }
    }

    // MARK: - Events, on the monitor's queue

    private func handle(_ event: QMPEvent, _ instance: InstanceID, _ process: ProcessIdentity) {
        let noteworthy = state.withLock { state -> Bool in
            guard state.machines[instance]?.process == process else { return false }
            switch event.name {
            case "SHUTDOWN": state.machines[instance]?.shutdownReason = event.data["reason"]?.text ?? "guest-shutdown"
            case "BLOCK_IO_ERROR":
                if event.data["action"]?.text == "stop" { state.machines[instance]?.pausedBecause = Self.pause("io-error") }
            // Guests can give a device back unasked, and one that boots may do so a second time when it was asked once.
            case "DEVICE_DELETED": if event.data["device"]?.text.flatMap(VolumeNames.volume) == nil { return false }
            case "RESUME", "RESET": state.machines[instance]?.pausedBecause = nil
            case "MIGRATION":
                guard let status = event.data["status"]?.text else { return false }
                let isReceiving = state.machines[instance]?.isReceiving == true
                if status == "completed", !isReceiving { state.machines[instance]?.sentAt = event.at }
                return ["completed", "failed", "cancelled"].contains(status)
            default: return false
            }
            return event.name != "SHUTDOWN"
        }
        if noteworthy { changed.yield(instance) }
    }

    func monitorClosed(_ instance: InstanceID, _ process: ProcessIdentity) {
        let closedAt = HostClock.now()
        // QEMU closes its sockets before it has flushed and gone.
        Blocking.queue.async { [self] in
            var waits = 0
            while HostProcess.isAlive(process), waits < 2_000 {
                usleep(5_000)
                waits += 1
            }
            ended(instance, process, at: closedAt)
        }
    }

    /// The record is written before anyone sees the end: who waits for it may delete the directory.
    private func ended(_ instance: InstanceID, _ process: ProcessIdentity, at moment: Instant) {
        let alive = HostProcess.isAlive(process)
        let seen = state.withLock { state in state.machines[instance].flatMap { $0.process == process ? $0 : nil } }
        guard let seen else {
            changed.yield(instance)
            return
        }
        let run = alive ? seen.run : seen.closedRun(at: moment)
        if !alive, let run { try? directory(instance).write(run) }
        state.withLock { state in
            guard var machine = state.machines[instance], machine.process == process else { return }
            machine.monitor = nil
            if alive {
                machine.trouble = "QEMU runs, but closed its monitor"
            } else {
                (machine.process, machine.pausedBecause, machine.sentAt) = (nil, nil, nil)
                (machine.run, machine.isReceiving) = (run, false)
            }
            state.machines[instance] = machine
        }
        changed.yield(instance)
    }

    func noteEnd(_ instance: InstanceID, at moment: Instant, _ cause: StopCause) async throws(Refusal) {
        guard let seen = state.withLock({ $0.machines[instance] }) else { return }
        var run = seen.run
        run?.ended = moment
        run?.cause = cause
        let (directory, record) = (directory(instance), run)
        if let record { try? await Blocking.run { () throws(Refusal) in try directory.write(record) } }
        state.withLock { state in
            guard state.machines[instance]?.process == seen.process else { return }
            state.machines[instance]?.process = nil
            state.machines[instance]?.run = record
        }
    }
}
