public import Logging
import Primitives
public import ServiceLifecycle
public import Store
import UnixSignals

/// Runs a program's services until SIGTERM or SIGINT, then stops them in order, within 15 seconds.
public enum Program {
    public static func run(_ services: [any Service], logger: Logger) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(
                    service: $0, successTerminationBehavior: .gracefullyShutdownGroup, failureTerminationBehavior: .gracefullyShutdownGroup)
            },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(15)
        try await ServiceGroup(configuration: configuration).run()
    }
}

/// A loop that runs a step, then waits for the next turn; ends when the program stops. A step that throws is logged and
/// tried again at the next turn.
public struct Repeating: Service {
    private let name: String
    private let interval: Duration
    private let logger: Logger
    private let step: @Sendable () async throws -> Void

    public init(_ name: String, every interval: Duration, logger: Logger, _ step: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.interval = interval
        self.logger = logger
        self.step = step
    }

    /// Forgets answers to requests with a key when they are a week old: nobody asks again after that.
    public static func forgettingAnswers(_ database: any Database, time: any TimeSource, logger: Logger) -> Repeating {
        Repeating("remembered answers", every: .seconds(3_600), logger: logger) {
            try await database.forgetAnswers(before: time.now() - .days(7))
        }
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await step()
                } catch is CancellationError {
                    return
                } catch {
                    logger.warning("\(name) failed, trying again in \(interval)", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: interval)
            }
        }
    }
}
