import CloudAPI
import CloudClient
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Node
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

/// A connect that says what the test wants and remembers what it hears. Over the real protocol: enrolment, mTLS, long poll.
final class FakeConnect: Sendable {
    struct State {
        var intents: [InstanceID: (revision: Int64, intent: InstanceIntent)] = [:]
        var volumes: [VolumeID: (revision: Int64, intent: VolumeIntent)] = [:]
        var volumesSeen: [VolumeID: VolumeObservation] = [:]
        var networks: [NetworkID: (revision: Int64, intent: NetworkIntent)] = [:]
        var networksSeen: [NetworkID: NetworkObservation] = [:]
        var hello: NodeHello?
        var revision: Int64 = 1
        var seen: [InstanceID: InstanceObservation] = [:]
        var history: [InstanceObservation] = []
        var meters: [MeterReading] = []
        var repeated = 0
        var consoles: [InstanceID: String] = [:]
        var loads: [HostLoadReport] = []
        var files: [String: String] = [:]
        var downloads = 0
        var hellos = 0
        var isAway = false
        /// Reports whose answer is lost.
        var lostAnswers = 0
        var epoch: Int64?
        var sharesStorage: Bool?
    }

    let state = Mutex(State())
    let folder: TemporaryDirectory
    let authority: CertificateAuthority
    let token: EnrolmentToken
    let host = HostID(bits: 3)
    let publicPort = BoundPort()
    let peerPort = BoundPort()
    private let dialled = Mutex(0)

    private static let participant = ParticipantID(bits: 7)
    private static let datacenter = DatacenterID(bits: 1).description

    init() throws {
        folder = try TemporaryDirectory("node")
        authority = try CertificateAuthority.open(directory: folder.file("ca"), exchange: "lab", now: SystemTime().now())
        token = try authority.makeEnrolmentToken()
    }

