import CloudAPI
import CloudClient
import Foundation
import Logging
import NIOSSL
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport

/// A clock tests move by hand; it starts at the machine's own time, because TLS libraries look at that.
final class MovableTime: TimeSource {
    private let offset = Mutex(Span.zero)
    func now() -> Instant { SystemTime().now() + offset.withLock { $0 } }
    func advance(by span: Span) { offset.withLock { $0 = $0 + span } }
}

struct Note: Codable, Sendable, Equatable {
    var text: String
    var number: Int64?
}

enum NoteAPI {
    static let write = Endpoint(
        "writeNote", .post, "/v1/notes/{name}", "Write a note.", access: [.operator, .buyer, .connect], success: 201, request: Note.self,
        response: Note.self)
    static let list = Endpoint(
        "listNotes", .get, "/v1/notes", "List notes.", access: [.operator, .buyer], query: QueryParameter.paging, request: Empty.self,
        response: CloudAPI.Page<Note>.self)
    static let slow = Endpoint("slow", .get, "/v1/slow", "Takes too long.", access: [.anyone], request: Empty.self, response: Empty.self)
}

/// A small program with a public and a peer listener, and an authority to make callers with.
struct Laboratory {
    let folder: TemporaryDirectory
    let database: any Database
    let authority: CertificateAuthority
    let tls: PeerTLS
    let time: MovableTime
    let publicPort: Int
    let peerPort: Int

    static let exchange = "lab"
    static let token = "bt_laboratory"
    static let serverName = "dc-00000000000000001.connect.lab.bourse"

    /// Runs the program, then the body, then stops the program.
    static func run(deadline: Duration = .seconds(10), _ body: (Laboratory) async throws -> Void) async throws {
        let folder = try TemporaryDirectory("servicekit")
        let time = MovableTime()
        let database = try openDatabase("sqlite:" + folder.file("lab.db"))
        try await database.migrate([Tokens.migration])
        try await database.write { transaction in
            try Tokens.insert(token, for: .operator, description: "test", id: TokenID(bits: 1), in: transaction, at: time.now())
        }
        let authority = try CertificateAuthority.open(directory: folder.file("ca"), exchange: exchange, now: time.now())
        let identity = PeerIdentity.program(
            exchange: exchange, participant: ParticipantID(bits: 7), role: .connect, id: DatacenterID(bits: 1).description)
        let tls = PeerTLS(
            credential: try credential(authority, identity, at: time.now()), trust: try authority.trustBundle(), time: time)
        var logger = Logger(label: "lab")
        logger.logLevel = .critical
        let metrics = Metrics()
        let open = ProgramRouter(database: database, metrics: metrics, deadline: deadline)
        let peer = ProgramRouter(database: database, metrics: metrics, peers: tls, deadline: deadline)
        for router in [open, peer] { addRoutes(to: router, database, time) }
        open.serveHealth(metrics: metrics) { [] }
        open.servePages(program: "lab") { _ in
            ServiceKit.Page(title: "Lab <home>", tables: [.init("Things", columns: ["a"], rows: [["<script>"]])])
        }
        let (publicPort, peerPort) = (BoundPort(), BoundPort())
        let services: [any Service] = [
            try open.listen(host: "127.0.0.1", port: 0, security: .plain, bound: publicPort, logger: logger),
            try peer.listen(host: "127.0.0.1", port: 0, security: .mutual(tls), bound: peerPort, logger: logger),
        ]
        let group = ServiceGroup(configuration: .init(services: services, logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let lab = Laboratory(
                folder: folder, database: database, authority: authority, tls: tls, time: time, publicPort: await publicPort.value(),
                peerPort: await peerPort.value())
            do {
                try await body(lab)
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        await database.close()
    }

    private static func addRoutes(to router: ProgramRouter, _ database: any Database, _ time: MovableTime) {
        let written = Counter()
        router.on(NoteAPI.write) { call in
            let note = Note(text: call.text("name") + ": " + call.body.text, number: written.next())
            try await database.write { try $0.remember(note, status: 201, for: call.idempotency, at: time.now()) }
            return note
        }
        router.on(NoteAPI.list) { call in
            _ = try call.query.limit()
            return CloudAPI.Page([Note(text: call.principal.name, number: nil)])
        }
        router.on(NoteAPI.slow) { _ in
            try await Task.sleep(for: .seconds(30))
            return Empty()
        }
    }

    static func credential(_ authority: CertificateAuthority, _ identity: PeerIdentity, at now: Instant) throws -> Credential {
        let key = CredentialKey()
        return try key.credential(chainPEM: try authority.issueIdentity(csrPEM: try key.csrPEM(), identity: identity, now: now).chainPEM)
    }

    func contractCredential(
        _ contract: UInt64, _ side: ContractSide, for span: Span = .hours(1), authority other: CertificateAuthority? = nil
    ) throws -> Credential {
        let now = time.now()
        let key = CredentialKey()
        let terms = ContractTerms(
            contract: ContractID(bits: contract), side: side, product: ProductID(bits: 1), lots: 1,
            period: Period(start: now, end: now + span))
        return try key.credential(
            chainPEM: try (other ?? authority).issueContract(csrPEM: try key.csrPEM(), terms: terms, now: now).chainPEM)
    }

    func client(token: String? = Laboratory.token) throws -> CloudClient {
        try CloudClient(base: "http://127.0.0.1:\(publicPort)", authentication: token.map { .bearer($0) } ?? .none)
    }

    func peerClient(_ credential: Credential?, name: String = Laboratory.serverName) throws -> CloudClient {
        try CloudClient(
            base: "https://\(name):\(peerPort)",
            authentication: .mutual(try clientTLS(credential: credential, trust: try authority.trustBundle())),
            dialing: [name: "127.0.0.1"])
    }

    /// Calls once and shuts the client down.
    func call<Answer>(_ client: CloudClient, _ body: (CloudClient) async throws -> Answer) async throws -> Answer {
        try await client.closing(body)
    }

    /// The problem document a call is refused with; nil when it succeeds. Other errors are thrown.
    func refusal(_ body: () async throws -> Void) async throws -> ProblemDocument? {
        do {
            try await body()
            return nil
        } catch let problem as ProblemDocument {
            return problem
        }
    }
}

final class Counter: Sendable {
    private let value = Mutex<Int64>(0)
    func next() -> Int64 {
        value.withLock { value in
            value += 1
            return value
        }
    }
}
