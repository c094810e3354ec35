import CloudAPI
import Drivers
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle

/// Drives every tenant's network towards what is wanted of it: one task per network that needs something, one step at a time.
struct NetworkReconciler: Service {
    let core: NodeCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await network in core.networks.wakeups where core.networks.begin(network) {
                    group.addTask { await work(on: network) }
                }
            }
        }
        await core.listeners.closeAll()
    }

    private func work(on network: NetworkID) async {
        while !Task.isCancelled {
            guard let entry = core.networks[network] else { return }
            guard entry.needsStep else {
                if core.networks.end(network) { return }
                continue
            }
            do {
                try await withDeadline(.seconds(60)) { try await core.follow(entry.intent) }
                core.networks.noteDone(entry.intent)
            } catch {
                await failed(entry.intent, Fault(error).refusal)
            }
        }
        _ = core.networks.end(network)
    }

    private func failed(_ intent: NetworkIntent, _ refusal: Refusal) async {
        if Task.isCancelled || core.networks[intent.network]?.intent != intent { return }
        let failures = core.networks.noteFailed(intent.network, refusal)
        let delay = retryDelay(afterFailures: failures)
        core.logger.warning(
            "a network is not as wanted, trying again in \(delay)",
            metadata: [
                "network": "\(intent.network)", "wanted": "\(intent.desired)", "failures": "\(failures)", "error": "\(refusal)",
            ])
        core.metrics.count("bourse_node_failed_steps", ["rule": refusal.rule])
        let end = ContinuousClock.now + delay
        while ContinuousClock.now < end, !Task.isCancelled, core.networks[intent.network]?.intent == intent {
            try? await Task.sleep(for: min(.milliseconds(50), end - .now))
        }
    }
}

// MARK: - Steps. All calls are idempotent, so a step that was cut off is simply taken again.

extension NodeCore {
    fileprivate func follow(_ intent: NetworkIntent) async throws {
        switch intent.desired {
        case .present:
            let isNew = networks[intent.network]?.isReady != true
            let place = try await drivers.network.ensure(try intent.tenantNetwork())
            FaultPoint.hit("node.network.made")
            try await listeners.ensure(intent.network, at: place, self)
            if isNew { logger.info("a network is here", metadata: ["network": "\(intent.network)", "vni": "\(intent.vni)"]) }
        case .absent:
            try await emptied(intent.network)
            await listeners.close(intent.network)
            try await drivers.network.ensureAbsent(intent.network)
            FaultPoint.hit("node.network.removed")
            logger.info("a network is gone", metadata: ["network": "\(intent.network)"])
        }
    }

    /// Its last instance may be on its way out.
    private func emptied(_ network: NetworkID) async throws {
        let end = ContinuousClock.now + Self.networkPatience
        while ContinuousClock.now < end, try await drivers.network.ports().contains(where: { $0.network == network }) {
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private static let networkPatience = Duration.seconds(15)

    /// Returns when guests can be started on the network; refuses when it is not to be expected soon.
    func waitForNetwork(_ network: NetworkID) async throws {
        let end = ContinuousClock.now + Self.networkPatience
        while networks[network]?.isReady != true {
            let entry = networks[network]
            if let failure = entry?.failure { throw failure }
            guard entry?.intent.desired == .present, ContinuousClock.now < end else {
                throw Refusal(
                    "network.unknown", .unavailable, "Network \(network) is not on this host yet.", facts: ["network": .text("\(network)")],
                    nearest: "the same once connect has asked for it here")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
