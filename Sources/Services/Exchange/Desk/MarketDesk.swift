import CloudAPI
import Foundation
import Logging
import Market
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// Owns the market of this exchange. Commands queue; one loop takes all that wait and applies them to the value in memory, another
/// writes what was applied to the journal as **one** batch, and only then answers each caller. While a batch is on its way to disk the
/// next one forms. Tables follow behind: see `Projector`.
///
/// When the journal cannot be written, nobody was answered: everybody is told so, and the value is built anew from the tables and
/// the journal before the next command. One process holds the lease of the market; the others refuse commands, serve reads and wait
/// for their turn.
actor MarketDesk: Service {
    private static let largestBatch = 512
    /// Turns of the other tasks for which a batch waits for callers who come back: together less than a commit takes.
    private static let longestGathering = 16
    private static let leaseName = "market"
    /// A batch that has been forming longer takes no more commands: they would bear a time that has passed.
    private static let longestWait = Span.milliseconds(20)
    private static var standby: Refusal {
        Refusal("exchange.standby", .unavailable, "Another process runs the market now.", nearest: "the same request, there or later")
    }

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
    private let departures: AsyncStream<Void>
    private let depart: AsyncStream<Void>.Continuation

    private var market = Market()
    private var head = MarketJournal.Head.start
    private var recent = RecentSteps()
    private var standing = Standing.standby
    /// The value in memory may not be what the tables say.
    private var isStale = false
    private var isRebuilding = false
    private let inbox = DeskInbox()
    /// Applied, but not yet on its way to the journal.
    private var applied: DeskBatch?
    /// A batch is on its way to the journal.
    private var isCommitting = false
    private var progressWaiters: [CheckedContinuation<Void, Never>] = []
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
        (departures, depart) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Asking

    /// Does a command and returns once it is durable. Throws its refusal, or why nothing was changed.
    nonisolated func perform<Answer: Codable & Sendable>(
        _ request: DeskRequest, answer: @escaping @Sendable (Market, [MarketChange]) throws -> Answer
    ) async throws -> Answer {
        try checkTables()
        let reply = try await withCheckedThrowingContinuation { caller in
            if inbox.offer(Waiting(request: request, answer: { try answer($0, $1) }, caller: caller)) { wake.yield() }
        }
        switch reply {
        case .fresh(let value):
            guard let answer = value as? Answer else { preconditionFailure("a command is answered by its own closure") }
            return answer
        case .stored(let earlier): return try WireJSON.decode(Answer.self, from: Data(earlier.body.utf8))
        }
    }

    /// Takes no more while the tables cannot be written, or are too far behind.
    private nonisolated func checkTables() throws {
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
        if inbox.offer(own(.tick)) { wake.yield() }
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
            async let committing: Void = commitDepartures()
            for await _ in wakeups { await drain() }
            await committing
        }
        await stop()
    }

    private func stop() async {
        isStopped = true
        inbox.close()
        await commitApplied()
        guard case .active(let lease) = standing else { return }
        standing = .standby
        do { try await journal.database.write { try $0.releaseLease(lease) } } catch {
            logger.notice("the lease runs out by itself: \(error)")
        }
    }

    // MARK: Applying

    private func drain() async {
        while inbox.count > 0 {
            await gather()
            await settle(inbox.take(Self.largestBatch))
        }
    }

    /// Callers who were just answered often ask again at once. Waits no longer than more and more of them come.
    private func gather() async {
        var seen = inbox.count
        for _ in 0..<8 {
            await Task.yield()
            let count = inbox.count
            guard count > seen else { return }
            seen = count
        }
    }

    /// Applies commands and sends them on their way to the journal.
    private func settle(_ batch: [Waiting]) async {
        let known: KnownBefore
        do { known = try await prepare(for: batch) } catch {
            if error is LeaseLost { standing = .standby }
            return batch.forEach { $0.fail(error) }
        }
        var work = applied ?? DeskBatch(at: max(time.now(), market.clock))
        applied = nil
        for (index, waiting) in batch.enumerated() {
            if index.isMultiple(of: Market.horizon) {
                market.approach(batch[index...].prefix(Market.horizon).lazy.map(\.request.command))
            }
            do {
                // What one command does may be due at once.
                if let due = market.nextDue, due <= work.at { try tick(&work) }
                try apply(waiting, known: known, &work)
            } catch {
                batch[index...].forEach { $0.fail(error) }
                return fail(work, error)
            }
        }
        applied = work
        depart.yield()
    }

    /// Returns what is known about a batch once the value in memory may be changed: it is what the journal says, nothing is due, and
    /// the batch that is forming is neither large nor old.
    private func prepare(for batch: [Waiting]) async throws -> KnownBefore {
        while true {
            guard case .active = standing else { throw Self.standby }
            if projector.takeConflict() { isStale = true }
            let isDue = outage != nil || market.nextDue.map { $0 <= time.now() } ?? false
            if isStale || isDue {
                await settled()
                guard case .active = standing else { throw Self.standby }
                if isStale { try await rebuild() }
                try await catchUp()
            }
            while let forming = applied, forming.steps.count >= Self.largestBatch || time.now() - forming.at > Self.longestWait {
                await progress()
            }
            let known = try await known(to: batch)
            // Much may have happened while the tables were read.
            if !isStale, case .active = standing { return known }
        }
    }

    // MARK: Committing

    private func commitDepartures() async {
        for await _ in departures { await commitApplied() }
    }

    /// Writes what was applied, until nothing is, and answers its callers.
    private func commitApplied() async {
        guard !isCommitting else { return await settled() }
        isCommitting = true
        while let work = applied {
            applied = nil
            proceed()
            do {
                try await commit(work, DeskBatch.Counters(market))
                await work.answerAll()
                await gatherReturning(work.steps.count)
            } catch {
                fail(work, error)
            }
        }
        isCommitting = false
        proceed()
    }

    /// Callers who were just answered often ask again at once. The next batch leaves once as many are here and applied, or no more come:
    /// a commit takes as long for few commands as for many, and whoever misses it waits for all of the next.
    private func gatherReturning(_ answered: Int) async {
        let full = forming + answered
        for _ in 0..<Self.longestGathering {
            let seen = forming
            if inbox.count == 0, seen >= min(full, Self.largestBatch) { return }
            await Task.yield()
            if inbox.count == 0, forming == seen { return }
        }
    }

    /// How many commands came since the last batch left.
    private var forming: Int { inbox.count + (applied?.steps.count ?? 0) }

    /// What was not written did not happen, nor did what was applied after it: the value is built anew before the next command.
    private func fail(_ work: DeskBatch, _ error: any Error) {
        isStale = true
        if error is LeaseLost { standing = .standby }
        let later = applied
        applied = nil
        let commands = work.steps.count + (later?.steps.count ?? 0)
        logger.warning("a batch of the market was not committed", metadata: ["commands": "\(commands)", "error": "\(error)"])
        work.failAll(error)
        later?.failAll(error)
    }

    /// Returns once nothing that was applied is still on its way.
    private func settled() async {
        while isCommitting || applied != nil {
            depart.yield()
            await progress()
        }
    }

    /// Returns when a batch has left or arrived.
    private func progress() async { await withCheckedContinuation { progressWaiters.append($0) } }

    private func proceed() {
        for waiter in progressWaiters { waiter.resume() }
        progressWaiters = []
    }

    /// What is due comes before any command. After a long time it is much: each part is a batch of its own, and the tables come along.
    private func catchUp() async throws {
        do { try await catchUpByParts() } catch {
            isStale = true
            throw error
        }
    }

    private func catchUpByParts() async throws {
        if let outage {
            var work = DeskBatch(at: max(time.now(), market.clock))
            try apply(own(DeskRequest(command: .resumeAfter(outage), actor: DeskRequest.tick.actor)), known: KnownBefore(), &work)
            try await commit(work, DeskBatch.Counters(market))
            self.outage = nil
        }
        while case var work = DeskBatch(at: max(time.now(), market.clock)), let due = market.nextDue, due <= work.at {
            try tick(&work)
            try await commit(work, DeskBatch.Counters(market))
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

    private func commit(_ work: DeskBatch, _ counters: DeskBatch.Counters) async throws {
        guard !work.isEmpty else { return }
        guard case .active(let lease) = standing else { throw Self.standby }
        let steps = work.steps
        if FaultPoint.isArmed { for step in steps { FaultPoint.hit(step.faults.applied) } }
        recent.forget(upTo: projector.projected.latest)
        recent.add(head.number + 1, steps)
        head = try await journal.append(steps, at: work.at, after: head, lease: lease) {
            if FaultPoint.isArmed { for step in steps { FaultPoint.hit(step.faults.written) } }
        }
        if FaultPoint.isArmed { for step in steps { FaultPoint.hit(step.faults.committed) } }
        projector.add(head.number, steps, counters)
        metrics.count("bourse_market_batches")
        metrics.count("bourse_market_commands", by: steps.count)
    }

    /// Answers given before to the keys of a batch, and client order ids it uses that are taken.
    private func known(to batch: [Waiting]) async throws -> KnownBefore {
        let requests = batch.compactMap(\.request.idempotency)
        let names = batch.compactMap(\.request.clientOrderID)
        guard !requests.isEmpty || !names.isEmpty else { return KnownBefore() }
        // What is not in the tables yet was acknowledged by this process: no batch is forgotten before it is in them.
        while true {
            let forgotten = recent.forgotten
            let newRequests = requests.filter { recent.answer($0.slot) == nil }
            let newNames = names.filter { recent.order($0) == nil }
            var known = try await tables.read { try KnownBefore(newRequests, newNames, in: $0) }
            // The batch that was forming may have left while the tables were read, and others may have come into them.
            guard recent.forgotten == forgotten else { continue }
            for request in requests { known.answers[request.slot] = known.answers[request.slot] ?? recent.answer(request.slot) }
            for name in names { known.orders[name] = known.orders[name] ?? recent.order(name) }
            return known
        }
    }

    // MARK: State and lease

    /// Reads the tables, and does again what the journal has beyond them.
    private func rebuild() async throws {
        isRebuilding = true
        defer { isRebuilding = false }
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
                projector.add(number, steps, DeskBatch.Counters(market))
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
        guard !isStopped, !isRebuilding else { return }
        let taken = try await journal.database.write { transaction in
            let before = try transaction.lease(Self.leaseName)
            return (before: before, lease: try transaction.acquireLease(Self.leaseName, holder: holder, for: span, now: now))
        }
        guard let lease = taken.lease else { return }
        await settled()
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
