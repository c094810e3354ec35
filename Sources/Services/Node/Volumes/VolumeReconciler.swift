import CloudAPI
import Drivers
import Fleet
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// Drives every volume towards what is wanted of it: one task per volume that needs something, one step at a time.
struct VolumeReconciler: Service {
    let core: NodeCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await volume in core.volumes.wakeups where core.volumes.begin(volume) {
                    group.addTask { await work(on: volume) }
                }
            }
        }
    }

    private func work(on volume: VolumeID) async {
        while !Task.isCancelled {
            guard let entry = core.volumes[volume] else { return }
            guard let step = entry.decision.next else {
                if core.volumes.end(volume) { return }
                continue
            }
            do {
                try await withDeadline(.seconds(120)) { try await core.take(step, for: entry) }
            } catch {
                await failed(step, entry.intent, Fault(error).refusal)
            }
        }
        _ = core.volumes.end(volume)
    }

    private func failed(_ step: VolumeDecision.Step, _ intent: VolumeIntent, _ refusal: Refusal) async {
        if Task.isCancelled || core.volumes[intent.volume]?.intent.generation != intent.generation { return }
        let failures = core.volumes.noteFailed(intent.volume, refusal, isLost: refusal.rule == NodeCore.lostRule)
        let delay = retryDelay(afterFailures: failures)
        core.logger.warning(
            "a volume's step failed, trying again in \(delay)",
            metadata: ["volume": "\(intent.volume)", "step": "\(step)", "failures": "\(failures)", "error": "\(refusal)"])
        core.metrics.count("bourse_node_failed_steps", ["rule": refusal.rule])
        let end = ContinuousClock.now + delay
        while ContinuousClock.now < end, !Task.isCancelled, core.volumes[intent.volume]?.intent == intent {
            try? await Task.sleep(for: min(.milliseconds(50), end - .now))
        }
    }
}

// MARK: - Steps. All calls are idempotent, so a step that was cut off is simply taken again.

extension NodeCore {
    static let lostRule = "storage.volume-lost"

    func take(_ step: VolumeDecision.Step, for entry: VolumeBoard.Entry) async throws {
        switch step {
        case .provide: try await provide(entry)
        case .plug: try await plug(entry)
        case .remove: try await remove(entry)
        case .release:
            try await unplug(entry.intent)
            volumes.noteDone(entry.intent, sizeMiB: nil)
        }
    }

    private func unplug(_ intent: VolumeIntent) async throws {
        guard let instance = intent.instance else { return }
        try await drivers.compute.ensureDetached(intent.volume, from: instance)
        FaultPoint.hit("node.volume.unplugged")
    }

    private func provide(_ entry: VolumeBoard.Entry) async throws {
        try await unplug(entry.intent)
        let file = try await file(of: entry)
        try await grow(file, to: entry.intent.sizeMiB)
        volumes.noteDone(entry.intent, sizeMiB: max(file.sizeMiB, entry.intent.sizeMiB))
    }

    private func plug(_ entry: VolumeBoard.Entry) async throws {
        let intent = entry.intent
        guard let instance = intent.instance, let slot = intent.slot else {
            throw Refusal("volume.intent", .invalid, "Volume \(intent.volume) is to be attached, but nobody says to what.")
        }
        let file = try await file(of: entry)
        volumes.noteLooking(intent.volume)
        let machine = await drivers.compute.observe(instance)
        let isAlive = machine.state == .running || machine.state == .paused
        if isAlive {
            let disk = VolumeDisk(volume: intent.volume, path: file.path, sizeMiB: intent.sizeMiB, iops: intent.iops, slot: slot)
            try await drivers.compute.ensureAttached(disk, to: instance)
            FaultPoint.hit("node.volume.plugged")
        } else {
            try await grow(file, to: intent.sizeMiB)
        }
        volumes.noteDone(intent, sizeMiB: max(file.sizeMiB, intent.sizeMiB), run: isAlive ? machine.executed : nil)
        logger.info("attached", metadata: ["volume": "\(intent.volume)", "instance": "\(instance)"])
    }

    private func remove(_ entry: VolumeBoard.Entry) async throws {
        try await unplug(entry.intent)
        try await drivers.storage.ensureVolumeDeleted(entry.intent.volume)
        FaultPoint.hit("node.volume.deleted")
        // Should it come back one day, it comes empty.
        try await setMade(entry.intent.volume, false)
        volumes.noteDone(entry.intent, sizeMiB: nil)
        logger.info("deleted", metadata: ["volume": "\(entry.intent.volume)"])
    }

    private func grow(_ file: VolumeFile, to sizeMiB: Int64) async throws {
        if file.sizeMiB < sizeMiB { try await drivers.storage.ensureVolumeSize(file.volume, sizeMiB: sizeMiB) }
    }

    /// The volume's file. Made when it is new; one that was there and is not any more is lost, and an empty one would hide that.
    private func file(of entry: VolumeBoard.Entry) async throws -> VolumeFile {
        let (volume, intent) = (entry.intent.volume, entry.intent)
        var file = try await drivers.storage.volume(volume)
        if file == nil {
            guard intent.mayCreate, !entry.isMade else {
                throw Refusal(
                    Self.lostRule, .conflict, "The storage of this host no longer has volume \(volume).",
                    facts: ["volume": .text("\(volume)")], nearest: "a look at the storage: the file is not made again")
            }
            file = try await drivers.storage.ensureVolume(volume, sizeMiB: intent.sizeMiB)
            FaultPoint.hit("node.volume.made")
        }
        guard let file else { preconditionFailure("a file that was made is there") }
        if !entry.isMade { try await setMade(volume, true) }
        return file
    }

    private func setMade(_ volume: VolumeID, _ isMade: Bool) async throws {
        try await database.write {
            try $0.execute("UPDATE volumes SET made = $2 WHERE volume = $1", [SQLValue(volume), SQLValue(isMade)])
        }
        volumes.noteMade(volume, isMade)
    }

    /// What a machine that starts now gets beside its root disk. A volume that is lost keeps no machine from starting.
    func disks(of instance: InstanceID) async throws -> [VolumeDisk] {
        var disks: [VolumeDisk] = []
        for entry in volumes.wanted(by: instance) {
            guard let slot = entry.intent.slot else { continue }
            do {
                let file = try await file(of: entry)
                disks.append(
                    VolumeDisk(
                        volume: entry.intent.volume, path: file.path, sizeMiB: entry.intent.sizeMiB, iops: entry.intent.iops, slot: slot))
            } catch let refusal as Refusal where refusal.rule == Self.lostRule {
                logger.error("a machine starts without a volume", metadata: ["instance": "\(instance)", "error": "\(refusal)"])
            }
        }
        return disks
    }
}
