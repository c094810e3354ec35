import CloudAPI
import Connect
import Fleet
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Requests nobody in their right mind sends. Each is refused with its rule, and connect goes on.
@Suite struct HostileTests {
    private static let extremes: [Int64] = [.max, .min, -1, 1 << 53, -(1 << 53)]

    @Test(.timeLimit(.minutes(5))) func numbersBeyondReasonAreRefused() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a", gpus: 1)]) { scene in
            let buyer = try await scene.buyer(1)
            var number: UInt64 = 100
            func refused(_ what: String, _ body: () async throws -> Void) async {
                let problem = await scene.problem(body)
                #expect(problem != nil && problem?.status != 500 && problem?.nearest != nil, "\(what): \(String(describing: problem))")
            }
            func launch(_ edit: (inout CreateInstance) -> Void) async throws {
                number += 1
                var spec = scene.spec(number)
                edit(&spec)
                _ = try await scene.connect.call(ConnectAPI.createInstance, as: buyer.credential, body: spec)
            }
            for extreme in Self.extremes {
                await refused("launch count \(extreme)") { try await launch { $0.launchCount = extreme } }
                await refused("launch index \(extreme)") { try await launch { $0.launchIndex = extreme } }
                await refused("memory \(extreme)") { try await launch { $0.resources.memoryMiB = extreme } }
                await refused("processors \(extreme)") { try await launch { $0.resources.milliCPU = extreme } }
                await refused("GPUs \(extreme)") {
                    try await launch { $0.placement = PlacementTerms(gpu: GPUTerm(count: extreme, milliEach: extreme)) }
                }
                await refused("priority \(extreme)") { try await launch { $0.restartPriority = extreme } }
                await refused("gang of \(extreme)") {
                    let members = (1...2).map { member in
                        var spec = scene.spec(UInt64(member) + 10)
                        spec.resources.memoryMiB = extreme
                        return spec
                    }
                    _ = try await scene.connect.call(
                        ConnectAPI.createInstanceGang, as: buyer.credential, body: CreateInstanceGang(instances: members))
                }
                await refused("forecast of \(extreme)") {
                    var resources = Town.lot
                    resources.milliCPU = extreme
                    _ = try await scene.connect.manage(ConnectAPI.explainPlacement, body: ExplainPlacement(resources: resources))
                }
                await refused("ratio of \(extreme)") {
                    var settings = try await scene.connect.manage(ConnectAPI.showPod, path: ["pod": "pod-1"], body: Empty()).settings
                    settings.oversubscription.cpu = extreme
                    _ = try await scene.connect.manage(ConnectAPI.putPod, path: ["pod": "pod-1"], body: settings)
                }
                await refused("hello of \(extreme)") {
                    var hello = TestHost.hello
                    hello.capacity.memoryMiB = extreme
                    _ = try await scene.connect.call(ConnectAPI.hello, as: scene.hosts[0].credential, body: hello)
                }
            }
            await refused("the identifier of nobody") { try await launch { $0.id = InstanceID(bits: 0) } }
            // So many requests take time, in which the host said nothing.
            try await scene.settle()
            let one = try await scene.launch(1, by: buyer)
            #expect(one.host == scene.hosts[0].id, "connect serves as before")
            #expect(try await scene.connect.service.violations() == [])
        }
    }

    @Test(.timeLimit(.minutes(5))) func textsBeyondReasonAreRefused() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let buyer = try await scene.buyer(1)
            let edits: [(String, (inout CreateInstance) -> Void)] = [
                ("instance.user-data", { $0.userData = "%%%" }), ("instance.text", { $0.offering = "a\u{202E}b" }),
                ("instance.text", { $0.keys = [SSHKey(name: "k", publicKey: "ssh-ed25519 A\nssh-ed25519 B")] }),
                ("instance.tags", { $0.tags = ["": "x"] }),
                ("instance.tags", { spec in for number in 0...50 { spec.tags["\(number)"] = "" } }),
            ]
            for (rule, edit) in edits {
                var spec = scene.spec(1)
                edit(&spec)
                let broken = spec
                let problem = await scene.problem {
                    _ = try await scene.connect.call(ConnectAPI.createInstance, as: buyer.credential, body: broken)
                }
                #expect(problem?.rule == rule && problem?.nearest != nil)
            }
            let reason = await scene.problem {
                _ = try await scene.connect.manage(
                    ConnectAPI.actOnHost, path: ["host": scene.hosts[0].id.description],
                    body: ActOnHost(action: .cordon, reason: "a\n\u{1B}[31mred"))
            }
            #expect(reason?.rule == "host.reason")
        }
    }

    @Test(.timeLimit(.minutes(5))) func listsOfWhatIsNotThereSaySo() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            for (query, rule) in [
                (["state": "nonsense"], "host.state"), (["pod": "nope"], "pod.unknown"), (["rack": "nope"], "rack.unknown"),
            ] {
                let problem = await scene.problem { _ = try await scene.connect.manage(ConnectAPI.listHosts, query: query, body: Empty()) }
                #expect(problem?.rule == rule)
            }
        }
    }
}
