import Fleet
import Glibc
public import Primitives
import Synchronization

/// Live moves with QEMU's own migration (docs/devel/migration.rst in its source), over TLS.
///
/// The target is started with `-S -incoming defer`: what has arrived stands still, and with `late-block-activate` it does not touch its disks
/// either, until `take`. The source that has sent everything stands still in `postmigrate`, its disks let go of, until it quits or resumes.
extension QEMUDriver {
    public var movePlatform: String? {
        get async {
            let (version, accelerator, isSettled) = state.withLock { ($0.qemuVersion, $0.accelerator, $0.isSettled) }
            guard isSettled else { return nil }
            // Emulated processors are alike wherever they are; real ones are not.
            return accelerator == .tcg ? "\(version) tcg" : "\(version) kvm \(Self.processor)"
        }
    }

    private static let processor: String = {
        let lines = (Files.readText("/proc/cpuinfo") ?? "").split(separator: "\n")
        return ["vendor_id", "model name", "flags"].compactMap { key in lines.first { $0.hasPrefix(key) } }.joined(separator: " ")
    }()

    // MARK: - Looking

    public func moveStatus(_ instance: InstanceID) async throws(Refusal) -> MoveStatus {
        let directory = directory(instance)
        let record = try await Blocking.run { () throws(Refusal) in directory.readMove() }
        let isAlive = state.withLock { $0.machines[instance]?.process } != nil
        var status = MoveStatus(
            sight: MoveSight(
                attempt: record?.attempt ?? 0, isAlive: isAlive, isSwitchedOff: look(instance).cause == .guest, transfer: .none,
                ruling: record?.ruling), port: record?.port)
        guard let record, isAlive else { return status }
        let monitor = try monitor(instance)
        let seen = try await migration(monitor)
        let run = try await monitor.execute("query-status")["status"]?.text ?? ""
        status.sight.transfer = Self.transfer(record, seen["status"]?.text ?? "none", run)
        status.failure = seen["error-desc"]?.text
        if let memory = seen["ram"] {
            status.progress = LiveMove.Progress(
                doneMiB: (memory["transferred"]?.integer ?? 0) >> 20, leftMiB: (memory["remaining"]?.integer ?? 0) >> 20,
                downtimeMilliseconds: seen["downtime"]?.integer ?? seen["expected-downtime"]?.integer)
        }
        return status
    }

    /// What QEMU says of its latest migration. It says "completed" a moment before it has worked out how long that took.
    private func migration(_ monitor: QMPClient) async throws(Refusal) -> JSONValue {
        var seen = try await monitor.execute("query-migrate")
        for _ in 0..<20 where seen["status"]?.text == "completed" && seen["total-time"]?.integer == 0 {
            try? await Task.sleep(for: .milliseconds(5))
            seen = try await monitor.execute("query-migrate")
        }
        return seen
    }

    /// - Parameters:
    ///   - status: what QEMU says of its latest migration, which may be of an attempt before.
    ///   - run: its run state.
    private static func transfer(_ record: MoveRecord, _ status: String, _ run: String) -> MoveSight.Transfer {
        switch (record.part, status) {
        case (.target, "none"), (.target, "setup"): record.port == nil ? .none : .waiting
        case (.source, "none"): .none
        case (_, "failed"), (_, "cancelled"): .failed
        case (.target, "completed"): .completed
        case (.source, "completed"): run == "postmigrate" ? .completed : run == "finish-migrate" ? .active : .none
        default: .active
        }
    }

    private func note(_ record: MoveRecord, of instance: InstanceID) async throws(Refusal) {
        let directory = directory(instance)
        try await Blocking.run { () throws(Refusal) in try directory.write(record) }
    }

    private func record(of instance: InstanceID, _ attempt: Int64) async throws(Refusal) -> MoveRecord? {
        let directory = directory(instance)
        let found = try await Blocking.run { () throws(Refusal) in directory.readMove() }
        return found?.attempt == attempt ? found : nil
    }

    // MARK: - The target

    public func beginReceiving(_ machine: MachineSpec, _ reception: MoveReception) async throws(Refusal) {
        try machine.validate()
        let instance = machine.instance
        try await locks.withLock(instance) { () async throws(Refusal) in
            if try await record(of: instance, reception.attempt) != nil { return }
            try await clearReception(instance)
            let directory = directory(instance)
            let record = MoveRecord(attempt: reception.attempt, part: .target)
            try await Blocking.run { () throws(Refusal) in
                try directory.write(machine)
                try directory.prepare(record, [.taken, .void])
                try directory.write(record)
            }
            try await launch(machine, receiving: true)
            var waiting = record
            waiting.port = try await listen(try monitor(instance), reception)
            try await note(waiting, of: instance)
        }
        changed.yield(instance)
    }

