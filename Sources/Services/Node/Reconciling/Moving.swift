import CloudAPI
import CloudClient
import Drivers
import Fleet
import Logging
import PKI
import Primitives
import ServiceKit

// This host's part in a live move. `MoveDecision` says what is next; the driver keeps what has been laid down.

extension NodeCore {
    /// Does this host's part until something else is wanted.
    func follow(_ intent: InstanceIntent) async {
        guard let move = intent.move, let command = MoveDecision.Command(rawValue: move.command.rawValue) else { return }
        var failures = 0
        while !Task.isCancelled, board[intent.instance]?.intent == intent {
            do {
                let report = try await turn(intent, move, command)
                board.noteMove(intent.instance, report, at: time.now())
                failures = 0
                // A guest stands still between its arrival and the moment that this is noticed.
                let cannotBegin = report.said == .preparing && report.reason != nil
                try? await Task.sleep(for: report.said == .ready ? .milliseconds(20) : cannotBegin ? .seconds(2) : .milliseconds(150))
            } catch {
                failures += 1
                let refusal = Fault(error).refusal
                logger.warning(
                    "a step of a move failed",
                    metadata: ["instance": "\(intent.instance)", "command": "\(move.command)", "error": "\(refusal)"])
                metrics.count("bourse_node_failed_steps", ["rule": refusal.rule])
                try? await Task.sleep(for: .milliseconds(min(2_000, 100 << min(5, failures))))
            }
        }
    }

    /// Looks, takes one step if there is one, and says what is so then.
    private func turn(_ intent: InstanceIntent, _ move: MoveIntent, _ command: MoveDecision.Command) async throws -> MoveReport {
        var status = try await drivers.compute.moveStatus(intent.instance)
        var reason = board[intent.instance]?.move?.reason
        let decision = MoveDecision(command: command, attempt: move.attempt, sight: status.sight)
        if let step = decision.next {
            reason = try await take(step, intent, move) ?? status.failure ?? reason
            status = try await drivers.compute.moveStatus(intent.instance)
        }
        let said = MoveDecision(command: command, attempt: move.attempt, sight: status.sight).said
        let isSource = command == .send || command == .cancel || command == .stay
        if let failure = status.failure, said == .preparing || said == .stays { reason = reason ?? failure }
        guard let wire = MoveSaid(rawValue: said.rawValue) else { preconditionFailure("the wire knows all that is said") }
        let isOver = said == .stays || said == .void || said == .lost
        return MoveReport(
            attempt: move.attempt, said: wire, endpoint: said == .ready ? status.port.map { "\(moveAddress ?? ""):\($0)" } : nil,
            doneMiB: isSource ? status.progress?.doneMiB : nil, leftMiB: isSource ? status.progress?.leftMiB : nil,
            downtimeMilliseconds: isSource ? status.progress?.downtimeMilliseconds : nil,
            reason: isOver ? reason ?? "The other host gave it up." : said == .preparing && command == .receive ? reason : nil)
    }

    /// Returns why it came to nothing, when it did.
    private func take(_ step: MoveDecision.Step, _ intent: InstanceIntent, _ move: MoveIntent) async throws -> String? {
        let (instance, compute) = (intent.instance, drivers.compute)
        switch step {
        case .beginReceiving:
            do {
                try await withDeadline(.seconds(600)) { try await receive(intent, move) }
            } catch {
                let refusal = Fault(error).refusal
                logger.warning("cannot take a machine that runs", metadata: ["instance": "\(instance)", "error": "\(refusal)"])
                // On a full disk not even that can be laid down. Nobody has been told where it is waited for: saying why is enough.
                try? await compute.layDownVoid(instance, attempt: move.attempt)
                return refusal.message
            }
        case .take:
            let seen = try await whileLeased { try await compute.take(instance, attempt: move.attempt) }
            FaultPoint.hit("node.move.taken")
            board.see(seen)
            try await settleMeter(of: instance)
            logger.info("arrived while it ran", metadata: ["instance": "\(instance)", "from": "\(move.peer)"])
        case .layDownVoid: try await compute.layDownVoid(instance, attempt: move.attempt)
        case .beginSending:
            do {
                try await send(intent, move)
                FaultPoint.hit("node.move.sending")
            } catch {
                try await compute.layDownStaying(instance, attempt: move.attempt)
                return Fault(error).refusal.message
            }
        case .cancelSending: try await compute.cancelSending(instance)
        case .layDownStaying: try await compute.layDownStaying(instance, attempt: move.attempt)
        case .resume:
            // A guest does not stand still any longer because its meter cannot be written.
            try? await settleMeter(of: instance)
            try await compute.resume(instance, attempt: move.attempt)
            board.see(await compute.observe(instance))
        }
        return nil
    }

    // MARK: - The target

