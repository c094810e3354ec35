import CloudAPI
import Drivers
import Foundation
import Node
import Primitives
import Synchronization
import Testing

/// What a node needs to run real guests, in a network namespace of the test's own.
enum RealHost {
    private static let folder: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        return ProcessInfo.processInfo.environment["BOURSE_GUEST_IMAGE"] ?? root + "/.bourse/images/bourse-guest"
    }()

    static let isAvailable: Bool = {
        let programs = ["qemu-system-x86_64", "qemu-img", "ip", "nft", "dnsmasq", "nsenter"]
        let isInstalled = programs.allSatisfy { (try? CommandRunner.locate($0)) != nil }
        return geteuid() == 0 && isInstalled && FileManager.default.fileExists(atPath: folder + "/manifest.json")
    }()

    private struct Manifest: Decodable {
        var commandLine: String
        var minimumMemoryMiB: Int64
        var virtualSizeMiB: Int64
        var sha256: [String: String]
    }

    /// The guest image, which the connect then serves.
    static func image(servedBy connect: FakeConnect) throws -> ImageManifest {
        let manifest = try JSONDecoder().decode(Manifest.self, from: Data(contentsOf: URL(filePath: folder + "/manifest.json")))
        var files: [ImageFile] = []
        let parts: [(ImageFile.Part, String)] = [(.kernel, "vmlinuz"), (.initrd, "initrd.gz"), (.disk, "disk.qcow2")]
        for (part, name) in parts {
            let sha256 = try #require(manifest.sha256[name])
            let path = folder + "/" + name
            let content = try #require(FileManager.default.contents(atPath: path))
            files.append(ImageFile(part: part, sha256: sha256, bytes: Int64(content.count)))
            connect.state.withLock { $0.files[sha256] = path }
        }
        return ImageManifest(
            id: ImageID(bits: 9), name: "bourse-guest", files: files, commandLine: manifest.commandLine,
            minimumMemoryMiB: manifest.minimumMemoryMiB, virtualSizeMiB: manifest.virtualSizeMiB)
    }

    /// Makes a namespace and takes it away with all that lives in it.
    static func withNamespace(_ body: (String) async throws -> Void) async throws {
        let name = "nt\(getpid())x\(UInt16.random(in: 0...UInt16.max))"
        try await shell("ip netns add \(name) && ip -n \(name) link set lo up")
        let result: Result<Void, any Error>
        do {
            try await body(name)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        _ = try? await shell(
            """
            for space in $(ls /run/netns | grep '^\(name)'); do ip netns pids $space | xargs -r kill -9; ip netns delete $space; done
            rm -rf /run/bourse/\(name)-*
            """)
        try result.get()
    }

    static func shell(_ script: String) async throws {
        _ = try await CommandRunner(namespace: nil).require("sh", ["-c", script], deadline: .seconds(30))
    }
}

@Suite(.serialized, .enabled(if: RealHost.isAvailable, "needs root, QEMU, ip, nft, dnsmasq and the guest image")) struct RealHostTests {
    private func with(
        _ connect: FakeConnect, _ namespace: String, edit: (inout NodeConfiguration) -> Void = { _ in },
        _ body: (NodeService) async throws -> Void
    ) async throws {
        var configuration = await connect.configuration()
        configuration.namespace = namespace
        configuration.metadataHost = nil
        configuration.metadataPort = 7_431
        configuration.meterSeconds = 1
        edit(&configuration)
        let node = try await NodeService(configuration, logger: FakeConnect.logger)
        try await running(node.services) { try await body(node) }
    }

    @Test(.timeLimit(.minutes(10))) func aGuestGetsReadyOutlivesItsNodeAndStopsWhenAsked() async throws {
        try await FakeConnect.run { connect in
            try await RealHost.withNamespace { namespace in
                let image = try RealHost.image(servedBy: connect)
                try await with(connect, namespace) { _ in
                    connect.want(sampleIntent(1, image: image))
                    try await eventually(within: .seconds(240), "the guest is ready and ran its user data") {
                        let console = connect.state.withLock { $0.consoles[instance(1)] } ?? ""
                        return console.contains("ready instance=\(instance(1))") && console.contains("user-data exit=0")
                    }
                }
                let executed = try #require(connect.seen(1)?.executed)
                // Nobody is there for a while; then another node finds the same run.
                try await Task.sleep(for: .seconds(2))
                try await with(connect, namespace) { _ in
                    connect.want(sampleIntent(1, generation: 2, image: image).with { $0.tags = ["Name": "renamed"] })
                    try await eventually("adopted") { connect.seen(1)?.generation == 2 && connect.seen(1)?.state == .running }
                    #expect(connect.seen(1)?.executed == executed, "the same process")
                    let stop = sampleIntent(1, generation: 3, desired: .stopped, image: image).with { $0.graceSeconds = 60 }
                    connect.want(stop)
                    try await eventually(within: .seconds(120), "stopped") { connect.seen(1)?.state == .stopped }
                    connect.want(sampleIntent(1, generation: 4, desired: .absent, image: image))
                    try await eventually("gone") { connect.seen(1)?.state == .absent }
                }
                let meters = connect.state.withLock { $0.meters }
                #expect(meters.first?.period.start == executed)
                #expect(zip(meters, meters.dropFirst()).allSatisfy { $0.period.end == $1.period.start }, "no hole, no double")
            }
        }
    }
    /// Its address, its name and its user data come from the network's own router.
    @Test(.timeLimit(.minutes(10))) func aGuestGetsReadyOnATenantsNetwork() async throws {
        try await FakeConnect.run { connect in
            try await RealHost.withNamespace { namespace in
                try await RealHost.shell("ip -n \(namespace) addr add 192.0.2.9/24 dev lo")
                let image = try RealHost.image(servedBy: connect)
                let network = NetworkID(bits: 0xe1)
                let guest = sampleIntent(1, image: image, address: "10.1.0.11").with { $0.network = network }
                let wish = { (desired: NetworkDesired, generation: Int64) in
                    NetworkIntent(
                        network: network, generation: generation, desired: desired, vni: 5_001, cidr: "10.1.0.0/24", gateway: "10.1.0.1",
                        mtu: 1_450, hasInternet: false, peers: [])
                }
                try await with(connect, namespace, edit: { $0.tunnelAddress = "192.0.2.9" }) { _ in
                    connect.want(wish(.present, 1))
                    connect.want(guest)
                    try await eventually(within: .seconds(240), "the guest is ready and ran its user data") {
                        let console = connect.state.withLock { $0.consoles[instance(1)] } ?? ""
                        return console.contains("ready instance=\(instance(1))") && console.contains("user-data exit=0")
                    }
                    connect.want(
                        guest.with {
                            $0.generation = 2
                            $0.desired = .absent
                        })
                    connect.want(wish(.absent, 2))
                    try await eventually("all gone") { connect.seen(network)?.state == .absent }
                }
            }
        }
    }
}
