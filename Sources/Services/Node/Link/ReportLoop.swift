import CloudAPI
import CloudClient
import Drivers
import Foundation
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle

/// Tells connect what is so: at once when something changed, and as a heartbeat when nothing did. What was not acknowledged is
/// told again; connect knows observations by generation and readings by sequence.
struct ReportLoop: Service {
    let core: NodeCore
    private let consoles: ConsoleFeed
    private let load: LoadMeter

    init(core: NodeCore) {
        self.core = core
        consoles = ConsoleFeed(core: core)
        load = LoadMeter(root: core.configuration.hardwareRoot, interval: .seconds(core.configuration.loadSeconds))
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var backoff = Duration.milliseconds(250)
            var isFirst = true
            while !Task.isCancelled {
                guard core.facts.greeted else {
                    await core.board.news.wait(timeout: .seconds(1))
                    continue
                }
                do {
                    try await core.offerMovesOnceKnown()
                    let next = try await report(everything: isFirst)
                    (backoff, isFirst) = (.milliseconds(250), next == .everything)
                    if next == .nothing { await core.board.news.wait(timeout: pause) }
                } catch is CancellationError {
                    return
                } catch {
                    if ["node.unknown", "host.epoch"].contains(Fault(error).refusal.rule) { try? await core.hello() }
                    core.logger.warning(
                        "report not delivered", metadata: ["error": "\(Fault(error).refusal.message)", "again in": "\(backoff)"])
                    try? await Task.sleep(for: backoff)
                    backoff = min(.seconds(10), backoff * 2)
                    isFirst = true
                }
            }
        }
    }

    /// Consoles are looked at more often than a heartbeat is due.
    private var pause: Duration { min(.seconds(2), .seconds(core.facts.values?.heartbeatSeconds ?? 5)) }

    /// A report stays well below the largest body a program takes.
    private static let mostObservations = 500, mostReadings = 500

    private enum Next { case nothing, more, everything }

    /// Returns what there is to tell next.
    private func report(everything: Bool) async throws -> Next {
        let now = core.time.now()
        let observations = core.board.observations(at: now, onlyNews: !everything, limit: Self.mostObservations)
        let volumes = core.volumes.observations(at: now, onlyNews: !everything, limit: Self.mostObservations)
        let networks = core.networks.observations(at: now, onlyNews: !everything, limit: Self.mostObservations)
        let readings = try await core.meters.unacknowledged(limit: Self.mostReadings)
        let views = await consoles.changed(at: now)
        let load = await load.measured(core.drivers.compute)
        let isEmpty = observations.isEmpty && volumes.isEmpty && networks.isEmpty && readings.isEmpty && views.isEmpty && load == nil
        if isEmpty, !consoles.heartbeatIsDue { return .nothing }
        let answer = try await core.identity.exchange.call(
            ConnectAPI.report,
            body: NodeReport(
                at: now, observations: observations.map(\.observation), meters: readings, consoles: views,
                settled: observations.isEmpty ? SettledDigest(core.board.settled()) : nil, epoch: core.facts.values?.epoch,
                volumes: volumes.isEmpty ? nil : volumes.map(\.observation),
                networks: networks.isEmpty ? nil : networks.map(\.observation), load: load))
        consoles.delivered(views)
        try await core.delivered(observations.map { ($0.observation.instance, $0.version) }, to: core.board)
        try await core.delivered(volumes.map { ($0.observation.volume, $0.version) }, to: core.volumes)
        try await core.delivered(networks.map { ($0.observation.network, $0.version) }, to: core.networks)
        if let last = readings.last, answer.meterSequence > 0 {
            try await core.meters.acknowledge(upTo: min(last.sequence, answer.meterSequence))
            if answer.meterSequence < last.sequence { try await core.hello() }
        }
        if answer.tellAll == true, !everything { return .everything }
        let most = [observations.count, volumes.count, networks.count].max() ?? 0
        let isMore = most == Self.mostObservations || readings.count == Self.mostReadings
        return isMore ? .more : .nothing
    }
}