    private func receive(_ intent: InstanceIntent, _ move: MoveIntent) async throws {
        guard facts.mayLaunch, let address = moveAddress, (1...65_535).contains(move.firstPort),
            (move.firstPort...65_535).contains(move.lastPort)
        else {
            throw Refusal("move.unready", .unavailable, "This host takes no machines now.", nearest: "connect's answer, and --move-address")
        }
        try await settleMeter(of: intent.instance)
        let files = try await fetch(intent.image)
        guard try await drivers.storage.disks().contains(where: { $0.instance == intent.instance }) else {
            throw Refusal(
                "move.storage", .conflict, "The disk of \(intent.instance) is not on this host's storage.",
                facts: ["instance": .text("\(intent.instance)")], nearest: "the same folder on shared storage on both hosts, with --storage"
            )
        }
        if let network = intent.network { try await waitForNetwork(network) }
        let port = try port(of: intent)
        let device = try await drivers.network.ensurePort(port)
        var machine = try machine(intent, files, disk: try await ensureDisk(intent, files), device: device)
        machine.volumes = try await disks(of: move)
        machine.cell = try cell(of: intent)
        try await drivers.network.permit(port)
        try await drivers.compute.beginReceiving(
            machine,
            MoveReception(
                attempt: move.attempt, address: address, ports: Int(move.firstPort)...Int(move.lastPort),
                credentials: try await moveCredentials(), sender: MoveSender(host: move.peer, exchange: identity.record.exchange)))
        FaultPoint.hit("node.move.receiving")
    }

    private func disks(of move: MoveIntent) async throws -> [VolumeDisk] {
        var disks: [VolumeDisk] = []
        for volume in move.volumes {
            guard let slot = volume.slot, let file = try await drivers.storage.volume(volume.volume) else {
                throw Refusal(
                    "move.volume", .conflict, "Volume \(volume.volume) is not on this host's storage.",
                    facts: ["volume": .text("\(volume.volume)")], nearest: "the same folder on shared storage on both hosts, with --volumes"
                )
            }
            disks.append(VolumeDisk(volume: volume.volume, path: file.path, sizeMiB: volume.sizeMiB, iops: volume.iops, slot: slot))
        }
        return disks.sorted { $0.slot < $1.slot }
    }

    // MARK: - The source

    private func send(_ intent: InstanceIntent, _ move: MoveIntent) async throws {
        guard let endpoint = move.endpoint else {
            throw Refusal("move.endpoint", .invalid, "Nobody says where \(intent.instance) is waited for.")
        }
        try await drivers.compute.beginSending(
            intent.instance,
            MoveSending(
                attempt: move.attempt, endpoint: endpoint, credentials: try await moveCredentials(),
                receiver: IdentityName.dns(role: .node, id: move.peer.description, exchange: identity.record.exchange),
                bandwidthMiB: move.bandwidthMiB, downtimeMilliseconds: move.downtimeMilliseconds))
    }

    /// What this host cannot write down that it is to wait for: connect is told at once, and looks for another host.
    func declineArrivals(_ intents: [InstanceIntent], _ refusal: Refusal) async {
        let now = time.now()
        let declined = intents.compactMap { intent -> InstanceObservation? in
            guard let move = intent.move, move.command == .receive, board[intent.instance]?.intent.move?.attempt != move.attempt else {
                return nil
            }
            return InstanceObservation(
                instance: intent.instance, generation: intent.generation, state: .preparing, reason: nil, executed: nil, at: now,
                move: MoveReport(
                    attempt: move.attempt, said: .preparing,
                    reason: "The host it was to go to cannot write down that it does: \(refusal.message)"))
        }
        guard !declined.isEmpty else { return }
        let report = NodeReport(at: now, observations: declined, meters: [], consoles: [], epoch: facts.values?.epoch)
        _ = try? await identity.exchange.call(ConnectAPI.report, body: report)
    }

    // MARK: - Both

    /// The node's own certificate, as the hypervisor wants it.
    private func moveCredentials() async throws -> MoveCredentials {
        let credentials = MoveCredentials(folder: configuration.dataDirectory + "/move-credentials")
        let credential = identity.tls.credential
        try await credentials.write(
            rootPEM: identity.record.root, chainPEM: credential.chainPEM, keyPEM: credential.privateKeyPEM)
        return credentials
    }

    /// Where other hosts dial; nil: this host does not know.
    var moveAddress: String? {
        if let given = configuration.moveAddress { return given }
        // Guests that have a network of their own cannot be dialled at the node's addresses.
        return configuration.namespace == nil ? HostAddress.towards(identity.record.peerAddress) : nil
    }

    /// What connect is told at the hello; nil: nothing moves while it runs, or the hypervisor has not said yet what it is.
    func moveOffer() async -> MoveOffer? {
        guard let platform = await drivers.compute.movePlatform, let address = moveAddress else { return nil }
        return MoveOffer(address: address, platform: platform)
    }

    /// The hypervisor finds out what it is some time after the first hello.
    func offerMovesOnceKnown() async throws {
        guard !facts.hasOffered, await moveOffer() != nil else { return }
        try await hello()
    }
}
