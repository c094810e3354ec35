import CloudAPI
import Foundation
import Primitives
import TestSupport
import Testing

/// Each program in turn runs out of disk: it refuses what it cannot write, keeps guests running, and goes on when there is space.
@Suite(.serialized, .enabled(if: LocalCloud.obstacle == nil, Comment(rawValue: LocalCloud.obstacle ?? "")))
struct DiskFullTests {
    @Test(.timeLimit(.minutes(10)))
    func fullDisksAreRefusedAndRecoveredFrom() async throws {
        try await LocalCloud.with("full") { cloud in
            let disks = try SmallDisks(cloud)
            let result: Result<Void, any Error>
            do { result = .success(try await story(cloud, disks)) } catch { result = .failure(error) }
            _ = try await cloud.run([cloud.executable, "down"], limit: 90)
            disks.remove()
            try result.get()
        }
    }

    private func story(_ cloud: LocalCloud, _ disks: SmallDisks) async throws {
        _ = try await cloud.up()
        let machine = try #require(try await cloud.instances().first)
        let address = try #require(machine.address)
        let boot = try await cloud.ssh(address, "cat /proc/sys/kernel/random/boot_id").output
        let variables = try await cloud.variables()
        let writes: [(program: String, path: String, body: (Int) -> String)] = [
            ("EXCHANGE", "/v1/participants", { "{\"name\":\"Filler \($0)\",\"roles\":[\"buyer\"],\"currency\":\"EUR\"}" }),
            ("MANAGE", "/v1/accounts", { "{\"name\":\"Filler \($0)\",\"currency\":\"EUR\",\"priceCap\":1}" }),
            ("CONNECT", "/v1/node-enrolments", { _ in "{}" }),
        ]
        for write in writes {
            let program = write.program.lowercased()
            // The environment is a user's; who runs manage has a token beside.
            let name = write.program == "MANAGE" ? "MANAGE_OPERATOR" : write.program
            let operatorToken = variables["BOURSE_\(name)_TOKEN"] ?? ""
            let post = [
                "-X", "POST", "-H", "Content-Type: application/json", "-H",
                "Authorization: Bearer \(operatorToken)",
                (variables["BOURSE_\(write.program)_URL"] ?? "") + write.path,
            ]
            try await refusesAndRecovers(cloud, disks, program, address) { try await cloud.curl(post + ["-d", write.body($0)]) }
        }
        try await aLaunchWaitsForTheNodesDisk(cloud, disks, address)
        for program in ["exchange", "connect", "node", "manage"] { try await startsWithoutSpace(cloud, disks, program, address) }
        #expect(try await cloud.ssh(address, "cat /proc/sys/kernel/random/boot_id").output == boot, "it is the same boot")
    }

    /// `write` is refused at the latest when the log has been written full once; reading goes on.
    private func refusesAndRecovers(
        _ cloud: LocalCloud, _ disks: SmallDisks, _ program: String, _ address: String,
        _ write: (Int) async throws -> (status: Int, body: String)
    ) async throws {
        let pid = try await cloud.pid(program)
        try disks.fill(program)
        var attempt = 0
        try await cloud.until("\(program) refuses to write") {
            attempt += 1
            let (status, body) = try await write(attempt)
            guard status != 201 else { return false }
            #expect(status == 503 && body.contains("store.full"), "\(program): \(status) \(body)")
            return true
        }
        #expect(try await cloud.pid(program) == pid, "\(program) goes on")
        #expect(try await cloud.instances().count == 1, "reading goes on")
        #expect(try await cloud.ssh(address, "true").status == 0, "the guest answers while \(program) has no disk")
        disks.free(program)
        try await cloud.until("\(program) writes again") { try await write(attempt).status == 201 }
        #expect(try await cloud.pid(program) == pid, "\(program) needed no restart")
    }

    /// The worst moment to be killed: it has to start without space, serves what it can, and does all its work once there is some.
    private func startsWithoutSpace(_ cloud: LocalCloud, _ disks: SmallDisks, _ program: String, _ address: String) async throws {
        try await cloud.murder(program)
        try disks.fill(program)
        async let up = cloud.up(["--no-machine"])
        try await cloud.until("\(program) starts") { (try? await cloud.pid(program)) != nil }
        let started = try await cloud.pid(program)
        try await Task.sleep(for: .seconds(3))
        #expect(try await cloud.pid(program) == started, "\(program) does not end for want of space")
        #expect(try await cloud.ssh(address, "true").status == 0, "the guest answers while \(program) starts without a disk")
        disks.free(program)
        _ = try await up
        #expect(try await cloud.pid(program) == started, "\(program) needed no other start")
    }

    private func aLaunchWaitsForTheNodesDisk(_ cloud: LocalCloud, _ disks: SmallDisks, _ address: String) async throws {
        let pid = try await cloud.pid("node")
        try disks.fill("node")
        try await cloud.bourse(["instance", "launch", "--image", "bourse-guest", "--type", "t2.nano", "--name", "waits"])
        let log = "\(cloud.home)/run/node.log"
        func lines() -> Int { (FileManager.default.contents(atPath: log) ?? Data()).count { $0 == UInt8(ascii: "\n") } }
        let before = lines()
        try await Task.sleep(for: .seconds(10))
        #expect(lines() - before < 100, "a node without disk does not try again without pause")
        let waiting = try #require(try await cloud.instances().first { $0.name == "waits" })
        #expect(waiting.state == .pending)
        #expect(try await cloud.ssh(address, "true").status == 0, "the guest answers while its node has no disk")
        disks.free("node")
        try await cloud.until("the launch goes on") { try await cloud.instance(waiting.id).state == .running }
        #expect(try await cloud.pid("node") == pid, "the node needed no restart")
    }
}

/// File systems of a few MiB under what the programs write; images and guests' disks stay where there is room.
private struct SmallDisks {
    private let home: String
    private static let aside = ["connect": ["images"], "node": ["images", "storage", "machines"]]

    init(_ cloud: LocalCloud) throws {
        home = cloud.home
        for program in ["exchange", "connect", "node", "manage"] {
            let folder = "\(home)/\(program)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            _ = try runCommandBlocking(["mount", "-t", "tmpfs", "-o", "size=24m", "bourse-test", folder])
            for name in Self.aside[program] ?? [] {
                for path in ["\(home)/room/\(program)/\(name)", "\(folder)/\(name)"] {
                    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                }
                _ = try runCommandBlocking(["mount", "--bind", "\(home)/room/\(program)/\(name)", "\(folder)/\(name)"])
            }
        }
    }

    private func ballast(_ program: String) -> String { "\(home)/\(program)/ballast" }

    func fill(_ program: String) throws {
        // It ends with an error: that is the point.
        _ = try? runCommandBlocking(["dd", "if=/dev/zero", "of=\(ballast(program))", "bs=4096"])
    }

    func free(_ program: String) { try? FileManager.default.removeItem(atPath: ballast(program)) }

    func remove() {
        for program in ["exchange", "connect", "node", "manage"] {
            _ = try? runCommandBlocking(["umount", "--recursive", "\(home)/\(program)"])
        }
    }
}
