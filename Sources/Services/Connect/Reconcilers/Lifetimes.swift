import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Learns from the instances that came and went, and tells placement whose end is expected otherwise now.
    func keepLifetimes() async throws {
        let now = time.now()
        let memory = self.memory
        var history: [LifetimeRecord]?
        if !memory.reading({ $0.lifetimes.isLearned }) { history = try await database.read { try Self.lives(until: now, in: $0) } }
        let lives = history
        try await write { transaction in
            transaction.reading { state in
                for change in state.lifetimes.advance(to: now, history: lives) {
                    state.occupancy.expect(change.outlook, of: change.instance)
                }
            }
            // What was taken in cannot be given back piece by piece; the tables know.
            transaction.takeBack { $0.lifetimes = LifetimeBook() }
        }
    }

    /// Older lives count for little: after four half-lives a sixteenth.
    private static let memorySpan = Span.seconds(4 * LifetimePredictor.halfLife)

    /// The lives that the tables tell of: all that go on, and those of the last weeks.
    private static func lives(until now: Instant, in context: any ReadContext) throws -> [LifetimeRecord] {
        var lives: [LifetimeRecord] = []
        var last = ""
        while true {
            let rows = try context.query(
                """
                SELECT id, milli_cpu, memory_mib, launch_index, launch_count, accepted, state, state_changed FROM instances
                WHERE id > $1 AND (state <> 'terminated' OR accepted > $2) ORDER BY id LIMIT 5000
                """, [.text(last), SQLValue(now - memorySpan)])
            for row in rows {
                let hasEnded = try row.text("state") == InstanceLifecycle.State.terminated.rawValue
                lives.append(
                    LifetimeRecord(
                        instance: try row.id("id"),
                        resources: Resources(milliCPU: try row.integer("milli_cpu"), memoryMiB: try row.integer("memory_mib")),
                        batch: Int(
                            clamping: CreateInstance.batch(
                                index: try row.integer("launch_index"), count: try row.integer("launch_count"))),
                        began: try row.instant("accepted"),
                        ended: hasEnded ? try row.instant("state_changed") : nil))
            }
            guard rows.count == 5_000, let end = rows.last else { return lives }
            last = try end.text("id")
        }
    }
}
