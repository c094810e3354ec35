import Drivers
import Foundation
import Primitives
import Testing

@Suite struct ComputeTests {
    @Test(arguments: [1, 2, 3] as [UInt64]) func simulatedKeepsTheContract(seed: UInt64) async throws {
        try await checkComputeContract(
            SimulatedComputeWorld(behaviour: SimulatedBehaviour(seed: seed, delay: .zero ... .milliseconds(5))))
    }

    @Test(arguments: [1, 2] as [UInt64]) func simulatedKeepsTheVolumeContract(seed: UInt64) async throws {
        try await checkVolumeContract(SimulatedComputeWorld(behaviour: SimulatedBehaviour(seed: seed, delay: .zero ... .milliseconds(5))))
    }

    @Test func aGuestThatDoesNotLetGoKeepsTheVolume() async throws {
        let host = SimulatedHost(clock: HostClock.now)
        let driver = SimulatedCompute(host, SimulatedBehaviour(seed: 1))
        var machine = plainMachine(instance(1), disk: "d")
        machine.volumes = [VolumeDisk(volume: VolumeID(bits: 1), path: "v", sizeMiB: 1, iops: 0, slot: 1)]
        try await driver.ensureRunning(machine)
        host.deafen(instance(1))
        let busy = await refusal { try await driver.ensureDetached(VolumeID(bits: 1), from: instance(1)) }
        #expect(busy?.rule == "volume.busy" && busy?.nearest != nil)
        #expect(try await driver.volumes(of: instance(1)).count == 1)
        try await driver.ensureStopped(instance(1), grace: .zero)
        try await driver.ensureDetached(VolumeID(bits: 1), from: instance(1))
    }

    @Test func aVolumesSerialNumberIsItsIdentifierWithoutTheDash() throws {
        let disk = VolumeDisk(volume: try #require(VolumeID("vol-0123456789abcdef0")), path: "v", sizeMiB: 1, iops: 0, slot: 1)
        #expect(disk.serial == "vol0123456789abcdef0" && disk.serial.utf8.count == 20)
    }

    /// Specifications are on disk; those of before there were volumes are read as well.
    @Test func olderSpecificationsAreUnderstood() throws {
        var machine = plainMachine(instance(1), disk: "d")
        machine.volumes = [VolumeDisk(volume: VolumeID(bits: 1), path: "v", sizeMiB: 1, iops: 0, slot: 1)]
        let written = try JSONEncoder().encode(machine)
        #expect(try JSONDecoder().decode(MachineSpec.self, from: written) == machine)
        var old = try #require(try JSONSerialization.jsonObject(with: written) as? [String: Any])
        old["volumes"] = nil
        old["devices"] = nil
        machine.volumes = []
        #expect(try JSONDecoder().decode(MachineSpec.self, from: JSONSerialization.data(withJSONObject: old)) == machine)
    }

    @Test func simulatedFailuresFollowTheSeed() async throws {
        func pattern(_ seed: UInt64) async -> [Bool] {
            let driver = SimulatedCompute(SimulatedHost(clock: HostClock.now), SimulatedBehaviour(seed: seed, failuresPerThousand: 300))
            var results: [Bool] = []
            for number in 0..<100 as Range<UInt64> {
                results.append(await refusal { try await driver.ensureRunning(plainMachine(instance(number), disk: "d")) } == nil)
            }
            return results
        }
        let first = await pattern(7)
        #expect(await pattern(7) == first)
        #expect(await pattern(8) != first)
        #expect((50...90).contains(first.count { $0 }))
    }

    @Test func simulatedDeafGuestIsForced() async throws {
        let host = SimulatedHost(clock: HostClock.now)
        let driver = SimulatedCompute(host, SimulatedBehaviour(seed: 1))
        try await driver.ensureRunning(plainMachine(instance(1), disk: "d"))
        host.deafen(instance(1))
        #expect(try await driver.ensureStopped(instance(1), grace: .milliseconds(20)).cause == .forced)
    }
}

@Suite(.serialized, .enabled(if: Lab.canBoot, needsGuest)) struct QEMUTests {
    @Test(.timeLimit(.minutes(10))) func keepsTheContract() async throws {
        try await Lab.with { lab in try await checkComputeContract(QEMUWorld(lab)) }
    }

    @Test(.timeLimit(.minutes(10))) func keepsTheVolumeContract() async throws {
        try await Lab.with { lab in try await checkVolumeContract(QEMUWorld(lab)) }
    }

    /// The driver's note of a run can be lost with the driver: pid file, command line, start time and the monitor must do.
    @Test(.timeLimit(.minutes(10))) func findsAMachineItDiedBeforeNoting() async throws {
        try await Lab.with { lab in
            let world = try QEMUWorld(lab)
            let started = try await launch(world, instance(1))
            try await lab.shell("rm \(lab.directory)/machines*/*/run.json")
            let driver = try await successor(world)
            let found = try #require(try await driver.adopt().first)
            #expect(found.state == .running && found.processID == started.processID)
            let difference = try #require(found.executed) - #require(started.executed)
            #expect(abs(difference.microseconds) < 1_500_000, "from the kernel's record of the process")
            try await driver.ensureAbsent(instance(1))
        }
    }

    /// A pid file may name a process that has nothing to do with the machine.
    @Test(.timeLimit(.minutes(10))) func doesNotTakeAStrangerForItsMachine() async throws {
        try await Lab.with { lab in
            let world = try QEMUWorld(lab)
            let started = try await launch(world, instance(1))
            try await lab.shell("kill -9 \(try #require(started.processID)); cd \(lab.directory)/machines*/*/; echo \(getpid()) > qemu.pid")
            let driver = try await successor(world)
            let found = try #require(try await driver.adopt().first)
            #expect(found.state == .stopped && found.cause == .crashed && found.executed == started.executed)
            #expect(try #require(found.ended) >= #require(started.executed))
            try await driver.ensureAbsent(instance(1))
        }
    }

    @Test(.timeLimit(.minutes(10))) func aMachineStaysInItsCell() async throws {
        try await Lab.with { lab in
            let world = try QEMUWorld(lab)
            let driver = try world.driver()
            var machine = try await world.machine(instance(1))
            machine.cell = .init(number: 0, processors: "0")
            let seen = try await driver.ensureRunning(machine)
            let pid = try #require(seen.processID)
            for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task") {
                let status = try String(contentsOfFile: "/proc/\(pid)/task/\(thread)/status", encoding: .utf8)
                #expect(status.contains("Cpus_allowed_list:\t0\n"), "thread \(thread)")
            }
            #expect(try String(contentsOfFile: "/proc/\(pid)/numa_maps", encoding: .utf8).contains(" bind:0 "))
            try await driver.ensureAbsent(instance(1))
        }
    }

