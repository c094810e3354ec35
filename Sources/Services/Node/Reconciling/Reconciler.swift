import CloudAPI
import Drivers
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// Drives every instance towards what is wanted of it: one task per instance that needs something, one step at a time.
struct Reconciler: Service {
    let core: NodeCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await instance in core.board.wakeups {
                    if let machine = core.board[instance]?.machine { core.volumes.see(machine) }
                    if core.board.begin(instance) { group.addTask { await work(on: instance) } }
                }
            }
        }
    }

    private func work(on instance: InstanceID) async {
        while !Task.isCancelled {
            guard let entry = core.board[instance] else { return }
            if entry.intent.move != nil {
                await core.follow(entry.intent)
                if core.board.end(instance) { return }
                continue
            }
            guard let step = nextStep(entry.intent, entry.sight) else {
                await settle(entry)
                if core.board.end(instance) { return }
                continue
            }
            do {
                try await take(step, for: entry.intent)
                core.board.succeeded(instance)
            } catch {
                await failed(step, entry.intent, Fault(error).refusal)
            }
        }
        _ = core.board.end(instance)
    }

    /// Nothing is to be done. A machine that runs has followed the intent; one that is gone and reported gone is forgotten.
    private func settle(_ entry: InstanceBoard.Entry) async {
        let (intent, sight) = (entry.intent, entry.sight)
        core.board.succeeded(intent.instance)
        guard intent.desired == .running, sight.isAlive, sight.ranGeneration < intent.generation else { return }
        do {
            try await core.noteRan(intent.instance, generation: intent.generation, reboots: sight.rebootsDone)
        } catch {
            core.logger.warning("could not note what runs", metadata: ["instance": "\(intent.instance)", "error": "\(error)"])
            await sleep(Self.noteAgain, unlessSuperseded: intent)
            core.board.wakeUp(intent.instance)
        }
    }

    private static let noteAgain = Duration.seconds(5)

    private func failed(_ step: Step, _ intent: InstanceIntent, _ refusal: Refusal) async {
        if Task.isCancelled || core.board[intent.instance]?.intent.generation != intent.generation { return }
        let failures = core.board.failed(intent.instance, refusal)
        let delay = retryDelay(afterFailures: failures)
        core.logger.warning(
            "a step failed, trying again in \(delay)",
            metadata: ["instance": "\(intent.instance)", "step": "\(step)", "failures": "\(failures)", "error": "\(refusal)"])
        core.metrics.count("bourse_node_failed_steps", ["rule": refusal.rule])
        await sleep(delay, unlessSuperseded: intent)
    }

    // MARK: - Steps with deadlines

    private func take(_ step: Step, for intent: InstanceIntent) async throws {
        let core = core
        switch step {
        case .launch: try await withDeadline(.seconds(1_800)) { try await core.launch(intent) }
        case .reboot(let grace): try await withDeadline(grace.duration + .seconds(30)) { try await core.reboot(intent, grace: grace) }
        case .remove: try await withDeadline(.seconds(60)) { try await core.remove(intent) }
        case .stop(let grace):
            // A guest may take its time to shut down; a newer intent that leaves it less must not wait for that.
            try await whileCurrent(intent) {
                try await withDeadline(grace.duration + .seconds(30)) { try await core.stop(intent, grace: grace) }
            }
        }
    }

    /// Runs `body` and cancels it when the intent is superseded.
    private func whileCurrent(_ intent: InstanceIntent, _ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            group.addTask {
                await sleep(.seconds(86_400), unlessSuperseded: intent)
                throw CancellationError()
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func sleep(_ limit: Duration, unlessSuperseded intent: InstanceIntent) async {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end, !Task.isCancelled, core.board[intent.instance]?.intent.generation == intent.generation {
            try? await Task.sleep(for: min(.milliseconds(50), end - .now))
        }
    }
}

/// Looks again at machines to which something happened.
struct MachineWatch: Service {
    let core: NodeCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await instance in core.drivers.compute.changes {
                let seen = await core.drivers.compute.observe(instance)
                core.board.see(seen)
                core.volumes.recheck(seen)
                if seen.state == .stopped {
                    // What keeps this from the journal now is tried again by the meter loop.
                    try? await core.settleMeter(of: instance)
                }
            }
        }
    }
}

/// The compute driver's own work in the background.
struct ComputeUpkeep: Service {
    let core: NodeCore
    func run() async throws {
        await cancelWhenGracefulShutdown { await core.drivers.compute.run() }
    }
}
