/// What a body sees of its transaction. It remembers the first failed statement and is dead once the body has returned.
final class BodyContext: WriteContext {
    private var connection: (any Connection)?
    let dialect: SQLDialect
    /// The first failed statement's error. The body has failed with it, whatever it returns.
    private(set) var failure: (any Error)?
    private(set) var announced: Int64?
    private var undos: [(Rollback) -> Void] = []

    init(_ connection: any Connection) {
        self.connection = connection
        dialect = connection.dialect
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [Row] { try run { try $0.query(sql, arguments) } }
    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int { try run { try $0.execute(sql, arguments) } }
    func executeMany(_ sql: String, _ rows: [[SQLValue]]) throws {
        if !rows.isEmpty { try run { try $0.executeMany(sql, rows) } }
    }

    func announce(revision: Int64) { announced = max(announced ?? revision, revision) }

    func onRollback(_ undo: @escaping (Rollback) -> Void) { undos.append(undo) }

    /// Takes back what the body changed outside the database.
    func undo(_ rollback: Rollback) {
        while let undo = undos.popLast() { undo(rollback) }
    }

    /// After this every call is a bug of the body, which let its context escape.
    func end() { connection = nil }

    private func run<Value>(_ work: (any Connection) throws -> Value) throws -> Value {
        guard let connection else { preconditionFailure("a transaction was used after its body returned") }
        if let failure { throw failure }
        do {
            return try work(connection)
        } catch {
            failure = error
            throw error
        }
    }
}