    static var logger: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = ProcessInfo.processInfo.environment["NODE_TEST_LOG"].flatMap { Logger.Level(rawValue: $0) } ?? .critical
        return logger
    }

    /// Runs it, then the body, then stops it.
    static func run(_ body: (FakeConnect) async throws -> Void) async throws {
        let connect = try FakeConnect()
        let database = try openDatabase("sqlite:" + connect.folder.file("connect.db"))
        try await database.migrate([Tokens.migration])
        let identity = PeerIdentity.program(exchange: "lab", participant: participant, role: .connect, id: datacenter)
        let key = CredentialKey()
        let issued = try connect.authority.issueIdentity(csrPEM: try key.csrPEM(), identity: identity, now: SystemTime().now())
        let tls = PeerTLS(
            credential: try key.credential(chainPEM: issued.chainPEM), trust: try connect.authority.trustBundle(), time: SystemTime())
        let open = ProgramRouter(database: database, metrics: Metrics())
        let peers = ProgramRouter(database: database, metrics: Metrics(), peers: tls)
        open.on(ConnectAPI.enrolNode) { try connect.enrol($0.body) }
        connect.addNodeRoutes(to: peers)
        let services: [any Service] = [
            try open.listen(host: "127.0.0.1", port: 0, security: .plain, bound: connect.publicPort, logger: logger),
            try peers.listen(host: "127.0.0.1", port: 0, security: .mutual(tls), bound: connect.peerPort, logger: logger),
        ]
        try await running(services) {
            let port = await connect.peerPort.value()
            connect.dialled.withLock { $0 = port }
            try await body(connect)
        }
        await database.close()
    }

    private func enrol(_ request: Enrol) throws -> IdentityView {
        guard request.token == token.text else { throw Refusal("enrolment.token", .forbidden, "unknown") }
        let identity = PeerIdentity.program(exchange: "lab", participant: Self.participant, role: .node, id: host.description)
        let issued = try authority.issueIdentity(csrPEM: request.csr, identity: identity, now: SystemTime().now())
        return IdentityView(
            exchange: "lab", participant: Self.participant, role: .node, id: host.description, chain: issued.chainPEM,
            root: authority.rootPEM,
            peerAddress: "127.0.0.1:\(dialled.withLock { $0 })", peerName: "\(Self.datacenter).connect.lab.bourse")
    }

    private func addNodeRoutes(to router: ProgramRouter) {
        router.on(ConnectAPI.hello) { [self] call in
            try refuseWhenAway()
            return state.withLock { state in
                state.hellos += 1
                state.hello = call.body
                return NodeWelcome(
                    host: host, region: "eu-test-1", zone: "eu-test-1a", heartbeatSeconds: 1, meterSeconds: 60,
                    meterSequence: state.meters.last?.sequence ?? 0, epoch: state.epoch, sharesStorage: state.sharesStorage)
            }
        }
        router.on(ConnectAPI.intents) { [self] call in try await intents(after: try call.query.after(), wait: try call.query.wait()) }
        router.on(ConnectAPI.report) { [self] call in try take(call.body) }
        router.raw(.get, "/v1/node/image-files/{sha256}") { [self] request, context in
            try refuseWhenAway()
            return try image(context.parameters.get("sha256") ?? "", request.headers[.range])
        }
    }

    private func refuseWhenAway() throws {
        if state.withLock({ $0.isAway }) { throw Refusal("test.away", .unavailable, "connect is away") }
    }

    private func intents(after: Int64, wait: Duration) async throws -> IntentPage {
        try refuseWhenAway()
        let end = ContinuousClock.now + wait
        while true {
            let page = state.withLock { state in
                let found = state.intents.values.filter { after == 0 || $0.revision > after }.sorted { $0.revision < $1.revision }
                let disks = state.volumes.values.filter { after == 0 || $0.revision > after }.sorted { $0.revision < $1.revision }
                let nets = state.networks.values.filter { after == 0 || $0.revision > after }.sorted { $0.revision < $1.revision }
                return IntentPage(
                    revision: state.revision, full: after == 0, intents: found.map(\.intent),
                    volumes: disks.isEmpty ? nil : disks.map(\.intent), networks: nets.isEmpty ? nil : nets.map(\.intent))
            }
            // After looking: what came while away must not get through to a call that was waiting.
            try refuseWhenAway()
            if after == 0 || !page.isEmpty || ContinuousClock.now >= end || Task.isShuttingDownGracefully { return page }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func take(_ report: NodeReport) throws -> NodeReportAnswer {
        try refuseWhenAway()
        return try state.withLock { state in
            guard report.epoch ?? 0 == state.epoch ?? 0 else {
                throw Refusal("host.epoch", .conflict, "This host spoke under an older epoch.")
            }
            for seen in report.observations {
                state.seen[seen.instance] = seen
                state.history.append(seen)
            }
            if let load = report.load { state.loads.append(load) }
            for seen in report.volumes ?? [] { state.volumesSeen[seen.volume] = seen }
            for seen in report.networks ?? [] { state.networksSeen[seen.network] = seen }
            for reading in report.meters {
                if reading.sequence <= state.meters.last?.sequence ?? 0 {
                    state.repeated += 1
                } else if reading.sequence == (state.meters.last?.sequence ?? 0) + 1 {
                    state.meters.append(reading)
                }
            }
            for console in report.consoles {
                state.consoles[console.instance] = String(decoding: Data(base64Encoded: console.output) ?? Data(), as: UTF8.self)
            }
            if state.lostAnswers > 0 {
                state.lostAnswers -= 1
                throw Refusal("test.lost", .unavailable, "the answer is lost")
            }
            return NodeReportAnswer(meterSequence: state.meters.last?.sequence ?? 0)
        }
    }

    private func image(_ sha256: String, _ range: String?) throws -> Response {
        let path = state.withLock { state in
            state.downloads += 1
            return state.files[sha256]
        }
        guard let path, let data = FileManager.default.contents(atPath: path) else {
            throw Refusal("image.file", .notFound, "no such file")
        }
        let offset = range.flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
        return Response(
            status: offset > 0 ? .partialContent : .ok, headers: [.contentLength: "\(data.count - offset)"],
            body: .init(byteBuffer: ByteBuffer(bytes: data.dropFirst(offset))))
    }

    // MARK: - For tests

    func want(_ intent: InstanceIntent) {
        state.withLock { state in
            state.revision += 1
            state.intents[intent.instance] = (state.revision, intent)
        }
    }

    func want(_ intent: VolumeIntent) {
        state.withLock { state in
            state.revision += 1
            state.volumes[intent.volume] = (state.revision, intent)
        }
    }

    func want(_ intent: NetworkIntent) {
        state.withLock { state in
            state.revision += 1
            state.networks[intent.network] = (state.revision, intent)
        }
    }

    func seen(_ network: NetworkID) -> NetworkObservation? { state.withLock { $0.networksSeen[network] } }
    func drop(_ network: NetworkID) { _ = state.withLock { $0.networks.removeValue(forKey: network) } }
    func seen(_ volume: VolumeID) -> VolumeObservation? { state.withLock { $0.volumesSeen[volume] } }
    func drop(_ volume: VolumeID) { _ = state.withLock { $0.volumes.removeValue(forKey: volume) } }
    func drop(_ instance: InstanceID) { _ = state.withLock { $0.intents.removeValue(forKey: instance) } }
    func seen(_ number: UInt64) -> InstanceObservation? { state.withLock { $0.seen[instance(number)] } }
    func setAway(_ away: Bool) { state.withLock { $0.isAway = away } }

    func configuration() async -> NodeConfiguration {
        var configuration = NodeConfiguration(
            dataDirectory: folder.file("data"), databaseURL: "sqlite:" + folder.file("data/node.db"),
            connectURL: "http://127.0.0.1:\(await publicPort.value())")
        configuration.enrolmentToken = token.text
        configuration.port = 0
        configuration.metadataPort = 0
        configuration.metadataHost = "127.0.0.1"
        configuration.guestNetwork = "10.99.0.1/16"
        configuration.reservedDiskMiB = 1
        try? FileManager.default.createDirectory(atPath: configuration.dataDirectory, withIntermediateDirectories: true)
        return configuration
    }
}

/// Runs services, then the body, then stops them.
func running(_ services: [any Service], _ body: () async throws -> Void) async throws {
    var configuration = ServiceGroupConfiguration(services: services, logger: FakeConnect.logger)
    configuration.maximumGracefulShutdownDuration = .seconds(15)
    let group = ServiceGroup(configuration: configuration)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        await group.triggerGracefulShutdown()
        try? await tasks.waitForAll()
        try result.get()
    }
}

/// Waits until something is so; tests wait on conditions, never for a time.
func eventually(within limit: Duration = .seconds(60), _ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock().now + limit
    while try await !condition() {
        guard ContinuousClock().now < end else {
            Issue.record("not within \(limit): \(what)")
            throw CancellationError()
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}
