/// A PostgreSQL database, shared with other processes.
final class PostgresEngine: Engine {
    let dialect = SQLDialect.postgres
    /// PostgreSQL remembers 64 savepoints of a transaction cheaply; beyond, every snapshot taken by anybody costs more.
    let defaultGroup = 60
    private let url: String
    private let options: DatabaseOptions
    private let listener: PostgresListener

    init(url: String, options: DatabaseOptions, changes: ChangeSignal) throws {
        self.url = url
        self.options = options
        listener = try PostgresListener(url: url, changes: changes, logger: options.logger)
    }

    func openWriter() throws -> any Connection {
        try PostgresConnection(url: url, reconnectTimeout: options.reconnectTimeout, logger: options.logger, isPatient: false)
    }

    func openReader() throws -> any Connection {
        try PostgresConnection(url: url, reconnectTimeout: options.reconnectTimeout, logger: options.logger, isPatient: true)
    }

    func start() { listener.start() }
    func finish() { listener.stop() }
}
