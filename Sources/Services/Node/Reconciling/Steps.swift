import CloudAPI
import Drivers
import Logging
import Primitives
import ServiceKit
import Store

/// What each step does. All calls are idempotent, so a step that was cut off is simply taken again.
extension NodeCore {
    // MARK: - Launch

    func launch(_ intent: InstanceIntent) async throws {
        guard facts.mayLaunch else {
            throw Refusal(
                "node.unbriefed", .unavailable, "On shared storage nothing is started before connect has said what is still here.",
                nearest: "connect's answer")
        }
        // The record of the former run is overwritten by the next: its meter is settled first.
        try await settleMeter(of: intent.instance)
        try await waitAfterCrash(intent)
        // What waits here for a move that came to nothing, or stands still because it was sent away once, makes room.
        let left = await drivers.compute.observe(intent.instance)
        if left.state != .running, left.state != .paused { try await drivers.compute.ensureStopped(intent.instance, grace: .zero) }
        let files = try await fetch(intent.image)
        FaultPoint.hit("node.launch.image")
        let port = try self.port(of: intent)
        async let device = drivers.network.ensurePort(port)
        async let disk = ensureDisk(intent, files)
        var machine = try machine(intent, files, disk: try await disk, device: try await device)
        machine.volumes = try await disks(of: intent.instance)
        machine.cell = try cell(of: intent)
        machine.devices = try gpus(of: intent)
        FaultPoint.hit("node.launch.prepared")
        // The guest takes longer to ask for its address than the filter takes to let it.
        async let permitted: Void = drivers.network.permit(port)
        let seen = try await whileLeased { try await drivers.compute.ensureRunning(machine) }
        FaultPoint.hit("node.launch.executed")
        board.see(seen)
        do {
            try await permitted
        } catch {
            // A guest without a network is of no use to anybody.
            board.see(try await drivers.compute.ensureStopped(intent.instance, grace: .zero))
            throw error
        }
        FaultPoint.hit("node.launch.permitted")
        try await settleMeter(of: intent.instance)
        FaultPoint.hit("node.launch.metered")
        try await noteRan(intent.instance, generation: intent.generation, reboots: intent.reboots)
        logger.info(
            "started", metadata: ["instance": "\(intent.instance)", "address": "\(intent.address)", "pid": "\(seen.processID ?? 0)"])
    }

