import Drivers
import Foundation
import Primitives
import Testing

/// A world a compute driver can be made in, again and again.
protocol ComputeWorld: Sendable {
    func driver() throws -> any ComputeDriver
    func machine(_ instance: InstanceID) async throws -> MachineSpec
    /// The hypervisor process dies.
    func crash(_ seen: MachineObservation) throws
    /// Waits until the guest can feel its power button.
    func waitForGuest(_ driver: any ComputeDriver, _ instance: InstanceID) async throws
    /// The file of a volume, empty, of 16 MiB.
    func volume(_ volume: VolumeID) async throws -> String
}

struct SimulatedComputeWorld: ComputeWorld {
    let host = SimulatedHost(clock: HostClock.now)
    let behaviour: SimulatedBehaviour

    func driver() throws -> any ComputeDriver { SimulatedCompute(host, behaviour) }
    func machine(_ instance: InstanceID) async throws -> MachineSpec { plainMachine(instance, disk: "/simulated/disk") }
    func crash(_ seen: MachineObservation) throws { host.crash(seen.instance) }
    func waitForGuest(_ driver: any ComputeDriver, _ instance: InstanceID) async throws {}
    func volume(_ volume: VolumeID) async throws -> String { "/simulated/\(volume)" }
}

struct QEMUWorld: ComputeWorld {
    let lab: Lab
    let guest: Lab.Guest
    let storage: LocalStorage

    init(_ lab: Lab) throws {
        self.lab = lab
        guest = try #require(Lab.guest)
        storage = try LocalStorage(directory: lab.directory + "/storage", reserveMiB: 1)
    }

    func driver() throws -> any ComputeDriver {
        // A path too long for a socket address, and with what QEMU's option syntax finds special.
        let long = lab.directory + "/machines, with a comma and " + String(repeating: "x", count: 90)
        return try QEMUDriver(QEMUConfiguration(directory: long))
    }

    func machine(_ instance: InstanceID) async throws -> MachineSpec {
        var machine = plainMachine(instance, disk: try await storage.ensureClone(of: guest.image, virtualSizeMiB: 256, for: instance))
        machine.kernel = guest.kernel
        // A shell on the console shows when the guest is up.
        machine.kernel?.commandLine += " bourse.shell=1"
        return machine
    }

