import CloudAPI
import Fleet
import Foundation
import Logging
import Primitives
import ServiceKit
import Store

// Moves of instances that run: whether they can be live, how they begin, what hosts say of them, and how they end.

extension ConnectCore {
    // MARK: Whether it can

    /// Attempts in a row after which an instance is moved cold.
    private static let liveAttempts: Int64 = 2

    private func offer(of host: HostID, in context: any ReadContext) throws -> MoveOffer? {
        try context.queryOne("SELECT moves FROM hosts WHERE id = $1", [SQLValue(host)])?.optionalText("moves").flatMap {
            try? WireJSON.decode(MoveOffer.self, from: Data($0.utf8))
        }
    }

    /// Why an instance cannot leave its host while it runs; nil: it can.
    func obstacle(leaving record: InstanceRecord, in context: any ReadContext) throws -> String? {
        if record.resources.milliGPU > 0 { return "a GPU stays with its host" }
        let name = memory.hostName(record.host) ?? record.host.description
        if try offer(of: record.host, in: context) == nil { return "the node of \(name) does not move machines that run" }
        if let (count, why) = try LiveMoveRecord.failures(of: record.id, in: context), count >= Self.liveAttempts {
            return "\(count) live moves came to nothing, the last because: \(why)"
        }
        return nil
    }

    /// Why an instance cannot go to a host while it runs; nil: it can.
    func obstacle(to target: MoveTarget, for record: InstanceRecord, in context: any ReadContext) throws -> String? {
        if let obstacle = try obstacle(leaving: record, in: context) { return obstacle }
        let name = memory.hostName(target.host) ?? target.host.description
        guard let there = try offer(of: target.host, in: context) else { return "the node of \(name) does not take machines that run" }
        if let here = try offer(of: record.host, in: context), here.platform != there.platform {
            return "\(name) is another platform: \(there.platform), not \(here.platform)"
        }
        guard target.address != record.address, let address = record.address else { return nil }
        let network = memory.reading { $0.occupancy.host(target.host)?.network }
        if let network, let number = GuestNetwork.address(address), !network.contains(number) {
            return "its address \(address) is not of \(name)'s network \(network.text)"
        }
        return "its address \(address) is taken on \(name)"
    }

    // MARK: How it begins

    /// Begins a move of an instance that runs or is stopped, live where that is possible, and saves it.
    /// - Parameter mayRestart: else an instance that runs and cannot move live is left alone.
    /// - Returns: false when it is left alone.
    @discardableResult
    func beginMove(
        _ cause: InstanceMove.Cause, of record: inout InstanceRecord, to target: MoveTarget, mayRestart: Bool, kind: String,
        in transaction: FleetTransaction, at now: Instant
    ) throws -> Bool {
        let (old, source) = (record.life, record.host)
        let runs = record.life.state == .running
        let obstacle = runs ? try obstacle(to: target, for: record, in: transaction) : nil
        let failures = try LiveMoveRecord.failures(of: record.id, in: transaction)?.count ?? 0
        if runs, obstacle == nil {
            _ = try record.life.beginMove(.live, cause, from: source, to: target.host, grace: Self.moveGraceSeconds, at: now)
            let move = LiveMove(
                attempt: record.life.generation, from: source, to: target.host, memoryMiB: record.resources.memoryMiB,
                bandwidthMiB: configuration.moveBandwidthMiB, at: now)
            let place = LiveMoveRecord.Place(
                id: ids.next(InstanceID.self), zone: target.zone, address: target.address, spot: target.spot)
            try LiveMoveRecord(record.id, cause, move, place: place, failures: failures).insert(of: record, in: transaction)
            try Departure.revoke(record.id, on: target.host, in: transaction)
            try record.saveChange(kind: kind, since: old, in: transaction, at: now)
            try announceMove(of: record.id, to: target.host, in: transaction, at: now)
            return true
        }
        guard mayRestart || !runs else { return false }
        let isThere = try record.life.beginMove(.cold, cause, from: source, to: target.host, grace: Self.moveGraceSeconds, at: now)
        try ColdMove.insert(
            record, cause, from: source, to: target.host, why: obstacle, failures: failures, in: transaction, at: now)
        if isThere { try record.rehome(to: target, keepsDisk: true, in: transaction, at: now) }
        try record.saveChange(kind: kind, since: old, in: transaction, at: now)
        return true
    }

