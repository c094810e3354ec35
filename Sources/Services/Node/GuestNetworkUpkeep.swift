import Drivers
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle

/// Sets the host's own network up, serves metadata on it, and looks after it and tenants': what somebody took away comes back.
struct GuestNetworkUpkeep: Service {
    let core: NodeCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await core.drivers.network.ensureNetwork()
                    let listener = try await MetadataListener.open(core)
                    core.networks.makeDue()
                    core.facts.setNetwork(problem: nil)
                    await keep()
                    await listener.close()
                } catch {
                    core.facts.setNetwork(problem: "\(error)")
                    core.logger.error("the guests' network is not there", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(2))
                }
            }
        }
    }

    private func keep() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(60))
            if Task.isCancelled { return }
            do {
                try await core.drivers.network.ensureNetwork()
                core.facts.setNetwork(problem: nil)
                core.networks.makeDue()
            } catch {
                core.facts.setNetwork(problem: "\(error)")
                core.logger.error("the guests' network needs attention", metadata: ["error": "\(error)"])
            }
        }
    }
}
