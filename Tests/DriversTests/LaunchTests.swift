import Drivers
import Foundation
import Primitives
import Testing

/// A machine with all that belongs to it, as a node puts it together.
@Suite(.serialized, .enabled(if: Lab.canBoot && Lab.canNetwork, needsGuest)) struct LaunchTests {
    @Test(.timeLimit(.minutes(3))) func aMachineBootsAndGetsItsAddress() async throws {
        try await Lab.with(network: true) { lab in
            let world = try QEMUWorld(lab)
            let network = try LinuxBridgeNetwork(
                LinuxBridgeConfiguration(gateway: try #require(IPv4Prefix("10.99.0.1/16")), metadataPort: 7_431, namespace: lab.namespace))
            try await network.ensureNetwork()
            let compute = try QEMUDriver(QEMUConfiguration(directory: lab.directory + "/machines", namespace: lab.namespace))
            _ = try await compute.adopt()
            try await world.storage.prepare(world.guest.image, virtualSizeMiB: 256)
            var toExec: [Double] = []
            for number in 1...3 as ClosedRange<UInt64> {
                toExec.append(try await launch(number, world, network, compute))
            }
            print("launch: call to exec, ms:", toExec.map { ($0 * 10).rounded() / 10 })
            for number in 1...3 as ClosedRange<UInt64> {
                try await eventually("an address on the console") {
                    let console = String(decoding: try await compute.console(instance(number), last: 65_536), as: UTF8.self)
                    return console.contains("address 10.99.0.1\(number)")
                }
                try await compute.ensureAbsent(instance(number))
                try await network.ensurePortAbsent(instance(number))
            }
            try await network.teardown()
        }
    }

    /// Milliseconds from the call to QEMU's exec.
    private func launch(_ number: UInt64, _ world: QEMUWorld, _ network: LinuxBridgeNetwork, _ compute: QEMUDriver) async throws -> Double {
        let port = NetworkPort(
            instance: instance(number), macAddress: "02:00:00:00:01:0\(number)", address: try #require(IPv4Address("10.99.0.1\(number)")),
            hostName: "guest-\(number)")
        let start = HostClock.now()
        async let device = network.ensurePort(port)
        async let disk = world.storage.ensureClone(of: world.guest.image, virtualSizeMiB: 256, for: port.instance)
        var machine = plainMachine(port.instance, disk: try await disk)
        machine.kernel = world.guest.kernel
        machine.networkDevice = try await device
        machine.macAddress = port.macAddress
        let spec = machine
        async let running = compute.ensureRunning(spec)
        async let permitted: Void = network.permit(port)
        let seen = try await running
        try await permitted
        return Double((try #require(seen.executed) - start).microseconds) / 1_000
    }
}
