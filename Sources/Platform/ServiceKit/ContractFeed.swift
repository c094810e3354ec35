public import CloudAPI
import CloudClient
public import Logging
public import Primitives
public import ServiceLifecycle
public import Store

/// Follows the exchange's change feed for a participant's program and copies every contract that changed: all of them at first,
/// then each as it does, and says which orders changed. Where it is in the feed is kept in the program's table `bookmarks`.
public struct ContractFeed: Service {
    private let identity: ProgramIdentity
    private let database: any Database
    private let logger: Logger
    private let orders: (@Sendable ([OrderID]) async throws -> Void)?
    private let copy: @Sendable (ContractView) async throws -> Void

    /// - Parameters:
    ///   - orders: told of orders that changed, before the contracts that changed with them are copied.
    ///   - copy: stores the contract.
    ///
    /// Both are called again with the same when the program ended before it was noted.
    public init(
        identity: ProgramIdentity, database: any Database, logger: Logger, orders: (@Sendable ([OrderID]) async throws -> Void)? = nil,
        copy: @escaping @Sendable (ContractView) async throws -> Void
    ) {
        self.identity = identity
        self.database = database
        self.logger = logger
        self.orders = orders
        self.copy = copy
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await follow()
                } catch is CancellationError {
                    return
                } catch {
                    logger.warning("the exchange's change feed is interrupted", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
    }

    private func follow() async throws {
        let exchange = identity.exchange
        let after = try await database.read { try Bookmark.load("exchange", in: $0) }
        if after == 0 { for contract in try await exchange.items(of: ExchangeAPI.listContracts) { try await copy(contract) } }
        let page = try await exchange.call(ExchangeAPI.changes, query: ["after": String(after), "wait": "30"], deadline: .seconds(45))
        if let orders {
            let changed = Set(page.changes.filter { $0.topic == "order" }.map(\.subject)).compactMap(OrderID.init).sorted()
            if !changed.isEmpty { try await orders(changed) }
        }
        for contract in Set(page.changes.filter { $0.topic == "contract" }.map(\.subject)).compactMap(ContractID.init).sorted() {
            try await copy(try await exchange.call(ExchangeAPI.showContract, path: ["contract": contract.description]))
        }
        guard page.latest != after else { return }
        try await database.write { try Bookmark.save("exchange", page.latest, in: $0) }
    }
}

/// A position in somebody else's change feed.
public enum Bookmark {
    public static func load(_ name: String, in context: any ReadContext) throws -> Int64 {
        try context.queryOne("SELECT revision FROM bookmarks WHERE name = $1", [.text(name)])?.integer("revision") ?? 0
    }

    public static func save(_ name: String, _ revision: Int64, in transaction: any WriteContext) throws {
        try transaction.execute(
            "INSERT INTO bookmarks (name, revision) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision",
            [.text(name), .integer(revision)])
    }
}
