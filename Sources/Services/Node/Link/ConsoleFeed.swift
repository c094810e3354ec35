import CloudAPI
import Drivers
import Foundation
import Primitives
import Synchronization

/// Which consoles have changed since connect got them. Each is sent at most every few seconds, a few in one report.
final class ConsoleFeed: Sendable {
    private struct State {
        var sent: [InstanceID: (hash: Int, at: ContinuousClock.Instant)] = [:]
        var lastReport: ContinuousClock.Instant?
        /// Whose turn it is when there are more than one report holds.
        var next = 0
    }

    private let core: NodeCore
    private let state = Mutex(State())

    static let bytes = 64 << 10
    private static let pause = Duration.seconds(2)
    private static let mostPerReport = 4

    init(core: NodeCore) { self.core = core }

    var heartbeatIsDue: Bool {
        let interval = Duration.seconds(core.facts.values?.heartbeatSeconds ?? 5)
        return state.withLock { $0.lastReport.map { ContinuousClock.now - $0 >= interval - .milliseconds(200) } ?? true }
    }

    func changed(at now: Instant) async -> [ConsoleView] {
        let machines = core.board.all.filter { $0.machine.state != .absent && $0.intent.desired != .absent }.map(\.intent.instance)
        guard !machines.isEmpty else { return [] }
        let first = state.withLock { $0.next % machines.count }
        var views: [ConsoleView] = []
        for offset in machines.indices where views.count < Self.mostPerReport {
            let instance = machines[(first + offset) % machines.count]
            state.withLock { $0.next = (first + offset + 1) % machines.count }
            guard isDue(instance), let tail = try? await core.drivers.compute.console(instance, last: Self.bytes), !tail.isEmpty else {
                continue
            }
            guard state.withLock({ $0.sent[instance]?.hash }) != tail.hashValue else { continue }
            views.append(ConsoleView(instance: instance, output: Data(tail).base64EncodedString(), at: now))
        }
        return views
    }

    private func isDue(_ instance: InstanceID) -> Bool {
        state.withLock { $0.sent[instance].map { ContinuousClock.now - $0.at >= Self.pause } ?? true }
    }

    func delivered(_ views: [ConsoleView]) {
        state.withLock { state in
            state.lastReport = .now
            for view in views {
                state.sent[view.instance] = (Array(Data(base64Encoded: view.output) ?? Data()).hashValue, .now)
            }
        }
    }
}