    /// What waits here from an attempt before goes; what runs is left alone.
    private func clearReception(_ instance: InstanceID) async throws(Refusal) {
        let (isAlive, isReceiving) = state.withLock { state in
            (state.machines[instance]?.process != nil, state.machines[instance]?.isReceiving == true)
        }
        guard isAlive else { return }
        guard isReceiving else { throw Self.moveConflict(instance, "runs here and cannot be received") }
        try await stop(instance, grace: .zero)
    }

    private func listen(_ monitor: QMPClient, _ reception: MoveReception) async throws(Refusal) -> Int {
        try await monitor.execute(
            "object-add",
            [
                "qom-type": "tls-creds-x509", "id": "move-tls", "dir": .text(reception.credentials.folder), "endpoint": "server",
                "verify-peer": .bool(true),
            ])
        let rules = reception.sender.names.map {
            JSONValue.object(["match": .text($0), "policy": "allow", "format": "exact"])
        }
        try await monitor.execute(
            "object-add", ["qom-type": "authz-list", "id": "move-sender", "policy": "deny", "rules": .array(rules)])
        try await enable(["events", "late-block-activate"], monitor)
        try await monitor.execute("migrate-set-parameters", ["tls-creds": "move-tls", "tls-authz": "move-sender"])
        for port in reception.ports {
            do throws(Refusal) {
                try await monitor.execute("migrate-incoming", ["uri": .text("tcp:\(reception.address):\(port)")])
                return port
            } catch {
                guard error.message.contains("in use"), port < reception.ports.upperBound else { throw error }
            }
        }
        throw Refusal("compute.move", .capacity, "no port of \(reception.ports) is free")
    }

    private func enable(_ names: [String], _ monitor: QMPClient) async throws(Refusal) {
        let wanted = names.map { JSONValue.object(["capability": .text($0), "state": .bool(true)]) }
        try await monitor.execute("migrate-set-capabilities", ["capabilities": .array(wanted)])
    }

    @discardableResult public func take(_ instance: InstanceID, attempt: Int64) async throws(Refusal) -> MachineObservation {
        try await locks.withLock(instance) { () async throws(Refusal) in
            guard let known = try await record(of: instance, attempt), known.part == .target, known.ruling != .void else {
                throw Self.moveConflict(instance, "was not received in attempt \(attempt)")
            }
            if known.ruling == .taken { return look(instance) }
            let status = try await moveStatus(instance)
            guard status.sight.isAlive, status.sight.transfer == .completed else {
                throw Self.moveConflict(instance, "has not arrived whole")
            }
            try await note(MoveRecord(attempt: attempt, part: .target, ruling: .taken), of: instance)
            try await runTaken(instance)
            return look(instance)
        }
    }

    /// Lets a machine run that was laid down to be this host's. A run begins.
    func runTaken(_ instance: InstanceID) async throws(Refusal) {
        let accelerator = state.withLock { $0.accelerator }
        let process = state.withLock { $0.machines[instance]?.process }
        let run = RunRecord(executed: HostClock.now(), accelerator: accelerator, process: process)
        let directory = directory(instance)
        try? await Blocking.run { () throws(Refusal) in try directory.write(run) }
        state.withLock { state in
            state.machines[instance]?.run = run
            state.machines[instance]?.isReceiving = false
            // Should the next command be lost, the upkeep lets it run.
            state.machines[instance]?.pausedBecause = "it has just arrived"
        }
        let monitor = try monitor(instance)
        try await monitor.execute("cont", deadline: .seconds(20))
        state.withLock { $0.machines[instance]?.pausedBecause = nil }
        // Switches learn where it is now.
        _ = try? await monitor.execute(
            "announce-self", ["initial": .integer(50), "max": .integer(550), "rounds": .integer(5), "step": .integer(100)])
        _ = try? await monitor.execute("object-del", ["id": "move-sender"])
        changed.yield(instance)
    }

