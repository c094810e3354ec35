import CloudAPI
import Foundation
import Primitives
import Testing

/// Each program is killed at each step of a launch, by name, not by luck. The launch must end once: in one machine, or in a
/// clear failure with everything released.
///
/// Takes long and is asked for with `BOURSE_FAULT_TESTS=1`.
@Suite(
    .serialized,
    .enabled(
        if: LocalCloud.obstacle == nil && ProcessInfo.processInfo.environment["BOURSE_FAULT_TESTS"] == "1",
        Comment(rawValue: LocalCloud.obstacle ?? "asked for with BOURSE_FAULT_TESTS=1")))
struct FaultTests {
    static let points: [(program: String, point: String)] = FaultPoints.ofLaunch

    @Test(.timeLimit(.minutes(20)))
    func aLaunchEndsOnceWhereverAProgramDies() async throws {
        let cloud = try LocalCloud("fault")
        do {
            _ = try await cloud.up(["--no-machine"])
            for (program, point) in Self.points { try await launch(on: cloud, killing: program, at: point) }
        } catch {
            await cloud.tearDown()
            throw error
        }
        await cloud.tearDown()
    }

    private func launch(on cloud: LocalCloud, killing program: String, at point: String) async throws {
        let before = Set(try await cloud.instances().map(\.id))
        try await cloud.murder(program)
        _ = try await cloud.up(["--no-machine"], environment: ["BOURSE_FAULT": point])
        let armed = try await cloud.pid(program)
        // The answer may be lost with the program; what counts is what is there afterwards.
        _ = try await cloud.run([
            cloud.executable, "instance", "launch", "--image", "bourse-guest", "--type", "t2.nano", "--key", "demo", "--name", point,
        ])
        try await cloud.until("\(program) dies at \(point)", limit: .seconds(40)) { kill(armed, 0) != 0 || cloud.zombie(armed) }
        _ = try await cloud.up(["--no-machine"])
        let made = try await settled(cloud, before)
        #expect(made.count <= 1, "\(point) made \(made.count) machines")
        let running = made.filter { $0.state == .running }
        let (_, processes) = try await Shell.run(["pgrep", "-fc", "qemu-system.*\(cloud.home)"])
        #expect(Int(processes.trimmingCharacters(in: .whitespacesAndNewlines)) == running.count, "\(point): one process for each machine")
        for machine in running { try await cloud.bourse(["instance", "terminate", machine.id.description]) }
        try await cloud.until("all is released after \(point)") {
            try await cloud.json([HostView].self, ["host", "list"]).allSatisfy { $0.allocated == .zero }
        }
    }

    /// New machines, once none of them is under way any more.
    private func settled(_ cloud: LocalCloud, _ before: Set<InstanceID>) async throws -> [ManagedInstanceView] {
        var made: [ManagedInstanceView] = []
        try await cloud.until("the launch has ended", limit: .seconds(150)) {
            made = try await cloud.instances().filter { !before.contains($0.id) }
            return made.allSatisfy { $0.state == .running || $0.state == .terminated }
        }
        return made
    }
}
