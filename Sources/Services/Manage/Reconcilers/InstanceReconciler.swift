import CloudAPI
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization

/// Drives every instance that something is still to be done for, one step at a time.
///
/// Each step can be repeated: orders and requests carry keys made from the instance, so that a program killed in the middle
/// carries on where it was, and what was done once is not done twice.
struct InstanceReconciler: Service {
    let core: ManageCore
    private let driven = Driven()
    /// Instances driven at the same time.
    private static let largestWidth = 32
    /// Looks again after this long even when nothing is heard.
    private static let longestPause = Span.milliseconds(500)

    init(core: ManageCore) { self.core = core }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                while !Task.isCancelled {
                    let heard = core.database.changes.latest
                    let free = Self.largestWidth - driven.count
                    let due = await due(free)
                    for record in due where driven.insert(record.id) {
                        group.addTask {
                            await core.drive(record)
                            driven.remove(record.id)
                        }
                    }
                    await core.database.changes.wait(after: heard, timeout: Self.longestPause.duration)
                }
            }
        }
    }

    private func due(_ count: Int) async -> [InstanceRecord] {
        guard count > 0 else { return [] }
        do {
            let now = core.time.now()
            // Those being driven are still due in the table; look past them.
            let records = try await core.database.read { try InstanceRecord.due(at: now, limit: count + Self.largestWidth, in: $0) }
            return Array(records.filter { !driven.contains($0.id) }.prefix(count))
        } catch {
            core.logger.warning("instances cannot be read now", metadata: ["error": "\(error)"])
            return []
        }
    }
}

/// Instances that a task drives now.
private final class Driven: Sendable {
    private let state = Mutex<Set<InstanceID>>([])
    var count: Int { state.withLock { $0.count } }
    func contains(_ id: InstanceID) -> Bool { state.withLock { $0.contains(id) } }
    func insert(_ id: InstanceID) -> Bool { state.withLock { $0.insert(id).inserted } }
    func remove(_ id: InstanceID) { _ = state.withLock { $0.remove(id) } }
}

extension ManageCore {
    /// Takes steps until nothing is left to be done, or the next has to wait.
    func drive(_ first: InstanceRecord) async {
        var record = first
        do {
            while let next = try await advance(record), next.isUnfinished, next.nextAttempt <= time.now() { record = next }
        } catch is CancellationError {
            return
        } catch {
            await settle(error, record)
        }
    }

    /// One step. Returns the record as it is stored now.
    private func advance(_ record: InstanceRecord) async throws -> InstanceRecord? {
        switch (record.step, record.action) {
        case (.source?, _): try await source(record)
        case (.create?, _): try await create(record)
        case (nil, let action?): try await forward(action, record)
        case (nil, nil): nil
        }
    }

    /// Changes an instance as it is stored now. Nil when it is gone or terminated.
    func change(_ id: InstanceID, _ body: @escaping @Sendable (inout InstanceRecord) -> Void) async throws -> InstanceRecord? {
        let now = time.now()
        return try await database.write { transaction in
            guard var record = try InstanceRecord.load(id, in: transaction), record.state != .terminated else { return nil }
            body(&record)
            try record.save(in: transaction, at: now)
            return record
        }
    }
}
