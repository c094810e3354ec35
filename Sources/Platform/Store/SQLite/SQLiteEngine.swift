import CSQLite
import Synchronization

/// An SQLite file: one process, one writer, several readers, write-ahead log.
final class SQLiteEngine: Engine {
    let dialect = SQLDialect.sqlite
    let defaultGroup = 512
    private let path: String
    private let reservedLog: Int
    private let lock: Mutex<FileLock?>

    init(path: String, reservedLog: Int = 0) throws {
        _ = Self.withoutStatistics
        self.path = path
        self.reservedLog = reservedLog
        lock = Mutex(try FileLock(guarding: path))
    }

    /// SQLite counts its memory under one lock for all threads unless it is told not to, before it is first used.
    private static let withoutStatistics: Void = { _ = bourse_sqlite_without_statistics() }()

    func openWriter() throws -> any Connection { try SQLiteConnection(path: path, isWriter: true, reservedLog: reservedLog) }
    func openReader() throws -> any Connection { try SQLiteConnection(path: path, isWriter: false) }
    func start() {}
    func finish() { lock.withLock { $0 = nil } }
}
