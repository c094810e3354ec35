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
        _ = Self.configured
        self.path = path
        self.reservedLog = reservedLog
        lock = Mutex(try FileLock(guarding: path))
    }

    /// Once for the process, before SQLite is first used.
    private static let configured: Void = bourse_sqlite_configure()

    func openWriter() throws -> any Connection { try SQLiteConnection(path: path, isWriter: true, reservedLog: reservedLog) }
    func openReader() throws -> any Connection { try SQLiteConnection(path: path, isWriter: false) }
    func start() {}
    func finish() { lock.withLock { $0 = nil } }
}
