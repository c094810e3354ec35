import CloudAPI
import Foundation
package import Logging
package import Market
import PKI
package import Primitives
package import ServiceKit
package import ServiceLifecycle
package import Store

/// An exchange, put together.
package struct ExchangeService: Sendable {
    /// What there is to run, and where it listens once it runs.
    package let services: [any Service]
    package let publicPort = BoundPort()
    package let peerPort = BoundPort()
    let core: ExchangeCore
    private let projector: Projector

    /// - Parameters:
    ///   - database: opened from the configuration's URL when nil.
    ///   - journal: where the market's journal is; see `MarketJournal`. Opened beside the database when nil.
    package init(
        _ configuration: ExchangeConfiguration, database given: (any Database)? = nil, journal givenJournal: (any Database)? = nil,
        time: any TimeSource = SystemTime(), ids: any IDSource = RandomIDs(), logger: Logger
    ) async throws {
        try FileManager.default.createDirectory(
            atPath: configuration.dataDirectory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let database = try given ?? Self.openTables(configuration.databaseURL)
        try await database.migrate([Tokens.migration] + Schema.migrations)
        let ownJournal = givenJournal == nil ? try MarketJournal.openFile(beside: database, configuration.databaseURL) : nil
        let journal = MarketJournal(database: givenJournal ?? ownJournal ?? database)
        try await journal.database.migrate(MarketJournal.migrations)
        try await MarketBars.fill(database)
        let metrics = Metrics()
        projector = Projector(database: database, metrics: metrics, logger: logger)
        core = try await ExchangeCore(
            configuration, database: database, journal: journal, projector: projector, peerPort: peerPort, metrics: metrics, time: time,
            ids: ids, logger: logger)
        let core = self.core

        let publicRouter = ProgramRouter(database: database, metrics: metrics)
        core.addRoutes(to: publicRouter)
        publicRouter.serveHealth(metrics: metrics) { await core.missing() }
        publicRouter.servePages(program: "exchange") { try await core.home($0) }
        let peerRouter = ProgramRouter(database: database, metrics: metrics, peers: core.tls)
        core.addRoutes(to: peerRouter)
        // What comes first stops last: listeners finish their requests, then the desk, and the tables are written after it.
        services =
            (ownJournal.map { [ClosedAtTheEnd(database: $0)] } ?? []) + [projector, core.desk, core.streams] + core.upkeep() + [
                try peerRouter.listen(
                    host: configuration.host, port: configuration.peerPort, security: .mutual(core.tls), bound: peerPort, logger: logger),
                try publicRouter.listen(
                    host: configuration.host, port: configuration.publicPort, security: .open(host: configuration.host, core.tls),
                    bound: publicPort,
                    logger: logger),
            ]
    }
}

/// A database that is closed once all that comes after it has ended.
private struct ClosedAtTheEnd: Service {
    let database: any Database

    func run() async throws {
        try? await gracefulShutdown()
        await database.close()
    }
}

extension ExchangeService {
    /// Digest of the market in memory.
    package func stateHash() async -> UInt64 { await core.desk.stateHash() }

    /// When the market next has something to do by itself; nil: never.
    package func nextDue() async -> Instant? { await core.desk.nextDue() }

    /// Places an order as a caller in this process, without an idempotency key; returns once it is durable.
    package func place(_ draft: OrderDraft) async throws -> OrderID {
        try await core.desk.perform(DeskRequest(draft, by: "in process")) { _, changes in
            guard let order = changes.orders.first else { preconditionFailure("an order that was accepted is among the changes") }
            return order.id
        }
    }

    /// Does what is due now, without waiting for the market clock's next turn.
    package func catchUp() async throws { _ = try await core.desk.perform(.tick) { _, _ in Empty() } }

    /// Reads the tables with everything in them that was acknowledged.
    package func read<T: Sendable>(_ body: @escaping @Sendable (any ReadContext) throws -> T) async throws -> T {
        try await core.database.read(body)
    }

    /// Does the whole journal again, or its beginning, on an empty market.
    package func replayJournal(upTo batch: Int64 = .max) async throws -> JournalReplay {
        try await core.journal.replay(upTo: batch).report
    }

    /// Whether surveillance has seen everything that is in the change feed.
    package func isSurveillanceCurrent() async throws -> Bool {
        try await core.database.read { try $0.surveillanceBatch(limit: 1).until == $0.surveillanceCursor() }
    }

    /// Makes the bars anew from the trades.
    package func rebuildBars() async throws { try await core.database.write { try MarketBars.rebuild(in: $0) } }

    /// With the journal in a file of its own, rows follow when there is time: who waits for an acknowledgement comes first.
    private static func openTables(_ url: String) throws -> any Database {
        var options = DatabaseOptions()
        if url.hasPrefix("sqlite:") { options.writerNiceness = 10 }
        return try openDatabase(url, options: options)
    }

    /// Digest of the market the tables hold, built as a start would build it. Equal to the one in memory whenever nothing is under way.
    package func storedStateHash() async throws -> UInt64 {
        let (snapshot, clock, _) = try await core.database.read { try MarketTables.load(from: $0) }
        return try Market(restoring: snapshot, clock: clock).stateHash
    }
}

extension ExchangeCore {
    fileprivate init(
        _ configuration: ExchangeConfiguration, database: any Database, journal: MarketJournal, projector: Projector,
        peerPort: BoundPort, metrics: Metrics, time: any TimeSource, ids: any IDSource, logger: Logger
    ) async throws {
        let now = time.now()
        let authority = try Self.authority(configuration, now: now, logger: logger)
        let credential = try Self.ownCredential(configuration, authority, now: now)
        let holder = configuration.instance ?? "\(ProcessInfo.processInfo.hostName):\(configuration.publicPort)"
        let desk = MarketDesk(
            tables: database, journal: journal, projector: projector, holder: holder, leaseSpan: configuration.leaseSpan, time: time,
            ids: ids, metrics: metrics, logger: logger)
        let streams = MarketStreams(
            database: database, limits: configuration.streams, time: time, ids: ids, metrics: metrics, logger: logger)
        self.init(
            configuration: configuration, database: ProjectedDatabase(base: database, projector: projector), tables: database,
            journal: journal, authority: authority, desk: desk, streams: streams, fairness: Fairness(limits: configuration.fairness),
            selfMatches: SelfMatchLog(),
            revocations: RevocationLists(database: database, projector: projector, authority: authority, time: time),
            tls: PeerTLS(credential: credential, trust: try authority.trustBundle(), time: time),
            secrets: try SecretMaker(directory: configuration.dataDirectory), peerPort: peerPort, time: time, ids: ids, logger: logger)
        if let token = configuration.operatorToken {
            let id = ids.next(TokenID.self)
            try await database.write { transaction in
                try Tokens.insert(token, for: .operator, description: "operator", id: id, in: transaction, at: now)
            }
        }
        do {
            try await desk.keepLease()
        } catch StoreError.full(let text) {
            // Reads are served meanwhile, and the lease is tried again and again.
            logger.warning("the disk is full: the market is taken once there is space", metadata: ["error": "\(text)"])
        }
        try await refreshOwnTrust()
    }

    /// Time before the intermediate's end from which each start of the exchange renews it.
    private static let intermediateRenewal = Span.days(90)

    /// The authority, its intermediate renewed when that is due and the root's key is at hand.
    private static func authority(_ configuration: ExchangeConfiguration, now: Instant, logger: Logger) throws -> CertificateAuthority {
        let directory = configuration.dataDirectory + "/authority"
        let authority = try CertificateAuthority.open(directory: directory, exchange: configuration.name, now: now)
        guard authority.expires - now < intermediateRenewal else { return authority }
        do {
            return try CertificateAuthority.renewIntermediate(directory: directory, now: now)
        } catch {
            logger.warning(
                "the intermediate certificate ends soon; bring root.key back and start the exchange again to renew it",
                metadata: ["end": "\(authority.expires)", "error": "\(error)"])
            return authority
        }
    }

    /// The exchange's own identity: loaded, or issued by its own authority when there is none or it is due.
    private static func ownCredential(_ configuration: ExchangeConfiguration, _ authority: CertificateAuthority, now: Instant) throws
        -> Credential
    {
        let directory = configuration.dataDirectory + "/identity"
        if let credential = try Credential.load(directory: directory), !credential.needsRenewal(now: now) { return credential }
        let key = try CredentialKey.loadOrCreate(directory: directory)
        let issued = try authority.issueIdentity(
            csrPEM: try key.csrPEM(), identity: .ofExchange(configuration.name),
            extraNames: certificateNames(listeningOn: configuration.host, configuration.publicName), lifetime: identityLifetime, now: now)
        let credential = try key.credential(chainPEM: issued.chainPEM)
        try credential.save(directory: directory)
        return credential
    }

    /// The loops beside the desk's own.
    fileprivate func upkeep() -> [any Service] {
        let leaseTurn = Duration.microseconds(configuration.leaseSpan.microseconds / 5)
        return [
            Repeating("market clock", every: .milliseconds(100), logger: logger) { await desk.lookAtClock() },
            Repeating("market lease", every: leaseTurn, logger: logger) { try await desk.keepLease() },
            Repeating("revocations", every: .seconds(5), logger: logger) { try await refreshOwnTrust() },
            Repeating("surveillance", every: .seconds(1), logger: logger) {
                try await keepSelfMatches()
                try await watchConduct()
            },
            Repeating.forgettingAnswers(database, time: time, logger: logger),
            Repeating("certifications", every: .seconds(2), logger: logger) { try await withdrawUncertified() },
            Repeating("own certificate", every: .seconds(600), logger: logger) {
                tls.replace(credential: try Self.ownCredential(configuration, authority, now: time.now()))
            },
        ]
    }

    /// What keeps this exchange from doing its work; empty when ready.
    fileprivate func missing() async -> [String] {
        var missing: [String] = []
        if let desk = await desk.missing() { missing.append(desk) }
        do {
            _ = try await tables.read { try $0.latestRevision() }
        } catch {
            missing.append("database: \(error)")
        }
        return missing
    }
}