    func crash(_ seen: MachineObservation) throws { kill(try #require(seen.processID), SIGKILL) }

    func waitForGuest(_ driver: any ComputeDriver, _ instance: InstanceID) async throws {
        try await eventually(within: .seconds(240), "the guest is up") {
            String(decoding: try await driver.console(instance, last: 4_000), as: UTF8.self).contains("root@")
        }
    }

    func volume(_ volume: VolumeID) async throws -> String { try await storage.ensureVolume(volume, sizeMiB: 16).path }
}

/// What a guest gets to shut down in tests: more than it takes on the slowest machine that emulates several at once.
let guestGrace = Span.seconds(240)

func plainMachine(_ instance: InstanceID, disk: String) -> MachineSpec {
    MachineSpec(
        instance: instance, virtualCPUs: 1, memoryMiB: 128, disk: disk, kernel: nil, networkDevice: nil, macAddress: "02:00:00:00:00:01")
}

/// What every compute driver does. The first driver starts machines and goes; a second one finds them.
func checkComputeContract(_ world: any ComputeWorld) async throws {
    let running = try await checkStarts(world)
    let driver = try await takeOver(world)
    #expect(try await driver.adopt() == running, "the same runs are found, not new ones")
    try await checkCrash(world, driver, instance(2))
    try await checkStops(world, driver, try await world.machine(instance(1)), try #require(running[0].executed))

    for one in [instance(1), instance(1), instance(2)] { try await driver.ensureAbsent(one) }
    #expect(await driver.observe().isEmpty)
}

/// A real driver has its directory to itself: the former one must have let go.
private func takeOver(_ world: any ComputeWorld) async throws -> any ComputeDriver {
    var driver: (any ComputeDriver)?
    try await eventually("the former driver lets go") {
        driver = try? world.driver()
        return driver != nil
    }
    return try #require(driver)
}

private func checkStarts(_ world: any ComputeWorld) async throws -> [MachineObservation] {
    let (one, two) = (instance(1), instance(2))
    let driver = try world.driver()
    #expect(try await driver.adopt().isEmpty)
    #expect(await driver.observe(one).state == .absent)
    #expect(try await driver.ensureStopped(one, grace: .zero).state == .absent)
    #expect(await refusal { try await driver.reset(one, grace: .zero) }?.category == .notFound)
    #expect(try await driver.console(one, last: 100).isEmpty)

    var nonsense = try await world.machine(one)
    nonsense.virtualCPUs = 0
    let impossible = nonsense
    #expect(await refusal { try await driver.ensureRunning(impossible) }?.rule == "compute.cpus")
    #expect(await driver.observe().isEmpty, "a refusal changes nothing")

    let before = HostClock.now()
    let machine = try await world.machine(one)
    let onlooker = onlooker(driver, one)
    let started = try await driver.ensureRunning(machine)
    onlooker.cancel()
    #expect(await onlooker.value.isEmpty, "a machine that is being started is never seen as one that has run")
    #expect(started.state == .running && started.instance == one)
    let executed = try #require(started.executed)
    #expect(before <= executed && executed <= HostClock.now())
    #expect(try await driver.ensureRunning(machine) == started, "a machine that runs is left alone")

    let other = try await world.machine(two)
    async let first = driver.ensureRunning(other)
    async let second = driver.ensureRunning(other)
    let twins = try await (first, second)
    #expect(twins.0 == twins.1, "asked for twice at once, started once")
    #expect(await driver.observe().map(\.instance) == [one, two])
    try await eventually("a console") { try await !driver.console(one, last: 100).isEmpty }
    #expect(try await driver.console(one, last: 5).count == 5)
    try await checkUsage(driver, [started, twins.0])
    return [started, twins.0]
}

/// What nobody may see: runs that are over without an end.
private func onlooker(_ driver: any ComputeDriver, _ instance: InstanceID) -> Task<[MachineObservation], Never> {
    Task {
        var seen: Set<MachineObservation> = []
        while !Task.isCancelled {
            let now = await driver.observe(instance)
            if now.state == .stopped, now.executed != nil, now.ended == nil { seen.insert(now) }
            try? await Task.sleep(for: .microseconds(100))
        }
        return Array(seen)
    }
}

private func checkUsage(_ driver: any ComputeDriver, _ running: [MachineObservation]) async throws {
    let first = await driver.usage()
    #expect(first.map(\.instance) == running.map(\.instance) && first.map(\.executed) == running.map(\.executed))
    try await eventually("the machines use processors") {
        let later = await driver.usage()
        #expect(later.count == first.count && zip(first, later).allSatisfy { $0.processorTime <= $1.processorTime })
        return zip(first, later).allSatisfy { $0.processorTime < $1.processorTime }
    }
}

private func checkCrash(_ world: any ComputeWorld, _ driver: any ComputeDriver, _ instance: InstanceID) async throws {
    let seen = await driver.observe(instance)
    async let told = driver.changes.first { $0 == instance }
    try world.crash(seen)
    #expect(await told == instance)
    let dead = await driver.observe(instance)
    #expect(await !driver.usage().map(\.instance).contains(instance), "what does not run uses nothing")
    #expect(dead.state == .stopped && dead.cause == .crashed && dead.executed == seen.executed)
    #expect(try #require(dead.ended) >= #require(seen.executed))
}

private func checkStops(_ world: any ComputeWorld, _ driver: any ComputeDriver, _ machine: MachineSpec, _ executed: Instant) async throws {
    let one = machine.instance
    try await world.waitForGuest(driver, one)
    let gentle = try await driver.ensureStopped(one, grace: guestGrace)
    #expect(gentle.state == .stopped && gentle.cause == .asked && gentle.executed == executed)
    #expect(try await driver.ensureStopped(one, grace: .zero) == gentle, "what is stopped stays as it is")
    #expect(await refusal { try await driver.reset(one, grace: .zero) }?.category == .conflict)
    #expect(await refusal { try await driver.pressPowerButton(one) }?.category == .conflict)

    let again = try await driver.ensureRunning(machine)
    #expect(try #require(again.executed) > executed, "a new run")
    try await driver.reset(one, grace: .zero)
    #expect(await driver.observe(one).executed == again.executed, "a reset is no new run")
    let forced = try await driver.ensureStopped(one, grace: .zero)
    #expect(forced.state == .stopped && forced.cause == .forced)
    #expect(try #require(forced.ended) >= #require(again.executed))
}

/// What every compute driver does with volumes: they go in and out of machines that run, and are there when one starts.
func checkVolumeContract(_ world: any ComputeWorld) async throws {
    let (one, first, second) = (instance(1), VolumeID(bits: 0xa1), VolumeID(bits: 0xa2))
    func disk(_ volume: VolumeID, slot: Int64, sizeMiB: Int64 = 16, iops: Int64 = 0) async throws -> VolumeDisk {
        VolumeDisk(volume: volume, path: try await world.volume(volume), sizeMiB: sizeMiB, iops: iops, slot: slot)
    }
    let driver = try world.driver()
    let plain = try await disk(first, slot: 1)
    try await driver.ensureAttached(plain, to: one)
    try await driver.ensureDetached(first, from: one)
    #expect(try await driver.volumes(of: one).isEmpty, "a machine that is off is left alone")
    let nowhere = try await disk(first, slot: 21)
    #expect(await refusal { try await driver.ensureAttached(nowhere, to: one) }?.rule == "compute.slot")

    var machine = try await world.machine(one)
    machine.volumes = [try await disk(first, slot: 1, iops: 500)]
    try await driver.ensureRunning(machine)
    #expect(try await driver.volumes(of: one) == [first], "the machine starts with it")
    let other = try await disk(second, slot: 2, iops: 300)
    for _ in 0..<2 { try await driver.ensureAttached(other, to: one) }
    #expect(try await driver.volumes(of: one) == [first, second])
    let larger = try await disk(second, slot: 2, sizeMiB: 48)
    for _ in 0..<2 { try await driver.ensureAttached(larger, to: one) }

    // The guest may not be up yet, and is asked again until it is.
    try await eventually(within: .seconds(120), "the guest lets go") { try await detach(first, from: one, driver) }
    #expect(try await driver.volumes(of: one) == [second])
    try await driver.ensureDetached(first, from: one)
    // A guest that boots may answer a request twice, and give back what has just come.
    try await eventually("it can come back") {
        try await driver.ensureAttached(plain, to: one)
        try await Task.sleep(for: .milliseconds(500))
        return try await driver.volumes(of: one) == [first, second]
    }

    try await driver.ensureStopped(one, grace: .zero)
    #expect(try await driver.volumes(of: one).isEmpty)
    try await driver.ensureDetached(second, from: one)
    machine.volumes = [larger]
    try await driver.ensureRunning(machine)
    #expect(try await driver.volumes(of: one) == [second], "as its specification says")
    try await driver.ensureAbsent(one)
}

private func detach(_ volume: VolumeID, from instance: InstanceID, _ driver: any ComputeDriver) async throws -> Bool {
    do throws(Refusal) {
        try await driver.ensureDetached(volume, from: instance)
        return true
    } catch {
        guard error.rule == "volume.busy" else { throw error }
        return false
    }
}
