import CloudAPI
import Connect
import Drivers
import Foundation
import Glibc
import Node
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Connect, two nodes with a folder in common, and a guest that counts in its memory.
private struct GuestPod: Sendable {
    let connect: ConnectFixture
    let buyer: Credential
    let hosts: [HostID]
    let folders: [String]
    let namespaces: [String]
    static let id = InstanceID(bits: 0x11fe)
    static let volume = VolumeID(bits: 0x11fe)

    private static let imageFolder: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        return ProcessInfo.processInfo.environment["BOURSE_GUEST_IMAGE"] ?? root + "/.bourse/images/bourse-guest"
    }()

    static let isAvailable: Bool = {
        let programs = ["qemu-system-x86_64", "qemu-img", "ip", "nft", "dnsmasq", "nsenter"]
        let isInstalled = programs.allSatisfy { (try? CommandRunner.locate($0)) != nil }
        return geteuid() == 0 && isInstalled && FileManager.default.fileExists(atPath: imageFolder + "/manifest.json")
    }()

    static func with(bandwidthMiB: Int64, _ body: @escaping (GuestPod) async throws -> Void) async throws {
        let port = 20_000 + Int(getpid()) % 9_000 + Int.random(in: 0..<1_000)
        let adjust: (inout ConnectConfiguration) -> Void = { configuration in
            configuration.peerPort = port
            configuration.moveBandwidthMiB = bandwidthMiB
        }
        try await withTestDatabase(.sqlite) { database in
            try await ConnectFixture.with(url: database.url, adjust) { connect in
                let contract = connect.exchange.sell(1, lots: 2, of: connect.exchange.define(31) { $0.storage = .nas })
                let buyer = try connect.certificate(contract).credential
                try await connect.know(contract, buyer)
                try await connect.setStorage(.nas)
                try await withNamespaces { try await serve(connect, buyer, $0, body) }
            }
        }
    }

    /// Two namespaces for guests and hypervisors, with a wire between them.
    private static func withNamespaces(_ body: ([String]) async throws -> Void) async throws {
        let stem = "lm\(getpid())x\(UInt16.random(in: 0...UInt16.max))"
        let names = [stem + "a", stem + "b"]
        let result: Result<Void, any Error>
        do {
            for name in names { try await shell("ip netns add \(name) && ip -n \(name) link set lo up") }
            try await shell("ip link add w0 netns \(names[0]) type veth peer name w0 netns \(names[1])")
            for (number, name) in names.enumerated() {
                try await shell("ip -n \(name) addr add 10.98.0.\(number + 1)/24 dev w0 && ip -n \(name) link set w0 up")
            }
            try await body(names)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        for name in names {
            _ = try? await shell("ip netns pids \(name) | xargs -r kill -9; ip netns delete \(name); rm -rf /run/bourse/\(name)-*")
        }
        try result.get()
    }

    private static func serve(
        _ connect: ConnectFixture, _ buyer: Credential, _ namespaces: [String], _ body: @escaping (GuestPod) async throws -> Void
    ) async throws {
        let image = try await connect.manage(ConnectAPI.importImage, body: ImportImage(folder: imageFolder)).id
        let shared = connect.town.directory.file("nas")
        var folders: [String] = []
        var running: [Running] = []
        let result: Result<Void, any Error>
        do {
            for (number, namespace) in namespaces.enumerated() {
                let folder = connect.town.directory.file("node-\(number)")
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                var configuration = NodeConfiguration(
                    dataDirectory: folder, databaseURL: "sqlite:\(folder)/node.db", connectURL: connect.publicURL)
                configuration.enrolmentToken = try await connect.manage(
                    ConnectAPI.createNodeEnrolment, body: CreateNodeEnrolment()
                ).token
                configuration.hostName = "node-\(number)"
                (configuration.port, configuration.namespace) = (0, namespace)
                configuration.capacity = Resources(milliCPU: 4_000, memoryMiB: 8_192, diskMiB: 100_000, iops: 10_000)
                (configuration.storageDirectory, configuration.volumeDirectory) = (shared + "/disks", shared + "/volumes")
                configuration.moveAddress = "10.98.0.\(number + 1)"
                configuration.reservedDiskMiB = 1
                running.append(Running(try await NodeService(configuration, logger: connect.town.logger).services, connect.town))
                folders.append(folder)
                try await eventually("node \(number) has joined") {
                    try await connect.manage(ConnectAPI.listHosts, body: Empty()).items.filter { $0.state == "up" }.count == number + 1
                }
                if number == 0 { try await launch(connect, buyer, image) }
            }
            let hosts = try await connect.manage(ConnectAPI.listHosts, body: Empty()).items.sorted { $0.name < $1.name }.map(\.id)
            try await body(GuestPod(connect: connect, buyer: buyer, hosts: hosts, folders: folders, namespaces: namespaces))
            #expect(try await connect.service.violations() == [])
            result = .success(())
        } catch {
            result = .failure(error)
        }
        for node in running { await node.stop() }
        try result.get()
    }

    /// The guest counts in a shell's memory, and names the volume that it has.
    private static func launch(_ connect: ConnectFixture, _ buyer: Credential, _ image: ImageID) async throws {
        let script = """
            #!/bin/sh
            (i=0; while :; do i=$((i+1)); echo "count=$i has=$(cat /sys/block/vdb/serial 2>/dev/null)" >/dev/ttyS0; sleep 0.2; done) </dev/null >/dev/null 2>&1 &
            exit 0
            """
        var request = TestHost.instance(
            id.bits, image, resources: Resources(milliCPU: 1_000, memoryMiB: 256, diskMiB: 1_024))
        request.userData = Data(script.utf8).base64EncodedString()
        _ = try await connect.call(ConnectAPI.createInstance, as: buyer, body: request)
    }

    @discardableResult private static func shell(_ script: String) async throws -> String {
        try await CommandRunner(namespace: nil).require("sh", ["-c", script], deadline: .seconds(30))
    }

    // MARK: Looking

    func instance() async throws -> InstanceView {
        try await connect.call(ConnectAPI.showInstance, as: buyer, path: ["instance": Self.id.description], body: Empty())
    }
    func move() async throws -> MoveView {
        try await connect.manage(ConnectAPI.showMove, path: ["instance": Self.id.description], body: Empty())
    }
    func volume() async throws -> VolumeView {
        try await connect.call(ConnectAPI.showVolume, as: buyer, path: ["volume": Self.volume.description], body: Empty())
    }

    /// What the guest wrote to the serial console that a host has of it.
    func console(_ host: Int) -> String {
        let data = FileManager.default.contents(atPath: "\(folders[host])/machines/\(Self.id)/console.log") ?? Data()
        return String(decoding: data, as: UTF8.self)
    }
    /// What it counted there, in whole lines.
    func counts(_ host: Int) -> [Int] {
        console(host).split(whereSeparator: \.isNewline).compactMap { line in
            line.hasPrefix("count=") && line.contains(" has=") ? Int(line.dropFirst(6).prefix { $0.isNumber }) : nil
        }
    }
    func processes(_ host: Int) -> [Int32] {
        let file = "\(folders[host])/machines/\(Self.id)/qemu.pid"
        let text = FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), kill(pid, 0) == 0 else { return [] }
        return [pid]
    }

    func counted(_ host: Int, beyond number: Int) async throws {
        try await eventually("the guest counts on beyond \(number)", within: .seconds(150)) { (counts(host).last ?? 0) > number }
    }

    func drain() async throws -> HostDetail {
        try await connect.manage(ConnectAPI.drainHost, path: ["host": hosts[0].description], body: DrainHost(reason: "a fan"))
    }
}

