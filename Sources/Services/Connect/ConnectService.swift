import CloudAPI
import CloudClient
import Foundation
package import Logging
import PKI
package import Primitives
package import ServiceKit
package import ServiceLifecycle
package import Store

/// A connect, put together: the control hub of one datacenter.
package struct ConnectService: Sendable {
    /// What there is to run, and where it listens once it runs.
    package let services: [any Service]
    package let publicPort = BoundPort()
    package let peerPort = BoundPort()
    let core: ConnectCore

    package init(
        _ configuration: ConnectConfiguration, database: (any Database)? = nil, time: any TimeSource = SystemTime(),
        ids: any IDSource = RandomIDs(), logger: Logger
    ) async throws {
        let database = try database ?? openDatabase(configuration.databaseURL)
        try await database.migrate([Tokens.migration] + Schema.migrations)
        let identity = try await ProgramIdentity.loadOrEnrol(
            directory: configuration.dataDirectory + "/identity", exchangeURL: configuration.exchangeURL,
            token: configuration.enrolmentToken,
            names: configuration.names, time: time, logger: logger)
        let metrics = Metrics()
        let core = ConnectCore(
            configuration: configuration, database: database, identity: identity, time: time, ids: ids, logger: logger, metrics: metrics,
            started: time.now())
        try await core.prepare()
        self.core = core

        let publicRouter = ProgramRouter(database: database, metrics: metrics, isStrict: true)
        core.addPublicRoutes(to: publicRouter)
        publicRouter.serveHealth(metrics: metrics) { await core.missing() }
        publicRouter.servePages(program: "connect") { try await core.home($0) }
        let peerRouter = ProgramRouter(database: database, metrics: metrics, peers: identity.tls, isStrict: true)
        core.addPeerRoutes(to: peerRouter)
        services =
            [
                DatabaseClosing(database),
                try publicRouter.listen(
                    host: configuration.host, port: configuration.publicPort, security: .open(host: configuration.host, identity.tls),
                    bound: publicPort, logger: logger),
                try peerRouter.listen(
                    host: configuration.host, port: configuration.peerPort, security: .mutual(identity.tls), bound: peerPort, logger: logger
                ),
                ContractFeed(
                    identity: identity, database: database, logger: logger, orders: { try await core.ordersChanged($0) },
                    copy: { try await core.copy($0) }),
            ] + identity.services() + core.upkeep() + [Registration(core: core)]
    }

    /// Where the state in memory differs from the tables, or either contradicts itself: nothing, unless there is a bug.
    package func violations() async throws -> [String] { try await core.violations() }

    /// How many instances' lives are followed, to learn how long others will live.
    package var followedLives: Int { core.memory.reading { $0.lifetimes.living } }

    /// Reads the state in memory from the tables again, as a start does.
    package func rebuild() async throws {
        try await core.write { transaction in
            transaction.memory.markStale()
            try transaction.memory.refresh(from: transaction)
        }
    }
}

extension ConnectCore {
    /// The operator's token and the first pod, both only once; then what is kept in memory.
    fileprivate func prepare() async throws {
        let now = time.now()
        let token = configuration.operatorToken
        let (tokenID, podID) = (ids.next(TokenID.self), ids.next(PodID.self))
        let zone = configuration.zone
        let ratio = try WireJSON.text(configuration.oversubscription)
        try await database.write { transaction in
            if let token { try Tokens.insert(token, for: .operator, description: "operator", id: tokenID, in: transaction, at: now) }
            guard try transaction.queryOne("SELECT id FROM pods") == nil else { return }
            try transaction.execute(
                "INSERT INTO pods (id, name, zone, kind, storage, oversubscription) VALUES ($1, 'pod-1', $2, 'virtual', 'das', $3)",
                [SQLValue(podID), .text(zone), .text(ratio)])
            try transaction.execute("INSERT INTO zones (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", [.text(zone)])
        }
        try await memory.load(from: database)
        bell.begin(at: try await database.read { try $0.latestRevision() })
    }

    /// What keeps this connect from doing its work; empty when ready.
    fileprivate func missing() async -> [String] {
        do {
            _ = try await database.read { try $0.latestRevision() }
            return []
        } catch {
            return ["database: \(error)"]
        }
    }
}

/// Tells the exchange where this datacenter delivers, until it has been told.
private struct Registration: Service {
    let core: ConnectCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await register()
                    try await Task.sleep(for: .seconds(300))
                } catch is CancellationError {
                    return
                } catch {
                    core.logger.warning("not registered at the exchange yet", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
    }

    private func register() async throws {
        let configuration = core.configuration
        guard let datacenter = core.datacenter else {
            throw Refusal(
                "datacenter.identity", .invalid, "The identity \(core.identity.record.id) is not a datacenter's.",
                nearest: "an identity that was enrolled as a datacenter's connect")
        }
        let zones = try await core.database.read { try $0.query("SELECT name FROM zones ORDER BY name").map { try $0.text("name") } }
        _ = try await core.identity.exchange.call(
            ExchangeAPI.registerDatacenter, path: ["datacenter": datacenter.description],
            body: RegisterDatacenter(
                name: configuration.name, region: configuration.region, zones: zones.isEmpty ? [configuration.zone] : zones,
                peerAddress: core.peerAddress))
    }
}
