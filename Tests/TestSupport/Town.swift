public import CloudAPI
import Foundation
public import Logging
public import PKI
public import Primitives
public import ServiceKit
import ServiceLifecycle
import Synchronization

/// Names and keys of one exchange, and folders for its programs.
public struct Town: Sendable {
    public let directory: TemporaryDirectory
    public let authority: CertificateAuthority
    public let buyer = ParticipantID(bits: 1)
    public let seller = ParticipantID(bits: 2)
    public let datacenter = DatacenterID(bits: 3)
    public let product = ProductID(bits: 4)
    public let series = SeriesID(bits: 5)
    public let image = ImageID(bits: 6)
    public let host = HostID(bits: 7)
    public let logger: Logger

    public static let exchange = "demo"
    public static let region = "demo-1"
    public static let zone = "demo-1a"
    public static let lot = Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480)

    public init(_ label: String = "town") throws {
        directory = try TemporaryDirectory(label)
        authority = try CertificateAuthority.open(directory: directory.file("authority"), exchange: Self.exchange, now: SystemTime().now())
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = ProcessInfo.processInfo.environment["BOURSE_TEST_LOG"].flatMap { Logger.Level(rawValue: $0) } ?? .critical
        self.logger = logger
    }

    public func credential(_ identity: PeerIdentity, names: [String] = []) throws -> Credential {
        let key = CredentialKey()
        let issued = try authority.issueIdentity(
            csrPEM: try key.csrPEM(), identity: identity, extraNames: names, now: SystemTime().now())
        return try key.credential(chainPEM: issued.chainPEM)
    }

    public func peerTLS(_ identity: PeerIdentity) throws -> PeerTLS {
        PeerTLS(credential: try credential(identity), trust: try authority.trustBundle(), time: SystemTime())
    }

    /// The identity a program would have after enrolment, with the exchange at `peerAddress`.
    public func enrol(_ identity: PeerIdentity, in folder: String, peerAddress: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try credential(identity).save(directory: folder)
        let record = try self.record(of: identity, peerAddress: peerAddress)
        try WireJSON.encode(record).write(to: URL(fileURLWithPath: folder + "/identity.json"))
    }

    public func record(
        of identity: PeerIdentity, peerAddress: String, peerName: String = IdentityName.dns(role: .exchange, id: "main", exchange: exchange)
    ) throws -> ProgramIdentity.Record {
        guard case .program(_, let participant, let role, let id) = identity, let role = ProgramRole(rawValue: role.rawValue) else {
            throw DidNotHappen(description: "\(identity) is no program's identity")
        }
        return ProgramIdentity.Record(
            exchange: Self.exchange, participant: participant, role: role, id: id, peerAddress: peerAddress, peerName: peerName,
            exchangeURL: "http://127.0.0.1:1", root: authority.rootPEM, names: ["127.0.0.1"])
    }
}

/// A change feed: revisions and a long poll.
public final class FakeFeed: Sendable {
    private let state = Mutex<[ChangeRecord]>([])
    private let taken = Mutex<Int64>(0)

    public init() {}

    /// The reader has dealt with every change there is: it asked for what comes after.
    public var isRead: Bool { taken.withLock { $0 } >= state.withLock { Int64($0.count) } }

    public func append(_ topic: String, _ subject: String, kind: String) {
        state.withLock { changes in
            changes.append(
                ChangeRecord(revision: Int64(changes.count + 1), topic: topic, subject: subject, kind: kind, at: SystemTime().now()))
        }
    }

    public func page(after: Int64, wait: Duration) async throws -> ChangePage {
        let deadline = ContinuousClock.now + wait
        taken.withLock { $0 = max($0, after) }
        while true {
            let (found, latest) = state.withLock { changes in (changes.filter { $0.revision > after }, Int64(changes.count)) }
            if !found.isEmpty || .now >= deadline || Task.isShuttingDownGracefully {
                return ChangePage(changes: found, latest: max(after, latest))
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