@Suite(.serialized, .enabled(if: GuestPod.isAvailable, "needs root, QEMU, ip, nft, dnsmasq and the guest image"))
struct LiveMoveWithGuestsTests {
    /// A drain that may not restart anything moves a guest that counts, with its volume; it counts on, and nothing is left behind.
    @Test(.timeLimit(.minutes(8))) func aDrainMovesAGuestThatRuns() async throws {
        try await GuestPod.with(bandwidthMiB: 1_024) { pod in
            try await pod.counted(0, beyond: 5)
            _ = try await pod.connect.call(
                ConnectAPI.createVolume, as: pod.buyer,
                body: CreateVolume(id: GuestPod.volume, sizeMiB: 64, instance: GuestPod.id, account: AccountID(bits: 1)))
            try await eventually("the volume is there") { try await pod.volume().state == .available }
            var attach = ActOnVolume(action: .attach)
            attach.instance = GuestPod.id
            _ = try await pod.connect.call(
                ConnectAPI.actOnVolume, as: pod.buyer, path: ["volume": GuestPod.volume.description], body: attach)
            let serial = "has=" + GuestPod.volume.description.filter { $0 != "-" }
            try await eventually("the guest has its volume") { pod.console(0).contains(serial) }

            let before = try await pod.instance()
            let last = try #require(pod.counts(0).last)
            _ = try await pod.drain()
            try await eventually("it has moved", within: .seconds(120)) { (try? await pod.move().phase) == "arrived" }
            let move = try await pod.move()
            #expect(move.mode == .live && move.why == nil && move.targetName == "node-1")
            try await pod.counted(1, beyond: last + 10)
            let counts = pod.counts(1)
            #expect(counts.first.map { $0 > last } == true, "it went on where it was: \(last), then \(counts.first ?? 0)")
            #expect(zip(counts, counts.dropFirst()).allSatisfy { $0 < $1 }, "it never began again")
            #expect(!pod.console(1).contains("Linux version"), "it did not boot")
            #expect(pod.console(1).contains(serial), "with its volume")
            let after = try await pod.instance()
            #expect(after.state == .running && after.host == pod.hosts[1] && after.privateAddress == before.privateAddress)

            try await eventually("the drain is over") { try await pod.drain().life?.drain?.done == true }
            try await eventually("nothing is left on the former host") {
                !FileManager.default.fileExists(atPath: "\(pod.folders[0])/machines/\(GuestPod.id)")
            }
            try await eventually("the volume is served there") {
                let volume = try await pod.volume()
                return volume.state == .inUse && volume.host == pod.hosts[1]
            }
        }
    }

