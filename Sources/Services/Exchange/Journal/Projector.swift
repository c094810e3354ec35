import DequeModule
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization

/// Writes the market's tables behind its journal: what was journaled waits here, and goes to the tables many batches at a time.
///
/// A record that changed ten times while it waited is written once. On SQLite, where callers wait for the same processors and the same
/// disk, rows wait for a quiet moment, but not when somebody asks for them or follows the changes, and never long. When the tables
/// cannot be written, what waits is kept and tried again; a process that ends meanwhile finds it in the journal.
actor Projector: Service {
    /// Commands that may wait before more are refused.
    static let longestTail = 250_000
    /// Commands written in one transaction.
    private static let largestGroup = 4_096
    private static let retry = Duration.milliseconds(250)
    /// It is quiet when nothing has come for this long.
    private static let quiet = Duration.milliseconds(5)
    /// Rows that nobody asks for wait no longer than this for a quiet moment, and not for one when more commands wait than this.
    private static let patience = Duration.seconds(3)
    private static let patientTail = longestTail / 2

    private struct Piece {
        let number: Int64
        let steps: [DeskStep]
        let counters: DeskBatch.Counters
        /// In commands: one that changes much, as the clock's do, counts for many.
        let weight: Int
        let added = ContinuousClock.now

        init(number: Int64, steps: [DeskStep], counters: DeskBatch.Counters) {
            self.number = number
            self.steps = steps
            self.counters = counters
            weight = steps.reduce(0) { $0 + max(1, $1.changes.count / 4) }
        }
    }

    /// What others may know, and add to, without waiting for the actor.
    private struct Standing {
        var pieces: Deque<Piece> = []
        /// The last batch journaled, and so acknowledged.
        var journaled: Int64 = 0
        var waitingCommands = 0
        var trouble: (any Error)?
        var isConflicting = false
    }

    private let database: any Database
    private let metrics: Metrics
    private let logger: Logger
    private let standing = Mutex(Standing())
    /// The last batch whose rows are in the tables.
    nonisolated let projected = ChangeSignal()
    /// The last batch whose rows somebody has asked for.
    private let asked = ChangeSignal()
    private var underWay: Task<Void, Never>?
    private let wakeups: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(database: any Database, metrics: Metrics, logger: Logger) {
        self.database = database
        self.metrics = metrics
        self.logger = logger
        (wakeups, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: What others ask

    nonisolated var journaled: Int64 { standing.withLock { $0.journaled } }
    /// Why the tables cannot be written now.
    nonisolated var trouble: (any Error)? { standing.withLock { $0.trouble } }
    nonisolated var waitingCommands: Int { standing.withLock { $0.waitingCommands } }

    /// Another process has written the tables: the value in memory is to be built anew.
    nonisolated func takeConflict() -> Bool {
        standing.withLock { standing in
            defer { standing.isConflicting = false }
            return standing.isConflicting
        }
    }

    /// Returns once everything acknowledged before the call is in the tables. Throws at once when they cannot be written now, and after
    /// ten seconds when they are far behind.
    nonisolated func caughtUp() async throws {
        let target = journaled
        guard projected.latest < target else { return }
        asked.advance(to: target)
        for _ in 0..<100 {
            if waitingCommands == 0, try await isWritten(target) { return }
            await projected.wait(after: target - 1, timeout: .milliseconds(100))
            guard projected.latest < target else { return }
            if let trouble { throw trouble }
        }
        let waiting = waitingCommands
        throw Refusal(
            "exchange.behind", .unavailable, "The tables are \(waiting) commands behind the market.",
            facts: ["waiting": .number(Int64(waiting))], nearest: "the same request, a little later")
    }

    /// Whether the tables hold a batch. With nothing left to write here it is another process that writes it, having taken the market over.
    private nonisolated func isWritten(_ number: Int64) async throws -> Bool {
        let position = try await database.read { try $0.queryOne("SELECT journal FROM market_state WHERE id = 1")?.integer("journal") }
        guard let position, position >= number else { return false }
        projected.advance(to: position)
        return true
    }

    // MARK: What the desk does

    /// Forgets what waits and lets what is under way end: the desk is about to read the tables and the journal anew.
    func clear() async {
        standing.withLock { $0.pieces = [] }
        await underWay?.value
        standing.withLock { $0 = Standing(journaled: $0.journaled) }
    }

    /// The tables hold everything up to this batch.
    nonisolated func begin(at number: Int64) {
        standing.withLock { $0.journaled = number }
        projected.advance(to: number)
    }

    /// A batch that is in the journal.
    nonisolated func add(_ number: Int64, _ steps: [DeskStep], _ counters: DeskBatch.Counters) {
        let piece = Piece(number: number, steps: steps, counters: counters)
        let isFirst = standing.withLock { standing in
            standing.pieces.append(piece)
            standing.journaled = number
            standing.waitingCommands += piece.weight
            return standing.pieces.count == 1
        }
        if isFirst { wake.yield() }
    }

    // MARK: The loop

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            for await _ in wakeups {
                var isMore = true
                while isMore, !Task.isCancelled {
                    await waitForTime()
                    isMore = await writeNext()
                }
            }
        }
        // What does not fit any more is in the journal.
        while trouble == nil, await writeNext() {}
    }

    /// Returns when what waits is to be written, or nothing does.
    private func waitForTime() async {
        while !Task.isCancelled, !isTime {
            // Nobody asked since, or it would be time.
            await asked.wait(after: max(asked.latest, projected.latest), timeout: Self.quiet)
        }
    }

    private var isTime: Bool {
        // Other processes read these tables, and cannot ask for what waits here.
        guard database.dialect == .sqlite else { return true }
        if asked.latest > projected.latest || database.changes.isAwaited { return true }
        let now = ContinuousClock.now
        return standing.withLock { standing in
            guard let first = standing.pieces.first, let last = standing.pieces.last else { return true }
            return standing.waitingCommands > Self.patientTail || now - last.added > Self.quiet || now - first.added > Self.patience
        }
    }

    /// Writes what waits, up to a group. False when there is nothing.
    private func writeNext() async -> Bool {
        guard underWay == nil else { return false }
        let (group, count) = nextGroup()
        guard let first = group.first, let last = group.last else { return false }
        let rows = DeskRows(batches: group.map(\.steps), counters: last.counters, from: first.number - 1, to: last.number)
        let writing = Task { await write(rows, group.count, count) }
        underWay = writing
        await writing.value
        underWay = nil
        return true
    }

    /// The pieces that are written next, and how many commands they are.
    private func nextGroup() -> (pieces: [Piece], commands: Int) {
        standing.withLock { standing in
            var count = 0
            var group: [Piece] = []
            for piece in standing.pieces {
                if !group.isEmpty, count + piece.weight > Self.largestGroup { break }
                group.append(piece)
                count += piece.weight
            }
            return (group, count)
        }
    }

    /// The first pieces are in the tables, unless everything was cleared meanwhile.
    private func forget(_ rows: DeskRows, _ batches: Int, _ commands: Int) {
        standing.withLock { standing in
            guard standing.pieces.first?.number == rows.from + 1 else { return }
            standing.pieces.removeFirst(batches)
            standing.waitingCommands -= commands
            standing.trouble = nil
        }
    }

    private func write(_ rows: DeskRows, _ batches: Int, _ commands: Int) async {
        do {
            try await database.write { transaction in
                try rows.write(in: transaction)
                FaultPoint.hit("exchange.tables.written")
            }
            FaultPoint.hit("exchange.tables.committed")
            forget(rows, batches, commands)
            projected.advance(to: rows.to)
            metrics.count("bourse_market_table_writes")
        } catch is TablesMoved {
            standing.withLock { $0 = Standing(journaled: $0.journaled, isConflicting: true) }
            logger.warning("another process has written the market's tables")
        } catch {
            if trouble == nil { logger.warning("the market's tables cannot be written now", metadata: ["error": "\(error)"]) }
            standing.withLock { $0.trouble = error }
            try? await Task.sleep(for: Self.retry)
        }
    }
}

/// The tables are not at the batch this process thinks they are.
struct TablesMoved: Error {}
