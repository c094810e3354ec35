import Drivers
package import Logging
package import Primitives

/// Takes everything of a stopped node off its host: guests are shut down, then their network goes. Disks, intents and meters stay,
/// and the node starts the guests again when it runs again.
package enum HostShutdown {
    /// - Parameter grace: what each guest gets to shut down before it is switched off.
    package static func run(_ configuration: NodeConfiguration, grace: Span = .seconds(20), logger: Logger) async throws {
        guard let network = IPv4Prefix(configuration.guestNetwork) else { return }
        let drivers = try NodeDrivers.ofThisHost(configuration, network)
        let machines = try await drivers.compute.adopt().filter { $0.state != .absent }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await drivers.compute.run() }
            await withTaskGroup(of: Void.self) { stops in
                for machine in machines {
                    stops.addTask {
                        do {
                            _ = try await drivers.compute.ensureStopped(machine.instance, grace: grace)
                        } catch {
                            logger.error("a guest did not stop", metadata: ["instance": "\(machine.instance)", "error": "\(error)"])
                        }
                    }
                }
            }
            group.cancelAll()
        }
        try await drivers.network.teardown()
    }
}
