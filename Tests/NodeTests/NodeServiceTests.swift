import CloudAPI
import CloudClient
import Drivers
import Foundation
import Node
import Primitives
import ServiceKit
import Synchronization
import Testing

@Suite(.serialized) struct NodeServiceTests {
    private func with(
        _ world: SimulatedWorld, _ connect: FakeConnect, edit: (inout NodeConfiguration) -> Void = { _ in },
        _ body: (NodeService) async throws -> Void
    ) async throws {
        try await world.serve(connect, edit: edit, body)
    }

    @Test(.timeLimit(.minutes(4))) func aMachinesLife() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running && connect.seen(1)?.executed != nil }
                #expect(try await world.network.ports().map(\.instance) == [instance(1)])
                #expect(try await world.storage.disks().count == 1)

                connect.want(sampleIntent(1, generation: 2).with { $0.reboots = 1 })
                try await eventually("rebooted") { world.host.machines().first?.executed != nil && connect.seen(1)?.generation == 2 }

                connect.want(sampleIntent(1, generation: 3, desired: .stopped).with { $0.reboots = 1 })
                try await eventually("stopped") { connect.seen(1)?.state == .stopped && connect.seen(1)?.generation == 3 }
                connect.want(sampleIntent(1, generation: 4).with { $0.reboots = 1 })
                try await eventually("running again") { connect.seen(1)?.state == .running && connect.seen(1)?.generation == 4 }

                connect.want(sampleIntent(1, generation: 5, desired: .absent).with { $0.reboots = 1 })
                try await eventually("gone") { connect.seen(1)?.state == .absent }
                #expect(world.host.machines().isEmpty)
                #expect(try await world.network.ports().isEmpty)
                #expect(try await world.storage.disks().isEmpty)
                let meters = connect.state.withLock { $0.meters }
                #expect(meters.map(\.sequence) == Array(1...Int64(meters.count)) && meters.count == 2, "one reading for each run")
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func howBusyMachinesAreIsTold() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect, edit: { $0.loadSeconds = 1 }) { _ in
                connect.want(sampleIntent(1))
                connect.want(sampleIntent(2))
                try await eventually("running") { connect.seen(1)?.state == .running && connect.seen(2)?.state == .running }
                world.host.setLoad(0, of: instance(1))
                world.host.setLoad(3_000, of: instance(2))
                try await eventually("told") {
                    guard let last = connect.state.withLock({ $0.loads.last }), last.instances.count == 2 else { return false }
                    return last.instances[0] == InstanceLoad(instance: instance(1), milliCPU: 0)
                        && (2_700...3_300).contains(last.instances[1].milliCPU) && last.memoryMiB > 0
                }
                connect.want(sampleIntent(2, generation: 2, desired: .stopped))
                try await eventually("only what runs") {
                    connect.state.withLock { $0.loads.last?.instances.map(\.instance) } == [instance(1)]
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func noMachineRunsWithoutItsGPUs() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect, edit: { $0.hardwareRoot = "/nowhere" }) { _ in
                for (number, milli) in [(1, 1_000), (2, 500)] as [(UInt64, Int64)] {
                    connect.want(
                        sampleIntent(number).with { intent in
                            intent.gpus = [0]
                            intent.resources.milliGPU = milli
                        })
                }
                try await eventually("both refused") { connect.seen(1)?.state == .failed && connect.seen(2)?.state == .failed }
                #expect(connect.seen(1)?.reason?.message.contains("0 GPUs") == true)
                #expect(connect.seen(2)?.reason?.message.contains("500 thousandths") == true)
                #expect(world.host.machines().isEmpty)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func staleIntentsAreRefused() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                connect.want(sampleIntent(1, generation: 5))
                try await eventually("running") { connect.seen(1)?.state == .running }
                connect.want(sampleIntent(1, generation: 4, desired: .absent))
                connect.want(sampleIntent(2))
                try await eventually("the next one") { connect.seen(2)?.state == .running }
                #expect(world.isRunning(1) && connect.seen(1)?.generation == 5)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func aGuestThatSwitchesItselfOffStaysOffAndACrashedOneComesBack() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                for number in [1, 2] as [UInt64] { connect.want(sampleIntent(number)) }
                try await eventually("running") { connect.seen(1)?.state == .running && connect.seen(2)?.state == .running }
                world.host.crash(instance(2))
                world.host.switchOff(instance(1))
                try await eventually("told that it is off") { connect.seen(1)?.state == .stopped }
                #expect(!world.isRunning(1))
                connect.want(sampleIntent(1, generation: 2))
                try await eventually("started again because connect said so") { world.isRunning(1) }
                try await eventually("the crashed one is back") {
                    world.isRunning(2) && connect.seen(2)?.state == .running
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func anotherNodeProcessAdoptsAndMetersWithoutHoleOrDouble() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            let fast: (inout NodeConfiguration) -> Void = { $0.meterSeconds = 1 }
            var executed: Instant?
            try await with(world, connect, edit: fast) { _ in
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                executed = connect.seen(1)?.executed
                try await eventually("metered") { connect.state.withLock { $0.meters.count } >= 2 }
            }
            // Nobody watches for a while, and connect loses the answers to the next reports.
            try await Task.sleep(for: .seconds(2))
            connect.state.withLock { $0.lostAnswers = 2 }
            try await with(world, connect, edit: fast) { _ in
                try await eventually("metered on") { connect.state.withLock { $0.meters.count } >= 7 }
                #expect(connect.seen(1)?.executed == executed, "the same run")
                connect.want(sampleIntent(1, generation: 2, desired: .stopped))
                try await eventually("stopped") { connect.seen(1)?.state == .stopped }
                try await eventually("all metered") {
                    connect.state.withLock { $0.meters.last?.period.end } == world.host.machines().first?.ended
                }
            }
            let (meters, repeated) = connect.state.withLock { ($0.meters, $0.repeated) }
            #expect(meters.first?.period.start == executed)
            #expect(zip(meters, meters.dropFirst()).allSatisfy { $0.period.end == $1.period.start }, "no hole, no double")
            #expect(meters.map(\.sequence) == Array(1...Int64(meters.count)))
            #expect(repeated > 0, "the lost answers made it tell again")
        }
    }

    @Test(.timeLimit(.minutes(4))) func goesOnWithoutConnect() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect, edit: { $0.meterSeconds = 1 }) { _ in
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                connect.setAway(true)
                connect.want(sampleIntent(2))
                try await Task.sleep(for: .seconds(3))
                #expect(world.isRunning(1) && !world.isRunning(2))
                connect.setAway(false)
                try await eventually("followed again") { connect.seen(2)?.state == .running }
                try await eventually("the journal arrives") { connect.state.withLock { $0.meters.count } >= 3 }
            }
            let meters = connect.state.withLock { $0.meters.filter { $0.instance == instance(1) } }
            #expect(zip(meters, meters.dropFirst()).allSatisfy { $0.period.end == $1.period.start })
        }
    }

    /// A host that was fenced hears of its new epoch, and lets go of what runs elsewhere now: the disk is no longer its own.
    @Test(.timeLimit(.minutes(4))) func aFencedHostLetsGoAndKeepsTheDisk() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                connect.state.withLock { $0.epoch = 1 }
                connect.want(sampleIntent(1, desired: .absent).with { $0.keepsDisk = true })
                try await eventually("let go, and said under the new epoch") { connect.seen(1)?.state == .absent }
                #expect(world.host.machines().isEmpty)
                #expect(try await world.network.ports().isEmpty)
                #expect(try await world.storage.disks().count == 1)
                #expect(connect.state.withLock { $0.hellos } >= 2)
            }
        }
    }

    /// On shared storage what was here before a power cut may run elsewhere by now; on the host's own disks it cannot.
    @Test(.timeLimit(.minutes(4)), arguments: [true, false]) func afterAPowerCutOnlyOwnDisksNeedNoAnswer(_ shares: Bool) async throws {
        try await FakeConnect.run { connect in
            connect.state.withLock { $0.sharesStorage = shares }
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                connect.want(sampleIntent(1))
                connect.want(sampleIntent(2))
                try await eventually("running") { connect.seen(1)?.state == .running && connect.seen(2)?.state == .running }
            }
            connect.setAway(true)
            let later = try SimulatedWorld(after: world)
            try await with(later, connect) { _ in
                guard shares else { return try await eventually("both start") { later.isRunning(1) && later.isRunning(2) } }
                try await Task.sleep(for: .seconds(2))
                #expect(!later.isRunning(1) && !later.isRunning(2))
                connect.want(sampleIntent(1, desired: .absent).with { $0.keepsDisk = true })
                connect.setAway(false)
                try await eventually("what is still here starts") { later.isRunning(2) && connect.seen(1)?.state == .absent }
                #expect(!later.isRunning(1))
                #expect(try await later.storage.disks().count == 2)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func failuresAreToldAndTriedAgain() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            world.storage.setCapacity(MiB: 100)
            try await with(world, connect) { _ in
                connect.want(sampleIntent(1))
                try await eventually("told why") {
                    connect.seen(1)?.state == .failed && connect.seen(1)?.reason?.code == "Server.storage.full"
                }
                world.storage.setCapacity(MiB: 10_000)
                try await eventually("running once there is space") { connect.seen(1)?.state == .running }
                try await eventually("the reason is forgotten") { connect.seen(1)?.reason == nil }
                connect.want(sampleIntent(2, address: "10.1.1.1"))
                try await eventually("an address that cannot be") { connect.seen(2)?.reason?.code == "Server.network.address" }
                // A newer intent does not wait for the retry: it fails after 0, 1, 3 and 7 s, and would be tried again after 15.
                try await Task.sleep(for: .seconds(8))
                connect.want(sampleIntent(2, generation: 2, desired: .absent))
                try await eventually(within: .seconds(6), "gone") { connect.seen(2)?.state == .absent }
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func aShorterGraceOvertakesALongOne() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                connect.want(sampleIntent(1))
                try await eventually("running") { connect.seen(1)?.state == .running }
                world.host.deafen(instance(1))
                connect.want(sampleIntent(1, generation: 2, desired: .stopped).with { $0.graceSeconds = 600 })
                try await eventually("stopping") { connect.seen(1)?.state == .stopping }
                #expect(world.isRunning(1))
                connect.want(sampleIntent(1, generation: 3, desired: .stopped).with { $0.graceSeconds = 0 })
                try await eventually("stopped") { connect.seen(1)?.state == .stopped }
                #expect(world.host.machines().first?.cause == .forced)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func consolesArriveSeldomButWhole() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                connect.want(sampleIntent(1))
                try await eventually("a console") { connect.state.withLock { $0.consoles[instance(1)]?.contains("boots") } == true }
                for line in 0..<20_000 { world.host.write("line \(line)\n", onConsoleOf: instance(1)) }
                try await eventually("its end") { connect.state.withLock { $0.consoles[instance(1)]?.hasSuffix("line 19999\n") } == true }
                #expect(connect.state.withLock { $0.consoles[instance(1)]?.utf8.count } == 65_536)
            }
        }
    }

    @Test(.timeLimit(.minutes(4))) func whatConnectNoLongerListsIsLeftAlone() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect) { _ in
                for number in [1, 2] as [UInt64] { connect.want(sampleIntent(number)) }
                try await eventually("running") { connect.seen(1)?.state == .running && connect.seen(2)?.state == .running }
            }
            connect.drop(instance(1))
            let before = connect.state.withLock { $0.hellos }
            try await with(world, connect) { _ in
                try await eventually("hello") { connect.state.withLock { $0.hellos } > before }
                connect.want(sampleIntent(3))
                try await eventually("the next") { connect.seen(3)?.state == .running }
                #expect(world.isRunning(1) && world.isRunning(2))
            }
        }
    }

    @Test(.timeLimit(.minutes(4)), arguments: [11, 12, 13] as [UInt64]) func convergesWhateverFails(seed: UInt64) async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld(SimulatedBehaviour(seed: seed, failuresPerThousand: 150, delay: .zero ... .milliseconds(20)))
            var generator = SeededGenerator(seed: seed)
            var wanted: [UInt64: InstanceIntent] = [:]
            for _ in 0..<3 {
                let isFirst = wanted.isEmpty
                // Adoption may be what fails: the node is started again, as its supervisor would.
                try await retried {
                    try await with(world, connect) { _ in
                        for number in 1...6 as ClosedRange<UInt64> {
                            let desired = isFirst ? .running : DesiredState.allCases.randomElement(using: &generator) ?? .running
                            if wanted[number]?.desired == .absent { continue }
                            let next = sampleIntent(number, generation: (wanted[number]?.generation ?? 0) + 1, desired: desired)
                            wanted[number] = next
                            connect.want(next)
                        }
                        try await eventually(within: .seconds(180), "all as wanted") {
                            wanted.allSatisfy { number, intent in
                                let seen = connect.seen(number)
                                let state: ObservedState =
                                    intent.desired == .running ? .running : intent.desired == .stopped ? .stopped : .absent
                                return seen?.state == state && seen?.generation == intent.generation
                            }
                        }
                    }
                }
            }
            for (number, intent) in wanted { #expect(world.isRunning(number) == (intent.desired == .running)) }
            let meters = connect.state.withLock { $0.meters }
            #expect(meters.map(\.sequence) == Array(1...Int64(max(1, meters.count))).prefix(meters.count).map { $0 })
        }
    }

    private func retried(_ body: () async throws -> Void) async throws {
        for _ in 0..<10 {
            do { return try await body() } catch let refusal as Refusal where refusal.rule == "simulated.failure" { continue }
        }
        Issue.record("never came up")
    }

    @Test(.timeLimit(.minutes(4))) func healthMetadataAndStatusPage() async throws {
        try await FakeConnect.run { connect in
            let world = try SimulatedWorld()
            try await with(world, connect, edit: { $0.operatorToken = "bt_test" }) { node in
                let port = await node.port.value()
                try await eventually("ready") { try await fetch("http://127.0.0.1:\(port)/readyz").0 == 200 }
                connect.want(sampleIntent(1, address: "10.99.0.11"))
                try await eventually("running") { connect.seen(1)?.state == .running }
                let metadata = try #require(node.metadataPort)
                #expect(try await fetch("http://127.0.0.1:\(metadata)/latest/meta-data/instance-id").0 == 404, "this host is no guest")
                let page = try await fetch("http://127.0.0.1:\(port)/", headers: ["Authorization": "Bearer bt_test"])
                #expect(page.0 == 200 && page.1.contains("\(instance(1))"))
            }
        }
    }

    private func fetch(_ url: String, headers: [String: String] = [:]) async throws -> (Int, String) {
        let arguments = ["-s", "-o", "-", "-w", "\n%{http_code}", url] + headers.flatMap { ["-H", "\($0.key): \($0.value)"] }
        let output = try await CommandRunner(namespace: nil).require("curl", arguments)
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        return (Int(lines.last ?? "") ?? 0, lines.dropLast().joined(separator: "\n"))
    }
}
