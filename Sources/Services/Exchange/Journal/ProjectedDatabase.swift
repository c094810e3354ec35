import Store

/// The market's tables as callers must find them: every read and write waits until what was acknowledged before it is in them. While
/// they cannot be written, reads are of what they have: what is missing is in the journal, and new commands are refused.
struct ProjectedDatabase: Database {
    let base: any Database
    let projector: Projector

    var dialect: SQLDialect { base.dialect }
    var changes: ChangeSignal { base.changes }
    var statistics: StoreStatistics { base.statistics }

    func read<T: Sendable>(_ body: @escaping @Sendable (any ReadContext) throws -> T) async throws -> T {
        do { try await projector.caughtUp() } catch is StoreError {}
        return try await base.read(body)
    }

    @discardableResult
    func write<T: Sendable>(_ body: @escaping @Sendable (any WriteContext) throws -> T) async throws -> T {
        try await projector.caughtUp()
        return try await base.write(body)
    }

    func close() async { await base.close() }
}
