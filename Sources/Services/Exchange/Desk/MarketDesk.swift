import CloudAPI
import Foundation
import Logging
import Market
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// Owns the market of this exchange. Commands queue; one loop takes all that wait, applies them to the value in memory, writes all
/// rows in **one** transaction, and only then answers each caller.
///
/// When that transaction fails, nobody was answered: everybody is told so, and the value is built anew from the tables before the
/// next command. One process holds the lease of the market; the others refuse commands, serve reads and wait for their turn.
actor MarketDesk: Service {
    /// More than this many waiting commands are refused.
    static let longestQueue = 10_000
    private static let largestBatch = 512
    private static let leaseName = "market"

    private enum Standing {
        /// Another process has the market, or none was taken yet.
        case standby
        case active(Lease)
    }

    private let database: any Database
    private let time: any TimeSource
    private let ids: any IDSource
    private let holder: String
    private let leaseSpan: Span
    private let metrics: Metrics
    private let logger: Logger
    private let wakeups: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    private var market = Market()
    private var standing = Standing.standby
    /// The value in memory may not be what the tables say.
    private var isStale = false
    private var queue: [Waiting] = []
    private var isStopped = false

    init(database: any Database, holder: String, leaseSpan: Span, time: any TimeSource, ids: any IDSource, metrics: Metrics, logger: Logger)
    {
        self.database = database
        self.holder = holder
        self.leaseSpan = leaseSpan
        self.time = time
        self.ids = ids
        self.metrics = metrics
        self.logger = logger
        (wakeups, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Asking

    /// Does a command and returns once it is durable. Throws its refusal, or why nothing was changed.
    func perform<Answer: Codable & Sendable>(
        _ request: DeskRequest, answer: @escaping @Sendable (Market, [MarketChange]) throws -> Answer
    ) async throws -> Answer {
        guard queue.count < Self.longestQueue else {
            throw Refusal(
                "exchange.busy", .throttled, "\(queue.count) commands wait already.", facts: ["waiting": .number(Int64(queue.count))],
                nearest: "the same request, a little later")
        }
        guard !isStopped else { throw Refusal("service.stopping", .unavailable, "The exchange is stopping.") }
        let reply = try await withCheckedThrowingContinuation { caller in
            queue.append(Waiting(request: request, answer: { try answer($0, $1) }, caller: caller))
            wake.yield()
        }
        switch reply {
        case .fresh(let value):
            guard let answer = value as? Answer else { preconditionFailure("a command is answered by its own closure") }
            return answer
        case .stored(let earlier): return try WireJSON.decode(Answer.self, from: Data(earlier.body.utf8))
        }
    }

    /// Queues a tick when something is due. Called again and again by the clock.
    func lookAtClock() {
        guard case .active = standing, let due = market.nextDue, due <= time.now() else { return }
        queue.append(Waiting(request: .tick, answer: { _, _ in Empty() }, caller: nil))
        wake.yield()
    }

    /// What keeps the desk from taking commands; nil when nothing does.
    func missing() -> String? {
        guard case .active = standing else { return "market: another process has it" }
        return isStale ? "market: being read from the database" : nil
    }

    /// Digest of the value in memory, to compare with one built from the tables.
    func stateHash() -> UInt64 { market.stateHash }

    /// When the value in memory next has something to do; nil: never.
    func nextDue() -> Instant? { market.nextDue }

    // MARK: The loop

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            for await _ in wakeups { await drain() }
        }
        await stop()
    }

    private func drain() async {
        while !queue.isEmpty {
            let batch = Array(queue.prefix(Self.largestBatch))
            queue.removeFirst(batch.count)
            await settle(batch)
        }
    }

    private func stop() async {
        isStopped = true
        for waiting in queue { waiting.fail(Refusal("service.stopping", .unavailable, "The exchange is stopping.")) }
        queue = []
        guard case .active(let lease) = standing else { return }
        standing = .standby
        do { try await database.write { try $0.releaseLease(lease) } } catch { logger.notice("the lease runs out by itself: \(error)") }
    }

    /// Applies a batch, commits it, answers.
    private func settle(_ batch: [Waiting]) async {
        guard case .active(let lease) = standing else {
            let refusal = Refusal(
                "exchange.standby", .unavailable, "Another process runs the market now.", nearest: "the same request, there or later")
            return batch.forEach { $0.fail(refusal) }
        }
        do {
            if isStale { try await rebuild() }
            let known = try await known(to: batch)
            var work = DeskBatch(at: max(time.now(), market.clock))
            try catchUp(&work)
            for waiting in batch { try apply(waiting, known: known, &work) }
            work.counters = DeskBatch.Counters(market)
            try await commit(work, lease)
            work.answerAll()
            metrics.count("bourse_market_batches")
            metrics.count("bourse_market_commands", by: batch.count)
        } catch {
            isStale = true
            if error is LeaseLost { standing = .standby }
            logger.warning("a batch of the market was not committed", metadata: ["commands": "\(batch.count)", "error": "\(error)"])
            batch.forEach { $0.fail(error) }
        }
    }

    /// What is due comes before any command of the same moment.
    private func catchUp(_ work: inout DeskBatch) throws {
        guard let due = market.nextDue, due <= work.at else { return }
        try apply(Waiting(request: .tick, answer: { _, _ in Empty() }, caller: nil), known: KnownBefore(), &work)
    }

    /// Throws only when the value has changed and nobody could be told how: the batch fails as a whole, and the value is rebuilt.
    private func apply(_ waiting: Waiting, known: KnownBefore, _ work: inout DeskBatch) throws {
        let changes: [MarketChange]
        do {
            if let earlier = try work.earlierAnswer(to: waiting, known) { return work.reply(earlier, to: waiting) }
            try work.checkClientOrderID(of: waiting, known)
            changes = try market.apply(waiting.request.command, at: work.at, seed: ids.nextBits())
        } catch {
            return work.refuse(waiting, error)
        }
        try work.add(waiting, changes, answer: try waiting.answer(market, changes))
    }

    private func commit(_ work: DeskBatch, _ lease: Lease) async throws {
        let rows = work.rows
        guard !rows.isEmpty else { return }
        for step in rows.steps { FaultPoint.hit(step.faults.applied) }
        try await database.write { transaction in
            try transaction.checkFencing(lease)
            try rows.write(in: transaction)
            for step in rows.steps { FaultPoint.hit(step.faults.written) }
        }
        for step in rows.steps { FaultPoint.hit(step.faults.committed) }
    }

    /// Answers given before to the keys of a batch, and client order ids it uses that are taken.
    private func known(to batch: [Waiting]) async throws -> KnownBefore {
        let requests = batch.compactMap(\.request.idempotency)
        let names = batch.compactMap(\.request.clientOrderID)
        guard !requests.isEmpty || !names.isEmpty else { return KnownBefore() }
        return try await database.read { context in
            var known = KnownBefore()
            for request in requests { known.answers[request.slot] = try context.answer(scope: request.scope, key: request.key) }
            for name in names {
                let sql = "SELECT id FROM orders WHERE participant = $1 AND client_order_id = $2"
                known.orders[name] = try context.queryOne(sql, [SQLValue(name.participant), .text(name.text)])?.id("id")
            }
            return known
        }
    }

    // MARK: State and lease

    private func rebuild() async throws {
        let (snapshot, clock) = try await database.read { try MarketTables.load(from: $0) }
        let market = try Market(restoring: snapshot, clock: clock)
        let violations = market.violations()
        guard violations.isEmpty else {
            throw StoreError.corrupted("the market's tables contradict each other: \(violations.joined(separator: "; "))")
        }
        self.market = market
        isStale = false
    }

    /// Renews the lease, or takes it when it is free. Called again and again, several times within a lease.
    func keepLease() async throws {
        let now = time.now()
        let (holder, span) = (self.holder, leaseSpan)
        if case .active(let lease) = standing {
            guard let renewed = try await database.write({ try $0.renewLease(lease, for: span, now: now) }) else {
                standing = .standby
                return logger.warning("another process has taken the market")
            }
            // A batch under way may have found out meanwhile that the lease was lost.
            if case .active = standing { standing = .active(renewed) }
            return
        }
        guard !isStopped, let lease = try await database.write({ try $0.acquireLease(Self.leaseName, holder: holder, for: span, now: now) })
        else { return }
        try await rebuild()
        standing = .active(lease)
        logger.info("this process runs the market", metadata: ["fencing": "\(lease.fencing)"])
    }
}
