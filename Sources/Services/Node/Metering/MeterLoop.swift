import CloudAPI
import Drivers
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle

/// Cuts the meters of all machines at every multiple of the interval, and tries again what could not be written.
struct MeterLoop: Service {
    let core: NodeCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                for entry in core.board.all {
                    do {
                        try await core.settleMeter(of: entry.intent.instance)
                    } catch is CancellationError {
                        return
                    } catch {
                        // Nothing is lost: the run keeps the position from which it is still to be metered.
                        core.logger.warning(
                            "meter not written yet", metadata: ["instance": "\(entry.intent.instance)", "error": "\(error)"])
                        break
                    }
                }
                try? await Task.sleep(for: untilNextCut)
            }
        }
    }

    private var untilNextCut: Duration {
        let (now, interval) = (core.time.now(), core.meters.cutInterval)
        return min(.seconds(10), (now.floored(to: interval) + interval - now).duration + .milliseconds(5))
    }
}