    private func announceMove(of instance: InstanceID, to host: HostID, in transaction: FleetTransaction, at now: Instant) throws {
        let revision = try transaction.appendChange(
            topic: Self.hostTopic(host), subject: instance.description, kind: "move", body: "{}", at: now)
        transaction.noteIntent(of: host, revision: revision)
    }

    // MARK: What hosts are told

    /// What one of its hosts is to do about an instance on its way; nil: nothing.
    func intent(
        of record: InstanceRecord, moving move: LiveMoveRecord, for host: HostID, image: ImageManifest, in context: any ReadContext
    ) throws -> InstanceIntent? {
        let isSource = host == move.move.source
        guard isSource || host == move.move.target else { return nil }
        var intent = record.intent(image: image)
        // Whatever is wanted by now comes about once it has arrived, or stays.
        intent.desired = .running
        guard let command = isSource ? move.move.sourceCommand : move.move.targetCommand else { return isSource ? intent : nil }
        if !isSource { intent.cell = move.place.flatMap { $0.spot.cell < 0 ? nil : Int64($0.spot.cell) } }
        guard let wire = MoveCommand(rawValue: command.rawValue) else { preconditionFailure("the wire knows every command") }
        let volumes = try VolumeRecord.of(record.id, in: context).filter { $0.life.desired == .attached }
        intent.move = MoveIntent(
            command: wire, attempt: move.move.attempt, peer: isSource ? move.move.target : move.move.source,
            endpoint: isSource ? move.move.endpoint : nil, bandwidthMiB: configuration.moveBandwidthMiB,
            downtimeMilliseconds: configuration.moveDowntimeMilliseconds, firstPort: Int64(configuration.movePorts.lowerBound),
            lastPort: Int64(configuration.movePorts.upperBound), volumes: volumes.map { $0.intent(for: $0.host) })
        return intent
    }

    // MARK: What hosts say

    func hear(
        _ report: MoveReport, of instance: InstanceID, from host: HostID, in transaction: FleetTransaction, at now: Instant
    ) throws {
        guard var record = try LiveMoveRecord.underWay(instance, in: transaction),
            let said = MoveDecision.Said(rawValue: report.said.rawValue),
            host == record.move.source || host == record.move.target
        else { return }
        let old = record.move
        let progress = report.leftMiB.map {
            LiveMove.Progress(doneMiB: report.doneMiB ?? 0, leftMiB: $0, downtimeMilliseconds: report.downtimeMilliseconds)
        }
        let part: LiveMove.Part = host == old.source ? .source : .target
        guard
            record.move.hear(
                said, from: part, attempt: report.attempt, endpoint: report.endpoint, progress: progress, why: report.reason)
        else { return }
        try settle(&record, since: old, in: transaction, at: now)
    }

    /// What the source says of an instance before it has any part in its move. Only one that shut itself down is news.
    func hear(
        _ seen: InstanceObservation, ofMoving instance: InstanceRecord, in transaction: FleetTransaction, at now: Instant
    ) throws {
        guard seen.state == .stopped, seen.generation == instance.life.generation, instance.life.desired == .running,
            var record = try LiveMoveRecord.underWay(instance.id, in: transaction), record.move.phase == .preparing
        else { return }
        let old = record.move
        guard record.move.hear(.off, from: .source, attempt: record.move.attempt) else { return }
        try settle(&record, since: old, in: transaction, at: now)
    }

    /// Moves that take too long, are not wanted any more, or one of whose hosts is known to be off.
    func keepMoves() async throws {
        let now = time.now()
        let due = try await database.read { [self] context in
            try LiveMoveRecord.allUnderWay(in: context).filter { record in
                var record = record
                return try turn(&record, in: context, at: now)
            }.map(\.instance)
        }
        for instance in due {
            try await write { [self] transaction in
                guard var record = try LiveMoveRecord.underWay(instance, in: transaction) else { return }
                let old = record.move
                if try turn(&record, in: transaction, at: now) { try settle(&record, since: old, in: transaction, at: now) }
            }
        }
    }

