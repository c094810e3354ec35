import Drivers
import Fleet
import Foundation
import PKI
import Primitives
import Testing

/// Two hosts on shared storage between which machines can move.
protocol MoveWorld: Sendable {
    var source: any ComputeDriver { get }
    var target: any ComputeDriver { get }
    func machine(_ instance: InstanceID) async throws -> MachineSpec
    /// What each shows; the third is a stranger's.
    func credentials(_ number: Int) async throws -> MoveCredentials
    /// Waits until the guest is up. One that boots loses presses of its power button, and takes its time.
    func waitForGuest(_ driver: any ComputeDriver, _ instance: InstanceID) async throws
    /// The hypervisor process of the target dies.
    func crashTarget(_ instance: InstanceID) async throws
    /// Makes copying so slow that it does not end by itself, or lets it go on.
    var crawl: Int64 { get }
    func hold(_ isHeld: Bool)
}

struct SimulatedMoveWorld: MoveWorld {
    let wire = SimulatedWire()
    let hosts: [SimulatedHost]
    let source: any ComputeDriver
    let target: any ComputeDriver

    init(seed: UInt64) {
        let wire = wire
        hosts = (0..<2).map { _ in SimulatedHost(clock: HostClock.now, wire: wire) }
        let behaviour = SimulatedBehaviour(seed: seed, delay: .zero ... .milliseconds(2))
        (source, target) = (SimulatedCompute(hosts[0], behaviour), SimulatedCompute(hosts[1], behaviour))
    }

    func machine(_ instance: InstanceID) async throws -> MachineSpec { plainMachine(instance, disk: "/simulated/disk") }
    func credentials(_ number: Int) async throws -> MoveCredentials { MoveCredentials(folder: "/simulated/\(number)") }
    func waitForGuest(_ driver: any ComputeDriver, _ instance: InstanceID) async throws {}
    func crashTarget(_ instance: InstanceID) async throws { hosts[1].crash(instance) }
    let crawl: Int64 = 1
    func hold(_ isHeld: Bool) { wire.hold(isHeld) }
}

struct QEMUMoveWorld: MoveWorld {
    let world: QEMUWorld
    let source: any ComputeDriver
    let target: any ComputeDriver
    private let authority: CertificateAuthority

    init(_ lab: Lab) throws {
        world = try QEMUWorld(lab)
        source = try QEMUDriver(QEMUConfiguration(directory: lab.directory + "/one"))
        target = try QEMUDriver(QEMUConfiguration(directory: lab.directory + "/other"))
        authority = try CertificateAuthority.open(directory: lab.directory + "/authority", exchange: "demo", now: HostClock.now())
    }

    func machine(_ instance: InstanceID) async throws -> MachineSpec { try await world.machine(instance) }

    func credentials(_ number: Int) async throws -> MoveCredentials {
        let key = CredentialKey()
        let identity = PeerIdentity.program(
            exchange: "demo", participant: ParticipantID(bits: 1), role: .node, id: HostID(bits: UInt64(number)).description)
        let issued = try authority.issueIdentity(csrPEM: try key.csrPEM(), identity: identity, now: HostClock.now())
        let credential = try key.credential(chainPEM: issued.chainPEM)
        let made = MoveCredentials(folder: "\(world.lab.directory)/credentials-\(number)")
        try await made.write(rootPEM: authority.rootPEM, chainPEM: credential.chainPEM, keyPEM: credential.privateKeyPEM)
        return made
    }

    func waitForGuest(_ driver: any ComputeDriver, _ instance: InstanceID) async throws {
        try await world.waitForGuest(driver, instance)
    }

    func crashTarget(_ instance: InstanceID) async throws {
        let process = await target.observe(instance).processID
        kill(try #require(process), SIGKILL)
    }

    let crawl: Int64 = 1
    func hold(_ isHeld: Bool) {}
}

private func name(_ number: UInt64) -> String { IdentityName.dns(role: .node, id: HostID(bits: number).description, exchange: "demo") }

extension MoveWorld {
    private func receive(_ instance: InstanceID, attempt: Int64, volumes: [VolumeDisk] = []) async throws -> String {
        var machine = try await machine(instance)
        machine.volumes = volumes
        let reception = MoveReception(
            attempt: attempt, address: "127.0.0.1", ports: 49_152...49_215, credentials: try await credentials(2),
            sender: MoveSender(host: HostID(bits: 1), exchange: "demo"))
        for _ in 0..<2 { try await target.beginReceiving(machine, reception) }
        let status = try await target.moveStatus(instance)
        #expect(status.sight == MoveSight(attempt: attempt, isAlive: true, transfer: .waiting, ruling: nil))
        #expect(await target.observe(instance).state != .running, "it waits, and does not run")
        return "127.0.0.1:\(try #require(status.port))"
    }

