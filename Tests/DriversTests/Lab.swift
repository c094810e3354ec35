import Drivers
import Foundation
import Primitives
import Testing

/// What real drivers are tested with: a scratch directory, a network namespace, the guest image. Everything made is taken away.
struct Lab: Sendable {
    let directory: String
    let namespace: String?

    /// - Parameter network: makes a network namespace, which needs root.
    static func with<T: Sendable>(network: Bool = false, _ body: @Sendable (Lab) async throws -> T) async throws -> T {
        let name = "bt\(getpid())x\(UInt32.random(in: 0...UInt32.max))"
        let lab = Lab(directory: "/tmp/\(name)", namespace: network ? name : nil)
        try FileManager.default.createDirectory(atPath: lab.directory, withIntermediateDirectories: true)
        if network { try await lab.shell("ip netns add \(name); ip -n \(name) link set lo up") }
        do {
            let result = try await body(lab)
            await lab.clean()
            return result
        } catch {
            await lab.clean()
            throw error
        }
    }

    private func clean() async {
        if let namespace {
            _ = try? await shell(
                """
                for name in $(ls /run/netns | grep '^\(namespace)'); do
                    ip netns pids $name | xargs -r kill -9; ip netns delete $name
                done
                rm -rf /run/bourse/\(namespace)*-*
                """)
        }
        _ = try? await shell("umount \(directory)/* 2>/dev/null; rm -rf \(directory)")
    }

    @discardableResult func shell(_ script: String, inNamespace: Bool = false) async throws -> String {
        try await CommandRunner(namespace: inNamespace ? namespace : nil).require("sh", ["-c", script], deadline: .seconds(60))
    }

    func succeeds(_ script: String, inNamespace: Bool = false) async throws -> Bool {
        try await CommandRunner(namespace: inNamespace ? namespace : nil).run("sh", ["-c", script], deadline: .seconds(60)).succeeded
    }

    /// A file system of its own that is soon full.
    func smallDisk(kilobytes: Int) async throws -> String {
        let path = directory + "/small"
        try await shell("mkdir -p \(path) && mount -t tmpfs -o size=\(kilobytes)k none \(path)")
        return path
    }

    // MARK: - What this machine has

    static let isRoot = geteuid() == 0
    static func has(_ program: String) -> Bool { (try? CommandRunner.locate(program)) != nil }
    static let canNetwork =
        isRoot && has("ip") && has("nft") && has("dnsmasq") && has("ping") && FileManager.default.fileExists(atPath: "/dev/net/tun")
    static let canBoot = isRoot && has("qemu-system-x86_64") && has("qemu-img") && guest != nil

    struct Guest: Sendable {
        var folder: String
        var commandLine: String
        var virtualSizeMiB: Int64
        var kernel: MachineSpec.DirectKernel {
            MachineSpec.DirectKernel(kernel: folder + "/vmlinuz", initrd: folder + "/initrd.gz", commandLine: commandLine)
        }
        var image: GoldenImage {
            GoldenImage(sha256: String(repeating: "a", count: 64), path: folder + "/disk.qcow2", virtualSizeMiB: virtualSizeMiB)
        }
    }

    static let guest: Guest? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        let folder = ProcessInfo.processInfo.environment["BOURSE_GUEST_IMAGE"] ?? root + "/.bourse/images/bourse-guest"
        guard let data = FileManager.default.contents(atPath: folder + "/manifest.json"),
            let manifest = try? JSONDecoder().decode(Manifest.self, from: data)
        else { return nil }
        return Guest(folder: folder, commandLine: manifest.commandLine, virtualSizeMiB: manifest.virtualSizeMiB)
    }()

    private struct Manifest: Decodable {
        var commandLine: String
        var virtualSizeMiB: Int64
    }
}

let needsGuest: Comment = "needs root, QEMU and the guest image (images/build-guest, or BOURSE_GUEST_IMAGE)"
let needsNetwork: Comment = "needs root, ip, nft, dnsmasq, ping and /dev/net/tun"

/// Waits until something is so; tests wait on conditions, never for a time.
func eventually(within limit: Duration = .seconds(60), _ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock().now + limit
    while try await !condition() {
        guard ContinuousClock().now < end else {
            Issue.record("not within \(limit): \(what)")
            throw CancellationError()
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// The rule that refuses `body`.
func refusal<T>(_ body: () async throws -> T) async -> Refusal? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? Refusal
    }
}

/// Distinct instances for tests.
func instance(_ number: UInt64) -> InstanceID { InstanceID(bits: 0x0bad_0000_0000_0000 | number) }
