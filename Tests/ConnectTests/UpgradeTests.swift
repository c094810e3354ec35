import CloudAPI
import CloudClient
import Connect
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// A database of the version before the topology goes on: its pod is the first pod, its hosts have places.
@Suite struct UpgradeTests {
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func theFirstPodIsKept(_ kind: DatabaseKind) async throws {
        try await withTestDatabase(kind) { test in
            let old = try test.open()
            try await old.migrate([Tokens.migration] + Array(Schema.migrations.prefix { $0.id != "connect-5-topology" }))
            let pod = PodID(bits: 5)
            try await old.write { transaction in
                try transaction.execute(
                    "INSERT INTO pods (id, name, zone, kind, storage, oversubscription) VALUES ($1, 'pod-1', 'east', 'virtual', 'das', $2)",
                    [SQLValue(pod), .text(#"{"cpu":6000,"disk":2000,"memory":1000}"#)])
                for number in 1...3 as ClosedRange<UInt64> {
                    try transaction.execute(
                        """
                        INSERT INTO hosts (id, pod, name, zone, state, hardware, hypervisor, agent_version, guest_network, last_seen, meter_sequence)
                        VALUES ($1, $2, $3, 'east', 'up', $4, 'test', '1', '10.77.0.1/16', $5, 0)
                        """,
                        [
                            SQLValue(HostID(bits: number)), SQLValue(pod), .text(number < 3 ? "twin" : "alone"),
                            .text(try WireJSON.text(TestHost.hello.capacity)), SQLValue(SystemTime().now()),
                        ])
                }
            }
            await old.close()
            try await ConnectFixture.with(url: test.url) { connect in
                let pods = try await connect.manage(ConnectAPI.listPods, body: Empty()).items
                #expect(pods.map(\.id) == [pod] && pods.map(\.hosts) == [3] && pods.first?.settings.oversubscription.cpu == 6_000)
                #expect(try await connect.manage(ConnectAPI.listZones, body: Empty()).items.map(\.name) == ["east"])
                let names = try await connect.manage(ConnectAPI.listHosts, body: Empty()).items.map(\.name)
                #expect(names == ["twin", HostID(bits: 2).description, "alone"], "a second host of one name goes by its identifier")
                let written = try await connect.manage(ConnectAPI.exportTopology, body: Empty())
                #expect(try await connect.manage(ConnectAPI.planTopology, body: written).changes.isEmpty)
            }
        }
    }
}