    private func send(
        _ instance: InstanceID, attempt: Int64, to endpoint: String, as number: Int = 1, bandwidthMiB: Int64 = 1_000
    ) async throws {
        try await source.beginSending(
            instance,
            MoveSending(
                attempt: attempt, endpoint: endpoint, credentials: try await credentials(number), receiver: name(2),
                bandwidthMiB: bandwidthMiB, downtimeMilliseconds: 200))
    }

    private func reaches(_ transfer: MoveSight.Transfer, _ driver: any ComputeDriver, _ instance: InstanceID) async throws {
        try await eventually("the transfer is \(transfer)") {
            let status = try await driver.moveStatus(instance)
            if status.sight.transfer == .failed, transfer != .failed {
                Issue.record("it failed: \(status.failure ?? "")")
                throw CancellationError()
            }
            return status.sight.transfer == transfer
        }
    }

    /// A machine goes over and back, and nobody runs it twice.
    func checkMove() async throws {
        let one = instance(1)
        let started = try await source.ensureRunning(try await machine(one))
        try await waitForGuest(source, one)
        let endpoint = try await receive(one, attempt: 5)
        #expect(await refusal { try await target.take(one, attempt: 5) }?.rule == "compute.move", "nothing has arrived")
        let refused = try await machine(one)
        #expect(await refusal { try await target.ensureRunning(refused) }?.rule == "compute.move", "it runs elsewhere")
        try await send(one, attempt: 5, to: endpoint)
        try await reaches(.completed, source, one)
        try await reaches(.completed, target, one)
        try await eventually("it runs nowhere") { await source.observe(one).state == .stopped }
        let sent = await source.observe(one)
        #expect(sent.cause == .moved && sent.executed == started.executed && sent.ended != nil && sent.processID != nil)
        #expect(await target.observe(one).state == .stopped)
        #expect(await refusal { try await source.ensureRunning(refused) }?.rule == "compute.move")
        #expect(await refusal { try await source.layDownStaying(one, attempt: 5) }?.rule == "compute.move", "it has been sent")
        let progress = try #require(try await source.moveStatus(one).progress)
        #expect(progress.leftMiB == 0 && progress.downtimeMilliseconds != nil)

        let taken = try await target.take(one, attempt: 5)
        let (begun, before) = (try #require(taken.executed), try #require(started.executed))
        #expect(taken.state == .running && begun > before, "a run of its own begins")
        #expect(try await target.take(one, attempt: 5) == taken)
        #expect(await refusal { try await target.layDownVoid(one, attempt: 5) }?.rule == "compute.move", "it was taken")
        #expect(await source.observe(one).state == .stopped)
        try await source.ensureAbsent(one)
        #expect(await source.observe(one).state == .absent)
        #expect(try await source.moveStatus(one).sight.attempt == 0)
        // The guest is alive: it feels its button.
        #expect(try await target.ensureStopped(one, grace: guestGrace).cause == .asked)
        try await target.ensureAbsent(one)
    }

    /// A move that comes to nothing leaves the machine where it was: the target dies while memory is copied.
    func checkTargetDies() async throws {
        let one = instance(1)
        let started = try await source.ensureRunning(try await machine(one))
        let endpoint = try await receive(one, attempt: 7)
        hold(true)
        try await send(one, attempt: 7, to: endpoint, bandwidthMiB: crawl)
        try await reaches(.active, source, one)
        #expect(await refusal { try await source.layDownStaying(one, attempt: 7) }?.rule == "compute.move", "it is being sent")
        try await crashTarget(one)
        hold(false)
        try await reaches(.failed, source, one)
        #expect(await source.observe(one) == started, "it ran all the time")
        try await source.layDownStaying(one, attempt: 7)
        #expect(try await source.moveStatus(one).sight.ruling == .stayed)
        try await eventually("the target's process is gone") { try await !target.moveStatus(one).sight.isAlive }
        #expect(await target.observe(one).executed == nil, "there was no run")
        for _ in 0..<2 { try await target.layDownVoid(one, attempt: 7) }
        #expect(try await target.moveStatus(one).sight.ruling == .void)
        try await target.ensureAbsent(one)
        try await source.ensureAbsent(one)
    }

    /// It can be called off while it goes on; and after it was sent, as long as the target has not taken it.
    func checkCalledOff() async throws {
        let one = instance(1)
        let started = try await source.ensureRunning(try await machine(one))
        try await waitForGuest(source, one)
        let first = try await receive(one, attempt: 3)
        hold(true)
        try await send(one, attempt: 3, to: first, bandwidthMiB: crawl)
        try await reaches(.active, source, one)
        for _ in 0..<2 { try await source.cancelSending(one) }
        #expect(try await source.moveStatus(one).sight.transfer == .failed)
        try await source.layDownStaying(one, attempt: 3)
        #expect(await source.observe(one) == started)
        hold(false)

        // The next attempt takes the place of what waits there.
        let second = try await receive(one, attempt: 9)
        try await send(one, attempt: 9, to: second)
        try await reaches(.completed, source, one)
        try await reaches(.completed, target, one)
        try await target.layDownVoid(one, attempt: 9)
        #expect(await refusal { try await target.take(one, attempt: 9) }?.rule == "compute.move", "never")
        try await eventually("nothing is left of it there") { await target.observe(one).processID == nil }
        let sent = await source.observe(one)
        #expect(sent.state == .stopped && sent.cause == .moved && sent.executed == started.executed)
        for _ in 0..<2 { try await source.resume(one, attempt: 9) }
        let resumed = await source.observe(one)
        #expect(resumed.state == .running && resumed.processID == started.processID, "it goes on where it was")
        #expect(try #require(resumed.executed) >= #require(sent.ended) && resumed.ended == nil, "another run: it stood still in between")
        #expect(try await source.moveStatus(one).sight == MoveSight(attempt: 9, isAlive: true, transfer: .none, ruling: .stayed))
        try await target.ensureAbsent(one)
        let stopped = try await source.ensureStopped(one, grace: guestGrace)
        let console = String(decoding: try await source.console(one, last: 2_000), as: UTF8.self)
        #expect(stopped.cause == .asked, "the guest's last words: \(console)")
        try await source.ensureAbsent(one)
    }

    /// A guest that switches itself off while it is copied is off, and the target never has it.
    func checkSwitchedOff() async throws {
        let one = instance(1)
        let started = try await source.ensureRunning(try await machine(one))
        try await waitForGuest(source, one)
        let endpoint = try await receive(one, attempt: 4)
        hold(true)
        try await send(one, attempt: 4, to: endpoint, bandwidthMiB: crawl)
        try await reaches(.active, source, one)
        #expect(try await !source.moveStatus(one).sight.isSwitchedOff)
        try await source.pressPowerButton(one)
        try await eventually(within: .seconds(240), "the guest switches itself off") { await source.observe(one).state == .stopped }
        hold(false)
        let seen = await source.observe(one)
        #expect(seen.cause == .guest && seen.executed == started.executed)
        let sight = try await source.moveStatus(one).sight
        #expect(!sight.isAlive && sight.isSwitchedOff)
        #expect(MoveDecision(command: .send, attempt: 4, sight: sight).said == .off)
        #expect(await refusal { try await target.take(one, attempt: 4) } != nil, "it did not arrive whole: it waits, or is about to end")
        try await target.layDownVoid(one, attempt: 4)
        try await eventually("nothing is left of it there") { await target.observe(one).processID == nil }
        #expect(await target.observe(one).executed == nil, "there was no run")
        try await target.ensureAbsent(one)
        #expect(try await source.ensureRunning(try await machine(one)).state == .running, "it can be started again")
        try await source.ensureAbsent(one)
    }

    /// Only the host that is named may send.
    func checkStranger() async throws {
        let one = instance(1)
        let started = try await source.ensureRunning(try await machine(one))
        let endpoint = try await receive(one, attempt: 2)
        try await send(one, attempt: 2, to: endpoint, as: 3)
        try await reaches(.failed, source, one)
        #expect(await source.observe(one) == started)
        #expect(await target.observe(one).state == .stopped)
        try await target.layDownVoid(one, attempt: 2)
        try await target.ensureAbsent(one)
        try await source.ensureAbsent(one)
    }
}

@Suite struct SimulatedMoveTests {
    @Test(arguments: [1, 2] as [UInt64]) func aMachineMoves(seed: UInt64) async throws {
        try await SimulatedMoveWorld(seed: seed).checkMove()
    }
    @Test func theTargetDies() async throws { try await SimulatedMoveWorld(seed: 1).checkTargetDies() }
    @Test func aMoveIsCalledOff() async throws { try await SimulatedMoveWorld(seed: 1).checkCalledOff() }
    @Test func aGuestSwitchesItselfOff() async throws { try await SimulatedMoveWorld(seed: 1).checkSwitchedOff() }
}

@Suite(.serialized, .enabled(if: Lab.canBoot, needsGuest)) struct QEMUMoveTests {
    @Test(.timeLimit(.minutes(10))) func aMachineMoves() async throws {
        try await Lab.with { try await QEMUMoveWorld($0).checkMove() }
    }
    @Test(.timeLimit(.minutes(10))) func theTargetDies() async throws {
        try await Lab.with { try await QEMUMoveWorld($0).checkTargetDies() }
    }
    @Test(.timeLimit(.minutes(10))) func aMoveIsCalledOff() async throws {
        try await Lab.with { try await QEMUMoveWorld($0).checkCalledOff() }
    }
    @Test(.timeLimit(.minutes(10))) func aGuestSwitchesItselfOff() async throws {
        try await Lab.with { try await QEMUMoveWorld($0).checkSwitchedOff() }
    }
    @Test(.timeLimit(.minutes(10))) func aStrangerSendsNothing() async throws {
        try await Lab.with { try await QEMUMoveWorld($0).checkStranger() }
    }
}