    private func turn(_ record: inout LiveMoveRecord, in context: any ReadContext, at now: Instant) throws -> Bool {
        var isChanged = record.move.pass(to: now)
        let (source, target) = (record.move.source, record.move.target)
        let fenced = memory.reading { state in [source, target].map { state.hosts[$0]?.isFenced == true } }
        if fenced[0], record.move.sourceSaid != .lost { isChanged = record.move.fenced(.source) || isChanged }
        if fenced[1], !record.move.isTargetGone { isChanged = record.move.fenced(.target) || isChanged }
        if let desired = try InstanceRecord.load(record.instance, in: context)?.life.desired, desired != .running {
            isChanged = record.move.giveUp("It is to be \(desired.rawValue).") || isChanged
        }
        return isChanged
    }

    /// Saves how far it is, and has its hosts do what is next.
    private func settle(_ record: inout LiveMoveRecord, since old: LiveMove, in transaction: FleetTransaction, at now: Instant) throws {
        guard !record.move.phase.isOver else { return try end(&record, in: transaction, at: now) }
        try record.update(in: transaction)
        guard record.move.sourceCommand != old.sourceCommand || record.move.targetCommand != old.targetCommand,
            var instance = try InstanceRecord.load(record.instance, in: transaction)
        else { return }
        let life = instance.life
        instance.life.advanceLiveMove(at: now)
        try instance.saveChange(kind: "move", since: life, in: transaction, at: now)
        try announceMove(of: record.instance, to: record.move.target, in: transaction, at: now)
    }

    // MARK: How it ends

    private func end(_ record: inout LiveMoveRecord, in transaction: FleetTransaction, at now: Instant) throws {
        record.ended = now
        let (move, place, phase) = (record.move, record.place, record.move.phase)
        switch phase {
        case .arrived: record.failures = 0
        case .off: break
        default: record.failures += 1
        }
        try record.update(in: transaction)
        guard var instance = try InstanceRecord.load(record.instance, in: transaction), instance.life.move?.kind == .live else { return }
        let old = instance.life
        instance.life.endLiveMove(as: phase, why: move.why, at: now)
        if phase == .arrived, let place {
            let target = MoveTarget(host: move.target, zone: place.zone, address: place.address, spot: place.spot)
            try instance.rehome(to: target, keepsDisk: true, in: transaction, at: now)
        } else {
            try Departure(instance: record.instance, generation: old.generation, keepsDisk: true)
                .insert(of: move.target, in: transaction, at: now)
        }
        try instance.saveChange(kind: "move", since: old, in: transaction, at: now)
        try transaction.appendAudit(
            actor: "connect", action: "instance.move.\(phase.rawValue)", subject: record.instance.description,
            detail: try WireJSON.text(["source": "\(move.source)", "target": "\(move.target)", "why": move.why ?? ""]), at: now)
        metrics.count("bourse_live_moves", ["result": phase.rawValue])
        logger.info(
            "a live move is over",
            metadata: ["instance": "\(record.instance)", "result": "\(phase.rawValue)", "why": "\(move.why ?? "")"])
    }

    // MARK: Looking

    private static let viewed =
        "instance, mode, cause, phase, source, target, began, ended, why, deadline, done_mib, left_mib, downtime"

    func latestMove(of instance: InstanceID) async throws -> MoveView {
        try await database.read { context in
            guard let row = try context.queryOne("SELECT \(Self.viewed) FROM moves WHERE instance = $1", [SQLValue(instance)]) else {
                throw Refusal(
                    "move.unknown", .notFound, "Instance \(instance) has not moved yet.", facts: ["instance": .text(instance.description)],
                    nearest: "an instance that GET /v1/moves shows")
            }
            return try MoveView(row, hostName: { memory.hostName($0) }, in: context)
        }
    }

    func latestMoves() async throws -> CloudAPI.Page<MoveView> {
        try await database.read { context in
            let rows = try context.query(
                "SELECT \(Self.viewed) FROM moves ORDER BY CASE WHEN ended IS NULL THEN 0 ELSE 1 END, began DESC, instance LIMIT 200")
            return CloudAPI.Page(try rows.map { try MoveView($0, hostName: { memory.hostName($0) }, in: context) })
        }
    }
}
