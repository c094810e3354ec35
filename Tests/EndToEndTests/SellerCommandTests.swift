import CloudAPI
import Foundation
import Primitives
import TestSupport
import Testing

/// What a seller reads at the terminal, from a connect on simulated hosts that has no exchange.
@Suite(.enabled(if: BuiltExecutable.isThere, "needs the built executable"))
struct SellerCommandTests {
    private struct Site: Decodable { var publicPort: Int }

    private struct Seller: Sendable {
        let url: String

        func bourse(_ arguments: String...) async throws -> String {
            let environment = ["env", "BOURSE_CONNECT_URL=\(url)", "BOURSE_CONNECT_TOKEN=bt_rehearsal"]
            return try await runCommand(["timeout", "60"] + environment + [BuiltExecutable.path] + arguments)
        }

        /// What it says when it fails.
        func failing(_ arguments: String...) async -> String {
            let environment = ["env", "BOURSE_CONNECT_URL=\(url)", "BOURSE_CONNECT_TOKEN=bt_rehearsal"]
            do {
                return "It did not fail: "
                    + (try await runCommand(["timeout", "60"] + environment + [BuiltExecutable.path] + arguments))
            } catch {
                return (error as? CommandFailed)?.output ?? "\(error)"
            }
        }
    }

    private func with(_ body: (Seller, _ folder: TemporaryDirectory) async throws -> Void) async throws {
        let folder = try TemporaryDirectory("seller")
        let server = Process()
        server.executableURL = URL(fileURLWithPath: BuiltExecutable.path)
        server.arguments = ["simulate", "serve", "--data", folder.file("data"), "--hosts", "2", "--contracts", "1"]
        (server.standardOutput, server.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try server.run()
        defer {
            server.terminate()
            server.waitUntilExit()
        }
        let path = folder.file("data") + "/site.json"
        var site: Site?
        try await eventually("it listens", within: .seconds(30)) {
            site = FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(Site.self, from: $0) }
            return site?.publicPort ?? 0 > 0
        }
        try await body(Seller(url: "http://127.0.0.1:\(site?.publicPort ?? 0)"), folder)
    }

    @Test(.timeLimit(.minutes(5))) func aSellersDay() async throws {
        try await with { seller, folder in
            let capacity = try await seller.bourse("capacity")
            #expect(capacity.contains("general") && capacity.contains("VCPU FREE") && capacity.contains("pod-1"), "\(capacity)")
            let drift = try await seller.bourse("pod", "drift")
            #expect(
                drift.contains("no host has told its inventory yet") && drift.contains("of 2 hosts no inventory has come yet"), "\(drift)")
            #expect(!drift.contains("Nothing differs"))

            let file = folder.file("north.yaml")
            try Data(try await seller.bourse("topology", "export").utf8).write(to: URL(fileURLWithPath: file))
            #expect(try String(contentsOfFile: file, encoding: .utf8).contains("revision: 1"))
            _ = try await seller.bourse("zone", "create", "z2")
            let twice = await seller.failing("zone", "create", "z2", "--site", "elsewhere")
            #expect(twice.contains("zone.exists") && twice.contains("bourse zone set z2"), "\(twice)")
            let stale = await seller.failing("topology", "apply", file)
            #expect(stale.contains("topology.stale") && stale.contains("zone z2 added, by operator"), "\(stale)")
            let plan = try await seller.bourse("topology", "plan", file, "--force")
            #expect(plan.contains("Planned against revision 2.") && plan.contains("--revision 2"), "\(plan)")
            let done = try await seller.bourse("topology", "apply", file, "--revision", "2")
            #expect(done.contains("remove 1 zone") && done.contains("The topology is at revision 3 now."), "\(done)")

            let vouched = await seller.failing("host", "fence", "host-1", "--vouch-off")
            #expect(vouched.contains("switch it off") && !vouched.contains("a host that is suspect"), "\(vouched)")
        }
    }
}
