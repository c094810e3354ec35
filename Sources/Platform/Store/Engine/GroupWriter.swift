import Logging

/// The writer thread: takes what waits, commits it as one transaction, answers each caller.
struct GroupWriter: Sendable {
    /// How often a group runs again before its callers are told to come back later.
    private static let maximumAttempts = 8

    let connection: any Connection
    let queue: BoundedQueue<any PendingWork>
    let maximumGroup: Int
    let changes: ChangeSignal
    let counters: Counters
    let logger: Logger

    /// Serves until the queue is closed and drained.
    func serve() {
        while true {
            let group = queue.take(upTo: maximumGroup)
            if group.isEmpty { return }
            settle(group)
        }
    }

    /// Runs a group until it is committed or has failed for good, then answers its callers.
    private func settle(_ group: [any PendingWork]) {
        for attempt in 1...Self.maximumAttempts {
            switch run(group) {
            case .committed(let bodies, let revision):
                counters.count {
                    $0.commits += bodies > 0 ? 1 : 0
                    $0.committedBodies += bodies
                    $0.failedBodies += group.count - bodies
                }
                if let revision { changes.advance(to: revision) }
                return answer(group, nil)
            case .failed(let error):
                logger.warning("a group commit failed", metadata: ["error": "\(error)", "bodies": "\(group.count)"])
                counters.count { $0.failedBodies += group.count }
                return answer(group, error)
            case .again(let error):
                logger.info("a group commit runs again", metadata: ["error": "\(error)", "attempt": "\(attempt)"])
                counters.count { $0.retries += 1 }
            }
        }
        counters.count { $0.failedBodies += group.count }
        answer(group, StoreError.busy("gave up after \(Self.maximumAttempts) conflicts with other writers"))
    }

    private func answer(_ group: [any PendingWork], _ error: (any Error)?) {
        for body in group { body.finish(failing: error) }
    }

    private enum Outcome {
        /// `bodies` went well; the rest failed alone. `revision` is the newest change in them.
        case committed(bodies: Int, revision: Int64?)
        case failed(any Error)
        case again(any Error)
    }

    private func run(_ group: [any PendingWork]) -> Outcome {
        var done: [BodyContext] = []
        do {
            try connection.beginWrite()
            for body in group {
                guard let context = try perform(body, alone: group.count == 1) else { continue }
                done.append(context)
            }
        } catch {
            return recover(from: error, whileCommitting: false, done)
        }
        guard !done.isEmpty else {
            connection.rollback()
            return .committed(bodies: 0, revision: nil)
        }
        do {
            let revision = Self.newest(in: done)
            try connection.commit(announcing: revision)
            return .committed(bodies: done.count, revision: revision)
        } catch {
            return recover(from: error, whileCommitting: true, done)
        }
    }

    private static func newest(in done: [BodyContext]) -> Int64? { done.compactMap(\.announced).last }

    /// Runs one body in a savepoint of its own. Nil when it failed and was rolled back alone; throws when all is lost.
    private func perform(_ body: any PendingWork, alone: Bool) throws -> BodyContext? {
        if !alone { try connection.setSavepoint() }
        let context = BodyContext(connection)
        guard body.perform(in: context) != nil else {
            do {
                if !alone { try connection.releaseSavepoint() }
            } catch {
                context.undo(.complete)
                throw error
            }
            return context
        }
        context.undo(.complete)
        if let failure = context.failure, connection.transactionIsLost { throw failure }
        if !alone { try connection.rollbackToSavepoint() }
        return nil
    }

    private func recover(from error: any Error, whileCommitting: Bool, _ done: [BodyContext]) -> Outcome {
        connection.rollback()
        let recovery = connection.recover(from: error, whileCommitting: whileCommitting)
        if case .committed = recovery { return .committed(bodies: done.count, revision: Self.newest(in: done)) }
        guard case .failed(let error) = recovery else {
            for context in done.reversed() { context.undo(.complete) }
            return .again(error)
        }
        for context in done.reversed() { context.undo(whileCommitting ? .uncertain : .complete) }
        return .failed(error)
    }
}
