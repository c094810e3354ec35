import CloudAPI
import Foundation
import Logging
import Market
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// Owns the market of this exchange. Commands queue; one loop takes all that wait, applies them to the value in memory, writes them
/// to the journal as **one** batch, and only then answers each caller. Tables follow behind: see `Projector`.
///
/// When the journal cannot be written, nobody was answered: everybody is told so, and the value is built anew from the tables and
/// the journal before the next command. One process holds the lease of the market; the others refuse commands, serve reads and wait
/// for their turn.
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

    /// The tables as they are, behind the journal.
    private let tables: any Database
    private let journal: MarketJournal
    private let projector: Projector
    private let time: any TimeSource
    private let ids: any IDSource
    private let holder: String
    private let leaseSpan: Span
    private let metrics: Metrics
    private let logger: Logger
    private let wakeups: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    private var market = Market()
    private var head = MarketJournal.Head.start
    private var recent = RecentSteps()
    private var standing = Standing.standby
    /// The value in memory may not be what the tables say.
    private var isStale = false
    private var queue: [Waiting] = []
    /// How many commands the last two batches had.
    private var crowd = (before: 0, last: 0)
    private var isStopped = false
    /// How long nobody had the market before this process took it; to be told to the market first.
    private var outage: Period?

    init(
        tables: any Database, journal: MarketJournal, projector: Projector, holder: String, leaseSpan: Span, time: any TimeSource,
        ids: any IDSource, metrics: Metrics, logger: Logger
    ) {
        self.tables = tables
        self.journal = journal
        self.projector = projector
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
        try checkTables()
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

    /// Takes no more while the tables cannot be written, or are too far behind.
    private func checkTables() throws {
        if let trouble = projector.trouble { throw trouble }
        let waiting = projector.waitingCommands
        guard waiting < Projector.longestTail else {
            throw Refusal(
                "exchange.behind", .throttled, "\(waiting) commands wait for their rows to be written; \(Projector.longestTail) may.",
                facts: ["waiting": .number(Int64(waiting)), "limit": .number(Int64(Projector.longestTail))],
                nearest: "the same request, a little later")
        }
    }

    /// Queues a tick when something is due. Called again and again by the clock.
    func lookAtClock() {
        guard case .active = standing, let due = market.nextDue, due <= time.now() else { return }
        queue.append(own(.tick))
        wake.yield()
    }

    /// What keeps the desk from taking commands; nil when nothing does.
    func missing() -> String? {
        guard case .active = standing else { return "market: another process has it" }
        if let trouble = projector.trouble { return "market: its tables cannot be written: \(trouble)" }
        return isStale ? "market: being read from the database" : nil
    }

    /// What `body` reads of the market in memory; nil when it is another process's, or not what the tables say.
    func reading<Answer: Sendable>(_ body: @Sendable (Market) throws -> Answer) rethrows -> Answer? {
        guard case .active = standing, !isStale else { return nil }
        return try body(market)
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
            await gather()
            let batch = Array(queue.prefix(Self.largestBatch))
            queue.removeFirst(batch.count)
            await settle(batch)
            crowd = (crowd.last, batch.count)
        }
    }

    /// Callers who were just answered often ask again at once, while the others wait: without this there would be two crowds that take
    /// turns, each with a commit of its own. Waits no longer than the queue grows.
    private func gather() async {
        let expected = min(crowd.before + crowd.last, Self.largestBatch)
        var (seen, idle) = (queue.count, 0)
        while queue.count < expected, idle < 2 {
            await Task.yield()
            idle = queue.count > seen ? 0 : idle + 1
            seen = queue.count
        }
    }

    private func stop() async {
        isStopped = true
        for waiting in queue { waiting.fail(Refusal("service.stopping", .unavailable, "The exchange is stopping.")) }
        queue = []
        guard case .active(let lease) = standing else { return }
        standing = .standby
        do { try await journal.database.write { try $0.releaseLease(lease) } } catch {
            logger.notice("the lease runs out by itself: \(error)")
        }
    }

    /// Applies a batch, commits it, answers.
    private func settle(_ batch: [Waiting]) async {
        guard case .active(let lease) = standing else {
            let refusal = Refusal(
                "exchange.standby", .unavailable, "Another process runs the market now.", nearest: "the same request, there or later")
            return batch.forEach { $0.fail(refusal) }
        }
        do {
            if projector.takeConflict() { isStale = true }
            if isStale { try await rebuild() }
            try await catchUp(lease)
            let known = try await known(to: batch)
            var work = DeskBatch(at: max(time.now(), market.clock))
            for waiting in batch {
                // What one command does may be due at once.
                if let due = market.nextDue, due <= work.at { try tick(&work) }
                try apply(waiting, known: known, &work)
            }
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

    /// What is due comes before any command. After a long time it is much: each part is a batch of its own, and the tables come along.
    private func catchUp(_ lease: Lease) async throws {
        if let outage {
            var work = DeskBatch(at: max(time.now(), market.clock))
            try apply(own(DeskRequest(command: .resumeAfter(outage), actor: DeskRequest.tick.actor)), known: KnownBefore(), &work)
            try await commit(work, lease)
            self.outage = nil
        }
        while case var work = DeskBatch(at: max(time.now(), market.clock)), let due = market.nextDue, due <= work.at {
            try tick(&work)
            try await commit(work, lease)
            if projector.waitingCommands > Projector.longestTail / 2 { try await projector.caughtUp() }
        }
    }

    private func tick(_ work: inout DeskBatch) throws { try apply(own(.tick), known: KnownBefore(), &work) }

    /// A command of the exchange itself, whose answer nobody waits for.
    private func own(_ request: DeskRequest) -> Waiting { Waiting(request: request, answer: { _, _ in Empty() }, caller: nil) }

    /// Throws only when the value has changed and nobody could be told how: the batch fails as a whole, and the value is rebuilt.
    private func apply(_ waiting: Waiting, known: KnownBefore, _ work: inout DeskBatch) throws {
        let changes: [MarketChange]
        let seed = ids.nextBits()
        do {
            if let earlier = try work.earlierAnswer(to: waiting, known) { return work.reply(earlier, to: waiting) }
            try work.checkClientOrderID(of: waiting, known)
            changes = try market.apply(waiting.request.command, at: work.at, seed: seed)
        } catch {
            return work.refuse(waiting, error)
        }
        try work.add(waiting, seed: seed, changes, answer: try waiting.answer(market, changes))
    }

    private func commit(_ work: DeskBatch, _ lease: Lease) async throws {
        guard !work.isEmpty else { return }
        let steps = work.steps
        for step in steps { FaultPoint.hit(step.faults.applied) }
        head = try await journal.append(work.journal(head.number + 1), after: head, lease: lease) {
            for step in steps { FaultPoint.hit(step.faults.written) }
        }
        for step in steps { FaultPoint.hit(step.faults.committed) }
        recent.forget(upTo: projector.projected.latest)
        recent.add(head.number, steps)
        await projector.add(head.number, steps, DeskBatch.Counters(market))
    }

    /// Answers given before to the keys of a batch, and client order ids it uses that are taken.
    private func known(to batch: [Waiting]) async throws -> KnownBefore {
        let requests = batch.compactMap(\.request.idempotency)
        let names = batch.compactMap(\.request.clientOrderID)
        guard !requests.isEmpty || !names.isEmpty else { return KnownBefore() }
        // What is not in the tables yet was acknowledged by this process: no batch is forgotten before it is in them.
        var known = KnownBefore()
        for request in requests { known.answers[request.slot] = recent.answer(request.slot) }
        for name in names { known.orders[name] = recent.order(name) }
        let (newRequests, newNames) = (requests.filter { known.answers[$0.slot] == nil }, names.filter { known.orders[$0] == nil })
        return try await tables.read { [known] context in
            var known = known
            for request in newRequests { known.answers[request.slot] = try context.answer(scope: request.scope, key: request.key) }
            for name in newNames {
                let sql = "SELECT id FROM orders WHERE participant = $1 AND client_order_id = $2"
                known.orders[name] = try context.queryOne(sql, [SQLValue(name.participant), .text(name.text)])?.id("id")
            }
            return known
        }
    }

    // MARK: State and lease

    /// Reads the tables, and does again what the journal has beyond them.
    private func rebuild() async throws {
        await projector.clear()
        let (snapshot, clock, position) = try await tables.read { try MarketTables.load(from: $0) }
        var market = try Market(restoring: snapshot, clock: clock)
        let violations = market.violations()
        guard violations.isEmpty else {
            throw StoreError.corrupted("the market's tables contradict each other: \(violations.joined(separator: "; "))")
        }
        projector.begin(at: position)
        recent = RecentSteps()
        var number = position
        while case let stored = try await journal.read(after: number, limit: 256), !stored.isEmpty {
            for batch in stored {
                let steps = try market.replay(try batch.batch())
                number = batch.number
                recent.add(number, steps)
                await projector.add(number, steps, DeskBatch.Counters(market))
            }
        }
        head = try await journal.head()
        guard head.number == number else {
            throw StoreError.corrupted("the market's tables are at batch \(number) of a journal that ends with \(head.number)")
        }
        self.market = market
        isStale = false
    }

    /// Renews the lease, or takes it when it is free. Called again and again, several times within a lease.
    func keepLease() async throws {
        let now = time.now()
        let (holder, span) = (self.holder, leaseSpan)
        if case .active(let lease) = standing {
            guard let renewed = try await journal.database.write({ try $0.renewLease(lease, for: span, now: now) }) else {
                standing = .standby
                return logger.warning("another process has taken the market")
            }
            // A batch under way may have found out meanwhile that the lease was lost.
            if case .active = standing { standing = .active(renewed) }
            return
        }
        guard !isStopped else { return }
        let taken = try await journal.database.write { transaction in
            let before = try transaction.lease(Self.leaseName)
            return (before: before, lease: try transaction.acquireLease(Self.leaseName, holder: holder, for: span, now: now))
        }
        guard let lease = taken.lease else { return }
        try await rebuild()
        // Whoever had the market before had it until then at least.
        let since = max(market.clock, (taken.before?.expires ?? .zero) - span)
        outage = market.clock > .zero && now - since > span ? Period(start: since, end: now) : nil
        standing = .active(lease)
        logger.info("this process runs the market", metadata: ["fencing": "\(lease.fencing)"])
    }
}

extension Market {
    /// Does the commands of a batch again.
    mutating func replay(_ batch: JournalBatch) throws -> [DeskStep] {
        try batch.entries.map { entry in
            do {
                return DeskStep(entry, changes: try apply(entry.command, at: batch.at, seed: entry.seed), at: batch.at)
            } catch let refusal as Refusal {
                throw StoreError.corrupted("batch \(batch.number) of the journal has a command that is refused now: \(refusal.message)")
            }
        }
    }
}
