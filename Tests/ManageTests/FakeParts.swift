import CloudAPI
import Foundation
import Logging
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

/// A place where a test can hold a fake, before or after it did what was asked: the moment at which a program is killed.
final class Interruptions: Sendable {
    enum Moment: String, Sendable, CaseIterable { case before, after }
    struct Place: Hashable, Sendable, CustomTestStringConvertible {
        var operation: String
        var moment: Moment
        var testDescription: String { "\(moment.rawValue) \(operation)" }
    }
    private struct State {
        var armed: Place?
        var reached = false
    }
    private let state = Mutex(State())

    func arm(_ place: Place) { state.withLock { $0 = State(armed: place) } }
    var wasReached: Bool { state.withLock { $0.reached } }

    /// Does the work of an operation. The answer of an interrupted one never arrives.
    func around<Value>(_ operation: String, _ body: () async throws -> Value) async throws -> Value {
        try await pass(operation, .before)
        let value = try await body()
        try await pass(operation, .after)
        return value
    }

    private func pass(_ operation: String, _ moment: Moment) async throws {
        let isHeld = state.withLock { state in
            guard state.armed == Place(operation: operation, moment: moment) else { return false }
            state.armed = nil
            state.reached = true
            return true
        }
        guard isHeld else { return }
        try await Task.sleep(for: .seconds(3))
        throw Refusal("test.interrupted", .unavailable, "The answer was lost.")
    }
}

/// Names and keys of one exchange, and folders for its programs.
struct Town: Sendable {
    let directory: TemporaryDirectory
    let authority: CertificateAuthority
    let buyer = ParticipantID(bits: 1)
    let seller = ParticipantID(bits: 2)
    let datacenter = DatacenterID(bits: 3)
    let product = ProductID(bits: 4)
    let series = SeriesID(bits: 5)
    let image = ImageID(bits: 6)
    let host = HostID(bits: 7)
    let logger: Logger

    static let exchange = "demo"
    static let region = "demo-1"
    static let zone = "demo-1a"
    static let lot = Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480)

    init() throws {
        directory = try TemporaryDirectory("manage")
        authority = try CertificateAuthority.open(directory: directory.file("authority"), exchange: Self.exchange, now: SystemTime().now())
        var logger = Logger(label: "manage") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = ProcessInfo.processInfo.environment["BOURSE_TEST_LOG"].flatMap { Logger.Level(rawValue: $0) } ?? .critical
        self.logger = logger
    }

    func credential(_ identity: PeerIdentity) throws -> Credential {
        let key = CredentialKey()
        let issued = try authority.issueIdentity(csrPEM: try key.csrPEM(), identity: identity, now: SystemTime().now())
        return try key.credential(chainPEM: issued.chainPEM)
    }

    func peerTLS(_ identity: PeerIdentity) throws -> PeerTLS {
        PeerTLS(credential: try credential(identity), trust: try authority.trustBundle(), time: SystemTime())
    }

    /// The identity a manage would have after enrolment.
    func enrolManage(in folder: String, peerAddress: String) throws {
        let identity = PeerIdentity.program(exchange: Self.exchange, participant: buyer, role: .manage, id: "mng-1")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try credential(identity).save(directory: folder)
        let record = [
            "exchange": Self.exchange, "participant": buyer.description, "role": "manage", "id": "mng-1", "peerAddress": peerAddress,
            "peerName": IdentityName.dns(role: .exchange, id: "main", exchange: Self.exchange), "exchangeURL": "http://127.0.0.1:1",
            "root": authority.rootPEM,
        ]
        let json = String(try WireJSON.text(record).dropLast()) + ",\"names\":[\"127.0.0.1\"]}"
        try Data(json.utf8).write(to: URL(fileURLWithPath: folder + "/identity.json"))
    }
}

/// A change feed: revisions and a long poll.
final class FakeFeed: Sendable {
    private let state = Mutex<[ChangeRecord]>([])

    func append(_ topic: String, _ subject: String, kind: String) {
        state.withLock { changes in
            changes.append(
                ChangeRecord(revision: Int64(changes.count + 1), topic: topic, subject: subject, kind: kind, at: SystemTime().now()))
        }
    }

    func page(after: Int64, wait: Duration) async throws -> ChangePage {
        let deadline = ContinuousClock.now + wait
        while true {
            let (found, latest) = state.withLock { changes in (changes.filter { $0.revision > after }, Int64(changes.count)) }
            if !found.isEmpty || .now >= deadline { return ChangePage(changes: found, latest: max(after, latest)) }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
