import CloudAPI
import Foundation
package import Logging
package import Primitives
package import ServiceKit
package import ServiceLifecycle
package import Store

/// A manage, put together: self-service, sourcing and chargeback for one buyer.
package struct ManageService: Sendable {
    /// What there is to run, and where it listens once it runs.
    package let services: [any Service]
    package let publicPort = BoundPort()
    package let ec2Port = BoundPort()

    /// - Parameter database: a test's own; opened from the configuration when nil.
    package init(
        _ configuration: ManageConfiguration, database: (any Database)? = nil, time: any TimeSource = SystemTime(),
        ids: any IDSource = RandomIDs(), logger: Logger
    ) async throws {
        let database = try database ?? openDatabase(configuration.databaseURL)
        try await database.migrate([Tokens.migration] + Schema.migrations)
        let identity = try await ProgramIdentity.loadOrEnrol(
            directory: configuration.dataDirectory + "/identity", exchangeURL: configuration.exchangeURL,
            token: configuration.enrolmentToken,
            names: configuration.names, time: time, logger: logger)
        let connects = ConnectClients(identity: identity, dataDirectory: configuration.dataDirectory, time: time)
        let core = ManageCore(
            configuration: configuration, database: database, identity: identity, connects: connects, time: time, ids: ids, logger: logger)
        try await core.registerOperator()

        let metrics = Metrics()
        let router = ProgramRouter(database: database, metrics: metrics)
        core.addRoutes(to: router)
        router.serveHealth(metrics: metrics) { await core.missing() }
        router.servePages(program: "manage") { try await core.home($0) }
        let ec2 = ProgramRouter(database: database, metrics: metrics, deadline: .seconds(30))
        core.addEC2Routes(to: ec2)
        let security = ListenerSecurity.open(host: configuration.host, identity.tls)
        services =
            [
                Closing(core: core),
                try router.listen(
                    host: configuration.host, port: configuration.publicPort, security: security, bound: publicPort, logger: logger),
                try ec2.listen(host: configuration.host, port: configuration.ec2Port, security: security, bound: ec2Port, logger: logger),
                ContractFeed(identity: identity, database: database, logger: logger) { try await core.copy($0) },
                InstanceReconciler(core: core), ContractFollowers(core: core),
            ] + identity.services() + core.upkeep()
    }
}

extension ManageCore {
    /// The operator's token; only once.
    fileprivate func registerOperator() async throws {
        guard let token = configuration.operatorToken else { return }
        let now = time.now()
        let id = ids.next(TokenID.self)
        try await database.write { try Tokens.insert(token, for: .operator, description: "operator", id: id, in: $0, at: now) }
    }

    /// What keeps this manage from doing its work; empty when ready. It answers from its own records while the exchange is away.
    fileprivate func missing() async -> [String] {
        do {
            _ = try await database.read { try $0.latestRevision() }
            return []
        } catch {
            return ["database: \(error)"]
        }
    }
}

/// Closes connections when the program stops. First in the list: services stop in reverse order, so nobody uses them any more.
private struct Closing: Service {
    let core: ManageCore

    func run() async throws {
        try? await gracefulShutdown()
        await core.connects.closeAll()
    }
}
