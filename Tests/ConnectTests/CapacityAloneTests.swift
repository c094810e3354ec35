import CloudAPI
import CloudClient
import Connect
import Drivers
import Fleet
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import TestSupport
import Testing

/// What connect knows of its capacity without an exchange.
@Suite struct CapacityAloneTests {
    @Test(.timeLimit(.minutes(5))) func connectAloneTellsItsCapacity() async throws {
        let directory = try TemporaryDirectory("capacity")
        let hardware = Resources(milliCPU: 64_000, memoryMiB: 262_144, diskMiB: 1 << 20)
        let site = SimulatedSite(directory: directory.path, hosts: 3, contracts: 1, lotsPerContract: 10, hardware: hardware)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let rehearsal = try await Rehearsal(site, instances: 6, meterSeconds: 3_600, heartbeatSeconds: 3_600, logger: logger)
        let group = ServiceGroup(services: rehearsal.service.services, logger: logger)
        async let running: Void = group.run()
        let port = await rehearsal.service.publicPort.value()
        let client = try CloudClient(base: "http://127.0.0.1:\(port)", authentication: .bearer(SimulatedSite.operatorToken))
        try await client.closing { client in
            let products = try await client.items(of: ConnectAPI.listProductCapacity)
            #expect(products.map(\.productName) == ["general"] && products.first?.free ?? 0 > 0)
            let pods = try await client.items(of: ConnectAPI.listPodCapacity)
            let pod = try #require(pods.first)
            #expect(pods.count == 1 && pod.hosts == 3 && pod.open == 3 && pod.promised.memoryMiB == 3 * hardware.memoryMiB)
            let taken = (0..<6).reduce(Resources.zero) { sum, _ in sum + SimulatedSite.lot }
            #expect(pod.allocated == taken && pod.free == pod.promised - taken)
            // A host that takes nothing new has nothing free.
            let host = try #require(try await client.items(of: ConnectAPI.listHosts).first)
            _ = try await client.call(
                ConnectAPI.actOnHost, path: ["host": host.name], body: ActOnHost(action: .cordon, reason: "a fan"))
            let after = try #require(try await client.items(of: ConnectAPI.listPodCapacity).first)
            #expect(after.hosts == 3 && after.open == 2 && after.promised.memoryMiB == 2 * hardware.memoryMiB)
        }
        await group.triggerGracefulShutdown()
        _ = try? await running
    }
}
