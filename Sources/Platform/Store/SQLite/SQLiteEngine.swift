import Synchronization

/// An SQLite file: one process, one writer, several readers, write-ahead log.
final class SQLiteEngine: Engine {
    let dialect = SQLDialect.sqlite
    let defaultGroup = 512
    private let path: String
    private let lock: Mutex<FileLock?>

    init(path: String) throws {
        self.path = path
        lock = Mutex(try FileLock(guarding: path))
    }

    func openWriter() throws -> any Connection { try SQLiteConnection(path: path, isWriter: true) }
    func openReader() throws -> any Connection { try SQLiteConnection(path: path, isWriter: false) }
    func start() {}
    func finish() { lock.withLock { $0 = nil } }
}
