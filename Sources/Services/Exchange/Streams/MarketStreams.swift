import CloudAPI
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// Streams of market data. Follows the change feed for the series that somebody reads, and does nothing while nobody does: matching
/// knows nothing of it. Because the feed is in the database, every process serves streams, whether it runs the market or not.
actor MarketStreams: Service {
    nonisolated let limits: StreamLimits
    nonisolated let seats: StreamSeats
    private let database: any Database
    private let time: any TimeSource
    private let ids: any IDSource
    private let metrics: Metrics
    private let logger: Logger
    private let arrivals = ChangeSignal()

    private var channels: [SeriesID: SeriesChannel] = [:]
    /// What happened up to here is in the channels.
    private var revision: Int64 = 0
    private var arrived: Int64 = 0
    private var isStopped = false

    init(database: any Database, limits: StreamLimits, time: any TimeSource, ids: any IDSource, metrics: Metrics, logger: Logger) {
        self.database = database
        self.limits = limits
        self.time = time
        self.ids = ids
        self.metrics = metrics
        self.logger = logger
        seats = StreamSeats(limits: limits)
    }

    // MARK: Readers

    /// Sends the reader what happens in a series, after an event it has seen or from now on.
    func join(_ reader: StreamReader, _ series: SeriesID, after: String?) {
        guard !isStopped else { return reader.end() }
        var channel = channels.removeValue(forKey: series) ?? SeriesChannel(epoch: ids.nextBits(), limits: limits)
        channel.join(.init(reader: reader, after: after), at: time.now())
        channels[series] = channel
        arrived += 1
        arrivals.advance(to: arrived)
    }

    func leave(_ reader: StreamReader, _ series: SeriesID) { channels[series]?.leave(reader) }

    // MARK: The loop

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled { await turn() }
        }
        isStopped = true
        for channel in channels.values { channel.endAll() }
    }

    private func turn() async {
        forgetIdle()
        let seen = arrived
        guard !channels.isEmpty else { return await arrivals.wait(after: seen, timeout: .seconds(3_600)) }
        do {
            try await follow()
            try? await Task.sleep(for: limits.pace)
            await awaitNews(after: seen)
        } catch {
            logger.warning("streams are behind, trying again in a second", metadata: ["error": "\(error)"])
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private func forgetIdle() {
        let now = ContinuousClock.now
        channels = channels.filter { _, channel in channel.idleSince.map { now - $0 < limits.linger } ?? true }
    }

    private func follow() async throws {
        let query = StreamNews.Query(
            after: revision, followed: channels.filter(\.value.isKnown).mapValues(\.lastTrade),
            fresh: channels.filter { !$0.value.isKnown }.map(\.key))
        let news = try await database.read { try $0.streamNews(query) }
        revision = news.latest
        let now = time.now()
        for series in Array(query.followed.keys) + query.fresh {
            guard let dropped = channels[series]?.take(news, of: series, at: now), dropped > 0 else { continue }
            metrics.count("bourse_stream_readers_dropped", by: dropped)
            logger.notice("readers of a stream were too slow", metadata: ["series": "\(series)", "dropped": "\(dropped)"])
        }
    }

    /// Returns when something was committed or somebody came, or after a second.
    private func awaitNews(after seen: Int64) async {
        let (signal, revision, arrivals) = (database.changes, revision, arrivals)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await signal.wait(after: revision, timeout: .seconds(1)) }
            group.addTask { await arrivals.wait(after: seen, timeout: .seconds(1)) }
            await group.next()
            group.cancelAll()
        }
    }
}