    func whileLeased<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        guard let lease else { return try await body() }
        return try await lease.whileHeld(body)
    }

    /// A machine that crashed right after its start is not started again at once.
    private func waitAfterCrash(_ intent: InstanceIntent) async throws {
        guard let machine = board[intent.instance]?.machine, machine.cause == .crashed, let ended = machine.ended,
            let executed = machine.executed
        else { return }
        let ran = ended - executed
        guard ran < .seconds(60), time.now() - ended < .seconds(10) else { return }
        throw Refusal(
            "node.crashed", .unavailable, "The hypervisor process ended by itself after \(ran.seconds) s.",
            facts: ["ranSeconds": .number(ran.seconds)])
    }

    /// Paths of an image's files on this host.
    struct LocalImage {
        var disk: GoldenImage
        var kernel: MachineSpec.DirectKernel?
    }

    func fetch(_ image: ImageManifest) async throws -> LocalImage {
        var paths: [ImageFile.Part: String] = [:]
        for file in image.files {
            paths[file.part] = try await drivers.images.ensure(
                sha256: file.sha256, bytes: file.bytes, from: ConnectImages(identity: identity))
        }
        guard let disk = image.files.first(where: { $0.part == .disk }), let path = paths[.disk] else {
            throw Refusal("node.image", .invalid, "Image \(image.id) has no disk.", facts: ["image": .text("\(image.id)")])
        }
        return LocalImage(
            disk: GoldenImage(sha256: disk.sha256, path: path, virtualSizeMiB: image.virtualSizeMiB),
            kernel: paths[.kernel].map {
                MachineSpec.DirectKernel(kernel: $0, initrd: paths[.initrd], commandLine: image.commandLine ?? "console=ttyS0")
            })
    }

    func ensureDisk(_ intent: InstanceIntent, _ image: LocalImage) async throws(Refusal) -> String {
        let size = max(intent.resources.diskMiB, image.disk.virtualSizeMiB)
        return try await drivers.storage.ensureClone(of: image.disk, virtualSizeMiB: size, for: intent.instance)
    }

    func port(of intent: InstanceIntent) throws -> NetworkPort {
        guard let address = IPv4Address(intent.address) else {
            throw Refusal("node.address", .invalid, "'\(intent.address)' is not an IPv4 address.", nearest: "an address in \(network)")
        }
        return NetworkPort(instance: intent.instance, macAddress: intent.macAddress, address: address, hostName: intent.hostName)
    }

    func machine(_ intent: InstanceIntent, _ image: LocalImage, disk: String, device: String) throws -> MachineSpec {
        let memory = intent.resources.memoryMiB
        guard memory >= intent.image.minimumMemoryMiB else {
            throw Refusal(
                "node.memory", .invalid,
                "Image \(intent.image.name) needs \(intent.image.minimumMemoryMiB) MiB of memory, the instance has \(memory).",
                facts: ["memoryMiB": .number(memory), "minimumMiB": .number(intent.image.minimumMemoryMiB)],
                nearest: "\(intent.image.minimumMemoryMiB) MiB")
        }
        return MachineSpec(
            instance: intent.instance, virtualCPUs: max(1, (intent.resources.milliCPU + 999) / 1_000), memoryMiB: memory, disk: disk,
            kernel: image.kernel, networkDevice: device, macAddress: intent.macAddress)
    }

    func cell(of intent: InstanceIntent) throws(Refusal) -> MachineSpec.MemoryCell? {
        guard let place = intent.cell else { return nil }
        guard let cell = HardwareInventory(root: configuration.hardwareRoot).cell(at: place) else {
            throw Refusal(
                "node.cell", .unavailable, "This host has no NUMA cell at place \(place), which the instance is to be bound to.",
                facts: ["cell": .number(place)], nearest: "a new hello of this node, by a restart, when its hardware has changed")
        }
        return MachineSpec.MemoryCell(number: cell.number, processors: cell.processors)
    }

    /// A machine is never started without the GPUs that were sold with it.
    private func gpus(of intent: InstanceIntent) throws(Refusal) -> [String] {
        guard let places = intent.gpus, !places.isEmpty else { return [] }
        guard intent.resources.milliGPU == Int64(places.count) * 1_000 else {
            throw Refusal(
                "node.gpu", .unavailable,
                "This node hands out whole GPUs only; the instance is to have \(intent.resources.milliGPU) thousandths.",
                facts: ["milliGPU": .number(intent.resources.milliGPU)], nearest: "\(places.count * 1_000) thousandths")
        }
        return try HardwareInventory(root: configuration.hardwareRoot).gpus(at: places)
    }

    // MARK: - The others

    func reboot(_ intent: InstanceIntent, grace: Span) async throws {
        try await drivers.compute.reset(intent.instance, grace: grace)
        try await noteRan(intent.instance, generation: intent.generation, reboots: intent.reboots)
    }

    func stop(_ intent: InstanceIntent, grace: Span) async throws {
        FaultPoint.hit("node.stop.begun")
        let seen = try await drivers.compute.ensureStopped(intent.instance, grace: grace)
        FaultPoint.hit("node.stop.stopped")
        board.see(seen)
        try await settleMeter(of: intent.instance)
    }

    func remove(_ intent: InstanceIntent) async throws {
        let instance = intent.instance
        board.see(try await drivers.compute.ensureStopped(instance, grace: .zero))
        try await settleMeter(of: instance)
        FaultPoint.hit("node.remove.settled")
        try await drivers.compute.ensureAbsent(instance)
        FaultPoint.hit("node.remove.machine")
        try await drivers.network.ensurePortAbsent(instance)
        FaultPoint.hit("node.remove.port")
        // It goes on elsewhere: the disk is another host's now.
        if intent.keepsDisk != true { try await drivers.storage.ensureDeleted(instance) }
        FaultPoint.hit("node.remove.disk")
        board.noteRemoved(instance, generation: intent.generation)
        logger.info("removed", metadata: ["instance": "\(instance)"])
    }

    // MARK: - Meter

    /// Brings the journal up to what is so now.
    func settleMeter(of instance: InstanceID) async throws {
        guard let entry = board[instance] else { return }
        let seen = await drivers.compute.observe(instance)
        let added = try await meters.record(seen, contract: entry.intent.contract, resources: entry.intent.resources, at: time.now())
        if added > 0 { board.news.set() }
    }
}
