import ServiceLifecycle
public import Store

extension Database {
    /// Changes after a revision; waits for the first one when there is none, but no longer than the program runs. `latest` lets a
    /// reader skip what is not for it; where it is before `after`, the reader has seen what this database has lost, or made it up.
    public func awaitChanges(
        topics: [String]?, after: Int64, limit: Int = 500, wait: Duration
    ) async throws -> (changes: [Change], latest: Int64) {
        let deadline = ContinuousClock.now + wait
        while true {
            let found = try await read { context -> (changes: [Change], latest: Int64) in
                let changes = try context.changes(topics: topics, after: after, limit: limit)
                return (changes, changes.count == limit ? changes[changes.count - 1].revision : try context.latestRevision())
            }
            let left = deadline - .now
            guard found.changes.isEmpty, found.latest >= after, left > .zero, !Task.isCancelled, !Task.isShuttingDownGracefully else {
                return found
            }
            await cancelWhenGracefulShutdown { await changes.wait(after: found.latest, timeout: left) }
        }
    }
}
