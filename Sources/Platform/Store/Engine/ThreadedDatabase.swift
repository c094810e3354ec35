import Logging

/// A database served by threads: one that writes, several that read. The same for SQLite and PostgreSQL.
final class ThreadedDatabase: Database {
    let dialect: SQLDialect
    let changes: ChangeSignal
    private let reads: BoundedQueue<any PendingWork>
    private let writes: BoundedQueue<any PendingWork>
    private let counters = Counters()
    private let threads: DatabaseThreads

    /// Opens the writer's connection and starts the threads. Throws when it cannot be opened.
    init(engine: any Engine, changes: ChangeSignal, options: DatabaseOptions) throws {
        dialect = engine.dialect
        self.changes = changes
        let reads = BoundedQueue<any PendingWork>(bound: options.maximumWaitingReads)
        let writes = BoundedQueue<any PendingWork>(bound: options.maximumWaitingWrites)
        (self.reads, self.writes) = (reads, writes)
        let connection = try engine.openWriter()
        changes.advance(to: try engine.dialect.revisionOnOpening { try connection.query($0, []) })
        let writer = GroupWriter(
            connection: connection, queue: writes, maximumGroup: options.maximumGroup ?? engine.defaultGroup, changes: changes,
            counters: counters, logger: options.logger)
        let readers = (1...max(1, options.readers)).map { number in
            let reader = SnapshotReader(engine: engine, queue: reads)
            return DatabaseThreads.Body(name: "\(engine.dialect)-read-\(number)") { reader.serve() }
        }
        let writing = DatabaseThreads.Body(name: "\(engine.dialect)-write", niceness: options.writerNiceness) { writer.serve() }
        engine.start()
        threads = DatabaseThreads([writing] + readers) {
            // After the readers: SQLite's last connection empties the log into the file, and only the writer's can.
            connection.close()
            engine.finish()
        }
    }

    deinit {
        // Nobody can wait any more; the threads end by themselves.
        reads.close()
        writes.close()
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (any ReadContext) throws -> T) async throws -> T {
        try await submit(to: reads) { try body($0) }
    }

    @discardableResult
    func write<T: Sendable>(_ body: @escaping @Sendable (any WriteContext) throws -> T) async throws -> T {
        try await submit(to: writes) { try body($0) }
    }

    func close() async {
        reads.close()
        writes.close()
        await threads.waitUntilEnded()
    }

    var statistics: StoreStatistics {
        var value = counters.value
        value.waitingReads = reads.count
        value.waitingWrites = writes.count
        return value
    }

    private func submit<T: Sendable>(
        to queue: BoundedQueue<any PendingWork>, _ body: @escaping @Sendable (BodyContext) throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { caller in
            switch queue.offer(PendingBody(caller: caller, body: body)) {
            case .accepted: break
            case .full:
                counters.count { $0.refused += 1 }
                caller.resume(throwing: StoreError.busy("too many calls wait for the database"))
            case .closed:
                caller.resume(throwing: StoreError.connection("the database is closed"))
            }
        }
    }
}