    @Test(.timeLimit(.minutes(10))) func twoDriversCannotShareADirectory() async throws {
        try await Lab.with { lab in
            let world = try QEMUWorld(lab)
            let first = try world.driver()
            #expect(await refusal { () async throws in try world.driver() }?.rule == "host.claimed")
            #expect(await first.observe().isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(10))) func saysWhyQEMUDidNotStart() async throws {
        try await Lab.with { lab in
            let world = try QEMUWorld(lab)
            let driver = try world.driver()
            var machine = try await world.machine(instance(1))
            machine.disk = lab.directory + "/no-such-disk"
            let broken = machine
            let answer = await refusal { try await driver.ensureRunning(broken) }
            let refused = try #require(answer)
            #expect(refused.rule == "compute.launch" && refused.message.contains("no-such-disk"), "\(refused)")
            #expect(await driver.observe(instance(1)).state != .running)
        }
    }

    @Test(.timeLimit(.minutes(10))) func gracefulResetKeepsTheProcess() async throws {
        try await Lab.with { lab in
            let world = try QEMUWorld(lab)
            let driver = try world.driver()
            let started = try await driver.ensureRunning(try await world.machine(instance(1)))
            try await world.waitForGuest(driver, instance(1))
            try await driver.reset(instance(1), grace: guestGrace)
            #expect(await driver.observe(instance(1)) == started)
            let gentle = try await driver.ensureStopped(instance(1), grace: guestGrace)
            #expect(gentle.cause == .asked, "it came up again and felt its button")
            try await driver.ensureAbsent(instance(1))
        }
    }

    @Test(.timeLimit(.minutes(10))) func probeGuestBootsWhereHardwareIsEmulated() async throws {
        try await Lab.with { lab in
            let probe = AccelerationProbe(
                cacheFile: lab.directory + "/probe.json", runner: CommandRunner(namespace: nil),
                program: try CommandRunner.locate("qemu-system-x86_64"))
            let sector = lab.directory + "/sector"
            try Data(AccelerationProbe.bootSector).write(to: URL(filePath: sector))
            #expect(try await probe.tryGuest(sector, accelerator: "tcg", processor: "max").0)
            // A sector that only halts is a guest that hangs.
            var halting = AccelerationProbe.bootSector
            halting.replaceSubrange(0..<3, with: [0xf4, 0xeb, 0xfd])
            try Data(halting).write(to: URL(filePath: sector))
            let hung = try? await probe.tryGuest(sector, accelerator: "tcg", processor: "max").0
            #expect(hung != true)

            let answer = await probe.ask(qemu: "QEMU test")
            #expect(probe.cached(qemu: "QEMU test") == answer)
            #expect(probe.cached(qemu: "QEMU other") == nil, "an answer holds for one QEMU")
        }
    }

    private func launch(_ world: QEMUWorld, _ instance: InstanceID) async throws -> MachineObservation {
        let driver = try world.driver()
        return try await driver.ensureRunning(try await world.machine(instance))
    }

    private func successor(_ world: QEMUWorld) async throws -> any ComputeDriver {
        var driver: (any ComputeDriver)?
        try await eventually("the former driver lets go") {
            driver = try? world.driver()
            return driver != nil
        }
        return try #require(driver)
    }
}