    /// The hypervisor that receives it is killed in the middle: the guest has noticed nothing.
    @Test(.timeLimit(.minutes(8))) func aGuestWhoseTargetIsKilledRunsOn() async throws {
        try await GuestPod.with(bandwidthMiB: 1) { pod in
            try await pod.counted(0, beyond: 5)
            let process = pod.processes(0)
            _ = try await pod.drain()
            try await eventually("memory is on its way", within: .seconds(120)) {
                guard let move = try? await pod.move() else { return false }
                return move.phase == "copying" && move.doneMiB ?? 0 >= 2
            }
            // Once is enough for this test: what is on its way goes on, and nothing more begins.
            _ = try await pod.connect.manage(
                ConnectAPI.actOnHost, path: ["host": pod.hosts[0].description], body: ActOnHost(action: .uncordon))
            let last = try #require(pod.counts(0).last)
            kill(try #require(pod.processes(1).first), SIGKILL)
            try await eventually("it is given up", within: .seconds(60)) { try await pod.move().phase == "stayed" }
            #expect(try await pod.move().why != nil)
            try await pod.counted(0, beyond: last + 10)
            let counts = pod.counts(0)
            #expect(zip(counts, counts.dropFirst()).allSatisfy { $0 < $1 }, "it never began again")
            #expect(pod.processes(0) == process && !process.isEmpty)
            try await eventually("nothing is left of the attempt", within: .seconds(60)) {
                let isMoving = try await pod.move().ended == nil
                return !isMoving && pod.processes(1).isEmpty
            }
            let view = try await pod.instance()
            #expect(view.state == .running && view.host == pod.hosts[0])
        }
    }
}
