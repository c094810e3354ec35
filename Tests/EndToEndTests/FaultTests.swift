import CloudAPI
import Foundation
import Primitives
import Testing

/// Each program is killed at each step of a launch, by name, not by luck. The launch ends once: in one machine, or in a clear
/// failure with everything released.
@Suite(.serialized, .enabled(if: LocalCloud.obstacle == nil, Comment(rawValue: LocalCloud.obstacle ?? "")))
struct FaultTests {
    /// Machines of one whole lot: as long as all of them are kept, each launch has to buy. More of them than the host has memory
    /// for; none gets to use it.
    private static let wholeLot = "m3.medium"
    private static let part = "t2.nano"

    @Test(.timeLimit(.minutes(20)))
    func aLaunchEndsOnceWhereverAProgramDies() async throws {
        try await LocalCloud.with("fault") { cloud in
            _ = try await cloud.up(["--no-machine", "--memory-oversubscription", "6000", "--disk-oversubscription", "50000"])
            var launches = 0
            for fault in LaunchFault.all { launches += try await launch(on: cloud, fault) }
            try await nothingWasBoughtTwice(cloud, launches)
            try await everythingIsReleased(cloud)
        }
    }

    /// Returns how many launches it took until the program died: one that recovered from an earlier death may have left a lot.
    private func launch(on cloud: LocalCloud, _ fault: LaunchFault) async throws -> Int {
        let before = Set(try await cloud.instances().map(\.id))
        try await cloud.murder(fault.program)
        _ = try await cloud.up(["--no-machine"], environment: ["BOURSE_FAULT": fault.point])
        let armed = try await cloud.pid(fault.program)
        var (launches, said) = (0, "")
        while !cloud.isGone(armed) {
            guard launches < 6 else { throw CommandError(text: "\(launches) launches did not pass \(fault.point): \(said)") }
            launches += 1
            // The answer may be lost with the program; what counts is what is there afterwards.
            said = try await cloud.run([
                cloud.executable, "instance", "launch", "--image", "bourse-guest", "--type",
                fault.needsPurchase ? Self.wholeLot : Self.part,
                "--name", fault.point,
            ]).output
            try? await cloud.until("\(fault.program) dies at \(fault.point)", limit: .seconds(8)) { cloud.isGone(armed) }
        }
        _ = try await cloud.up(["--no-machine"])
        let made = try await settled(cloud, before, fault)
        #expect(made.count <= launches, "\(fault.point): \(launches) launches made \(made.count) machines")
        let running = made.filter { $0.state == .running }
        #expect(try await processes(cloud) == running.count, "\(fault.point): one process for each machine")
        for machine in running { try await putAside(machine, fault, cloud) }
        return launches
    }

    /// New machines, once none of them is under way any more.
    private func settled(_ cloud: LocalCloud, _ before: Set<InstanceID>, _ fault: LaunchFault) async throws -> [ManagedInstanceView] {
        var made: [ManagedInstanceView] = []
        try await cloud.until("the launch cut off at \(fault.point) has ended", limit: .seconds(90)) {
            made = try await cloud.instances().filter { !before.contains($0.id) }
            return made.allSatisfy { $0.state == .running || $0.state == .terminated }
        }
        return made
    }

    private func processes(_ cloud: LocalCloud) async throws -> Int? {
        let (_, count) = try await Shell.run(["pgrep", "-fc", "qemu-system.*\(cloud.home)"])
        return Int(count.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// A stopped machine keeps its share of a contract, so that the next launch has to buy.
    private func putAside(_ machine: ManagedInstanceView, _ fault: LaunchFault, _ cloud: LocalCloud) async throws {
        let id = machine.id.description
        try await cloud.bourse(fault.needsPurchase ? ["instance", "stop", "--force", id] : ["instance", "terminate", id])
        let end: InstanceState = fault.needsPurchase ? .stopped : .terminated
        try await cloud.until("\(id) is \(end)") { try await cloud.instance(machine.id).state == end }
    }

    private func nothingWasBoughtTwice(_ cloud: LocalCloud, _ launches: Int) async throws {
        let bought = try await cloud.json([ContractView].self, ["contract", "list"]).reduce(0) { $0 + $1.lots }
        let needed = LaunchFault.all.count(where: \.needsPurchase)
        #expect(bought >= needed && bought <= launches, "\(bought) lots for \(launches) launches")
    }

    private func everythingIsReleased(_ cloud: LocalCloud) async throws {
        for machine in try await cloud.instances() where machine.state != .terminated {
            try await cloud.bourse(["instance", "terminate", machine.id.description])
        }
        try await cloud.until("nothing is allocated") {
            try await cloud.json([HostView].self, ["host", "list"]).allSatisfy { $0.allocated == .zero && $0.instances == 0 }
        }
        #expect(try await processes(cloud) == 0)
    }
}
