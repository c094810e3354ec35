public import ServiceLifecycle
public import Store

/// Closes a program's database when the program stops. Put it first: services stop in reverse order, so all others are done with it.
public struct DatabaseClosing: Service {
    private let database: any Database

    public init(_ database: any Database) { self.database = database }

    public func run() async throws {
        try? await gracefulShutdown()
        await database.close()
    }
}
