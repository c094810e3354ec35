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

    /// - Parameters:
    ///   - isSeparate: connect is a process of its own.
    ///   - targetFolder: where the second node keeps its data.
    static func with(
        bandwidthMiB: Int64, isSeparate: Bool = false, targetFolder: String? = nil, _ body: @escaping (GuestPod) async throws -> Void
    ) async throws {
        let port = 20_000 + Int(getpid()) % 4_000 * 2 + Int.random(in: 0..<500) * 2
        let adjust: (inout ConnectConfiguration) -> Void = { configuration in
            configuration.peerPort = port
            if isSeparate { configuration.publicPort = port + 1 }
            configuration.moveBandwidthMiB = bandwidthMiB
        }
        let run: (ConnectFixture) async throws -> Void = { connect in
            let contract = connect.exchange.sell(1, lots: 2, of: connect.exchange.define(31) { $0.storage = .nas })
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            try await connect.setStorage(.nas)
            let data = [connect.town.directory.file("node-0"), targetFolder ?? connect.town.directory.file("node-1")]
            try await withNamespaces { try await serve(connect, buyer, $0, data, body) }
            if connect.program == nil { #expect(try await connect.service.violations() == []) }
        }
        try await withTestDatabase(.sqlite) { database in
            if isSeparate {
                try await ConnectFixture.separate(url: database.url, adjust, run)
            } else {
                try await ConnectFixture.with(url: database.url, adjust, run)
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
        _ connect: ConnectFixture, _ buyer: Credential, _ namespaces: [String], _ folders: [String],
        _ body: @escaping (GuestPod) async throws -> Void
    ) async throws {
        let image = try await connect.manage(ConnectAPI.importImage, body: ImportImage(folder: imageFolder)).id
        let shared = connect.town.directory.file("nas")
        var running: [Running] = []
        let result: Result<Void, any Error>
        do {
            for (number, namespace) in namespaces.enumerated() {
                let folder = folders[number]
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
                try await eventually("node \(number) has joined") {
                    try await connect.manage(ConnectAPI.listHosts, body: Empty()).items.filter { $0.state == "up" }.count == number + 1
                }
                if number == 0 { try await launch(connect, buyer, image) }
            }
            let hosts = try await connect.manage(ConnectAPI.listHosts, body: Empty()).items.sorted { $0.name < $1.name }.map(\.id)
            try await body(GuestPod(connect: connect, buyer: buyer, hosts: hosts, folders: folders, namespaces: namespaces))
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

    /// Drains until one move has begun, and no longer: what is on its way goes on, and nothing more begins.
    func moveOnce() async throws {
        let before = try? await move().began
        _ = try await drain()
        try await eventually("a move has begun") { (try? await move()).map { $0.began != before } ?? false }
        _ = try await connect.manage(ConnectAPI.actOnHost, path: ["host": hosts[0].description], body: ActOnHost(action: .uncordon))
    }

    /// Returns how far the guest had counted by then.
    func copied(beyond mebibytes: Int64) async throws -> Int {
        try await eventually("memory is on its way", within: .seconds(120)) {
            guard let move = try? await move() else { return false }
            return move.phase == "copying" && move.doneMiB ?? 0 >= mebibytes
        }
        return try #require(counts(0).last)
    }

    /// The move is over, one way or the other: the guest goes on from `last` on one host and nothing is left of it on the other.
    /// Returns how it ended.
    @discardableResult func comesToRest(after last: Int) async throws -> MoveView {
        try await eventually("the move is over", within: .seconds(150)) { (try? await move().ended) != nil }
        let over = try await move()
        let place = over.phase == "arrived" ? 1 : 0
        #expect(["arrived", "stayed"].contains(over.phase), "\(over.phase): \(over.why ?? "")")
        try await counted(place, beyond: last + 10)
        for host in 0...1 {
            #expect(zip(counts(host), counts(host).dropFirst()).allSatisfy { $0 < $1 }, "it never began again")
        }
        if place == 1 { #expect(counts(1).first.map { $0 > last } == true, "it went on where it was") }
        try await eventually("nothing is left of it on the other host", within: .seconds(60)) { processes(1 - place).isEmpty }
        #expect(processes(place).count == 1)
        let view = try await instance()
        #expect(view.state == .running && view.host == hosts[place])
        return over
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

    /// Connect is killed in the middle. The hosts do what they were told, and connect learns of it when it is back; nobody waits for it.
    @Test(.timeLimit(.minutes(8)), .enabled(if: BuiltExecutable.isThere), arguments: [true, false])
    func aMoveComesToAnEndThoughConnectIsKilled(isBackAtOnce: Bool) async throws {
        try await GuestPod.with(bandwidthMiB: 8, isSeparate: true) { pod in
            let program = try #require(pod.connect.program)
            try await pod.counted(0, beyond: 5)
            try await pod.moveOnce()
            let last = try await pod.copied(beyond: 2)
            try await program.kill()
            if !isBackAtOnce { try await pod.counted(1, beyond: last + 10) }
            try await program.start()
            let move = try await pod.comesToRest(after: last)
            if !isBackAtOnce { #expect(move.phase == "arrived") }
        }
    }

    /// A host whose disk is full takes nothing and says so; the guest has noticed nothing, and goes there once there is space.
    @Test(.timeLimit(.minutes(8)), .enabled(if: SmallDisk.isAvailable)) func aHostWithoutSpaceTakesNothing() async throws {
        try await withSmallDisk(mebibytes: 24) { disk in
            try await GuestPod.with(bandwidthMiB: 1_024, targetFolder: disk.path) { pod in
                try await pod.counted(0, beyond: 5)
                let process = pod.processes(0)
                try disk.fill()
                try await pod.moveOnce()
                let last = try #require(pod.counts(0).last)
                let move = try await pod.comesToRest(after: last)
                let why = move.why ?? ""
                // Its records may be what finds no space first, or the machine's own files.
                #expect(move.phase == "stayed" && (why.contains("is full") || why.contains("no space")), "\(why)")
                #expect(pod.processes(0) == process && !process.isEmpty)
                try disk.removeBallast()
                try await pod.moveOnce()
                try await eventually("it goes there", within: .seconds(120)) { try await pod.move().phase == "arrived" }
                try await pod.comesToRest(after: try #require(pod.counts(0).last))
            }
        }
    }

    /// The target's disk is full before everything has arrived: what is to be laid down then has its space already.
    @Test(.timeLimit(.minutes(8)), .enabled(if: SmallDisk.isAvailable)) func aDiskThatFillsOnTheWayHoldsNobodyUp() async throws {
        try await withSmallDisk(mebibytes: 24) { disk in
            try await GuestPod.with(bandwidthMiB: 8, targetFolder: disk.path) { pod in
                try await pod.counted(0, beyond: 5)
                try await pod.moveOnce()
                let last = try await pod.copied(beyond: 2)
                try disk.fill()
                try await eventually("it runs there", within: .seconds(120)) { try await pod.move().phase == "arrived" }
                try disk.removeBallast()
                try await pod.comesToRest(after: last)
            }
        }
    }
}