    public func layDownVoid(_ instance: InstanceID, attempt: Int64) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            let known = try await record(of: instance, attempt)
            guard known?.ruling != .taken else { throw Self.moveConflict(instance, "was taken") }
            let (isAlive, isReceiving) = state.withLock { state in
                (state.machines[instance]?.process != nil, state.machines[instance]?.isReceiving == true)
            }
            guard !isAlive || isReceiving else { throw Self.moveConflict(instance, "runs here and was not received") }
            try await note(MoveRecord(attempt: attempt, part: .target, ruling: .void), of: instance)
            if isAlive { try await stop(instance, grace: .zero) }
        }
        changed.yield(instance)
    }

    // MARK: - The source

    public func beginSending(_ instance: InstanceID, _ sending: MoveSending) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            if try await record(of: instance, sending.attempt) != nil { return }
            let monitor = try monitor(instance)
            let (accelerator, own) = state.withLock { ($0.accelerator, $0.machines[instance]?.run?.accelerator) }
            guard own == accelerator else {
                throw Self.moveConflict(instance, "was started with \(own?.rawValue ?? "nothing"), not with \(accelerator.rawValue)")
            }
            try await prepareSending(sending, monitor)
            try await note(MoveRecord(attempt: sending.attempt, part: .source), of: instance)
            try await monitor.execute("migrate", ["uri": .text("tcp:" + sending.endpoint)], deadline: .seconds(15))
        }
        changed.yield(instance)
    }

    private func prepareSending(_ sending: MoveSending, _ monitor: QMPClient) async throws(Refusal) {
        // Of an attempt before, or of the time it arrived here.
        _ = try? await monitor.execute("object-del", ["id": "move-tls"])
        try await monitor.execute(
            "object-add",
            [
                "qom-type": "tls-creds-x509", "id": "move-tls", "dir": .text(sending.credentials.folder), "endpoint": "client",
                "verify-peer": .bool(true),
            ])
        try await enable(["events", "auto-converge"], monitor)
        try await monitor.execute(
            "migrate-set-parameters",
            [
                "tls-creds": "move-tls", "tls-hostname": .text(sending.receiver), "tls-authz": "",
                "max-bandwidth": .integer(sending.bandwidthMiB << 20), "downtime-limit": .integer(sending.downtimeMilliseconds),
            ])
    }

    public func cancelSending(_ instance: InstanceID) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in try await cancelTransfer(instance) }
        changed.yield(instance)
    }

    private func cancelTransfer(_ instance: InstanceID) async throws(Refusal) {
        guard try await moveStatus(instance).sight.transfer == .active else { return }
        let monitor = try monitor(instance)
        try await monitor.execute("migrate_cancel")
        let clock = ContinuousClock()
        let end = clock.now + .seconds(10)
        while try await moveStatus(instance).sight.transfer == .active {
            guard clock.now < end, !Task.isCancelled else { throw Self.moveConflict(instance, "does not stop being sent") }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    public func layDownStaying(_ instance: InstanceID, attempt: Int64) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            let known = try await record(of: instance, attempt)
            if known?.ruling == .stayed { return }
            let status = try await monitor(instance).execute("query-migrate")["status"]?.text ?? "none"
            let run = try await monitor(instance).execute("query-status")["status"]?.text ?? ""
            // Whatever the record says: a machine that is being sent, or has been, does not stay.
            guard !["setup", "active", "device", "pre-switchover", "cancelling"].contains(status),
                !["postmigrate", "finish-migrate", "inmigrate"].contains(run)
            else { throw Self.moveConflict(instance, "is being sent (\(status), \(run))") }
            try await note(MoveRecord(attempt: attempt, part: .source, ruling: .stayed), of: instance)
        }
        changed.yield(instance)
    }

    public func resume(_ instance: InstanceID, attempt: Int64) async throws(Refusal) {
        try await locks.withLock(instance) { () async throws(Refusal) in
            guard let known = try await record(of: instance, attempt), known.part == .source else {
                throw Self.moveConflict(instance, "was not sent in attempt \(attempt)")
            }
            if known.ruling == .stayed { return }
            // It ended here when everything was sent: from now on is another run, of the same process.
            let resumed = state.withLock { state in
                state.machines[instance].flatMap { machine in
                    machine.sentAt.flatMap { sentAt in machine.run?.begun(at: max(HostClock.now(), sentAt)) }
                }
            }
            let directory = directory(instance)
            if let resumed { try? await Blocking.run { () throws(Refusal) in try directory.write(resumed) } }
            try await monitor(instance).execute("cont", deadline: .seconds(20))
            state.withLock { state in
                if let resumed { state.machines[instance]?.run = resumed }
                state.machines[instance]?.sentAt = nil
            }
            try await note(MoveRecord(attempt: attempt, part: .source, ruling: .stayed), of: instance)
        }
        changed.yield(instance)
    }
}
