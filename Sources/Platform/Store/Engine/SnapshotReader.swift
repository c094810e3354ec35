/// A reader thread: runs one body after the other, each on a snapshot. Opens its connection when first needed.
final class SnapshotReader: @unchecked Sendable {  // used by its thread only, after the thread has started
    private let engine: any Engine
    private let queue: BoundedQueue<any PendingWork>
    private var connection: (any Connection)?

    init(engine: any Engine, queue: BoundedQueue<any PendingWork>) {
        self.engine = engine
        self.queue = queue
    }

    /// Serves until the queue is closed and drained.
    func serve() {
        while let body = queue.take(upTo: 1).first {
            // A connection that turns out to be dead is replaced once: reading again harms nobody.
            if let error = run(body), let error = error.isConnectionLoss ? run(body) : error {
                body.finish(failing: error)
            } else {
                body.finish(failing: nil)
            }
        }
        connection?.close()
    }

    /// Runs the body. Returns an error when the database failed it, nil when the body has its own result, good or bad.
    private func run(_ body: any PendingWork) -> (any Error)? {
        do {
            let connection = try connection ?? engine.openReader()
            self.connection = connection
            try connection.beginRead()
            let context = BodyContext(connection)
            _ = body.perform(in: context)
            if let failure = context.failure, connection.transactionIsLost { throw failure }
            connection.rollback()
            return nil
        } catch {
            connection?.close()
            connection = nil
            return error
        }
    }
}

extension Error {
    var isConnectionLoss: Bool {
        if let error = self as? StoreError, case .connection = error { true } else { false }
    }
}
