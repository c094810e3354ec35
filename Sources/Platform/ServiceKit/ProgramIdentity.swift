public import CloudAPI
public import CloudClient
import Foundation
public import Logging
public import PKI
public import Primitives
public import ServiceLifecycle
import NIOSSL
import Synchronization

/// A program's identity on an exchange: enrolled once with a one-time token, renewed by itself, with a current list of revoked
/// certificates. The private key is made here and stays here.
public final class ProgramIdentity: Sendable {
    public struct Record: Codable, Sendable {
        public var exchange: String
        public var participant: ParticipantID
        public var role: ProgramRole
        public var id: String
        public var peerAddress: String
        public var peerName: String
        public var exchangeURL: String
        public var root: String
        public var names: [String]

        public init(
            exchange: String, participant: ParticipantID, role: ProgramRole, id: String, peerAddress: String, peerName: String,
            exchangeURL: String,
            root: String, names: [String]
        ) {
            self.exchange = exchange
            self.participant = participant
            self.role = role
            self.id = id
            self.peerAddress = peerAddress
            self.peerName = peerName
            self.exchangeURL = exchangeURL
            self.root = root
            self.names = names
        }
    }

    public let record: Record
    public let tls: PeerTLS
    private let directory: String
    private let time: any TimeSource
    private let logger: Logger
    private let exchangeClient: Mutex<CloudClient>

    /// Loads the identity kept in `directory`, or enrols with `token` and keeps what it gets.
    public static func loadOrEnrol(
        directory: String, exchangeURL: String, token: String?, names: [String], time: any TimeSource, logger: Logger
    ) async throws -> ProgramIdentity {
        let file = directory + "/identity.json"
        if let data = FileManager.default.contents(atPath: file) {
            let record = try WireJSON.decode(Record.self, from: data)
            guard let credential = try Credential.load(directory: directory) else {
                throw Refusal(
                    "identity.certificate", .invalid, "\(directory) has an identity record but no certificate.",
                    nearest: "enrol again in an empty directory")
            }
            return try ProgramIdentity(record, credential: credential, directory: directory, time: time, logger: logger)
        }
        guard let token else {
            throw Refusal(
                "identity.missing", .invalid, "This program has no identity yet, and no enrolment token was given.",
                nearest: "an enrolment token from the exchange's operator, with --token")
        }
        guard let pinned = EnrolmentToken(token) else {
            throw Refusal("identity.token", .invalid, "This is not an enrolment token; one looks like bet_….0123456789abcdef.")
        }
        let key = try CredentialKey.loadOrCreate(directory: directory)
        let answer = try await stranger(at: exchangeURL, pinned).closing {
            try await $0.call(
                ExchangeAPI.enrol, body: Enrol(token: token, csr: try key.csrPEM(), names: names),
                idempotencyKey: "enrol-" + token.suffix(24))
        }
        guard pinned.pins(rootPEM: answer.root) else { throw wrongRoot }
        let credential = try key.credential(chainPEM: answer.chain)
        try credential.save(directory: directory)
        let record = Record(
            exchange: answer.exchange, participant: answer.participant, role: answer.role, id: answer.id, peerAddress: answer.peerAddress,
            peerName: answer.peerName,
            exchangeURL: exchangeURL, root: answer.root, names: names)
        try WireJSON.encode(record).write(to: URL(fileURLWithPath: file), options: .atomic)
        return try ProgramIdentity(record, credential: credential, directory: directory, time: time, logger: logger)
    }

    /// A client for a program that knows nothing yet but its token. Over TLS the other side first shows a root certificate, and hears
    /// the token only when the token pins that root and the root vouches for the connection.
    private static func stranger(at url: String, _ token: EnrolmentToken) async throws -> CloudClient {
        guard url.hasPrefix("https:") else { return try CloudClient(base: url) }
        var unverified = TLSConfiguration.makeClientConfiguration()
        unverified.certificateVerification = .none
        let root = try await CloudClient(base: url, authentication: .mutual(unverified)).closing {
            try await $0.call(ExchangeAPI.authority).root
        }
        guard token.pins(rootPEM: root) else { throw wrongRoot }
        return try CloudClient(base: url, trustRootsPEM: root)
    }

    private static let wrongRoot = Refusal(
        "identity.root", .forbidden, "The root certificate shown is not the one the enrolment token was made for: nothing was sent.",
        nearest: "the address of the program that made the token")

    public init(_ record: Record, credential: Credential, directory: String, time: any TimeSource, logger: Logger) throws {
        self.record = record
        self.directory = directory
        self.time = time
        self.logger = logger
        let trust = try TrustBundle(rootPEM: record.root, intermediatesPEM: credential.chainPEM, exchange: record.exchange)
        tls = PeerTLS(credential: credential, trust: trust, time: time)
        exchangeClient = Mutex(try Self.client(record, credential: credential, trust: trust))
    }

    /// The exchange (a node: its connect) over mTLS, as this identity.
    public var exchange: CloudClient { exchangeClient.withLock { $0 } }

    /// A client of another program's peer listener: `name` is what its certificate must say, `address` is where to dial (`host:port`).
    public func client(name: String, address: String, credential: Credential? = nil) throws -> CloudClient {
        try Self.peerClient(name: name, address: address, credential: credential ?? tls.credential, trust: tls.trust)
    }

    /// Keeps the list of revoked certificates and the identity itself current.
    public func services() -> [any Service] {
        [
            Repeating("revocation list", every: .seconds(15), logger: logger) { [self] in try await refreshRevocations() },
            Repeating("identity renewal", every: .seconds(600), logger: logger) { [self] in try await renewIfDue() },
        ]
    }

    public func refreshRevocations() async throws {
        let list = try await exchange.call(ExchangeAPI.revocationList)
        guard let der = Data(base64Encoded: list.der) else { throw ClientError.malformed("the revocation list is not base64") }
        tls.replace(trust: try tls.trust.updating(crlDER: Array(der), now: time.now()))
    }

    private func renewIfDue() async throws {
        guard record.role != .node, tls.credential.needsRenewal(now: time.now()) else { return }
        let answer = try await exchange.call(
            ExchangeAPI.renewIdentity, body: RenewIdentity(csr: try tls.credential.csrPEM(), names: record.names))
        try install(chain: answer.chain)
    }

    /// Takes a renewed certificate into use.
    public func install(chain: String) throws {
        let credential = try tls.credential.key.credential(chainPEM: chain)
        try credential.save(directory: directory)
        tls.replace(credential: credential)
        let fresh = try Self.client(record, credential: credential, trust: tls.trust)
        let old = exchangeClient.withLock { client in
            defer { client = fresh }
            return client
        }
        // Requests under way finish on the old connections before they are closed.
        Task {
            try? await Task.sleep(for: .seconds(30))
            await old.shutdown()
        }
    }

    private static func client(_ record: Record, credential: Credential, trust: TrustBundle) throws -> CloudClient {
        try peerClient(name: record.peerName, address: record.peerAddress, credential: credential, trust: trust)
    }

    private static func peerClient(name: String, address: String, credential: Credential, trust: TrustBundle) throws -> CloudClient {
        guard let colon = address.lastIndex(of: ":") else { throw ClientError.malformed("'\(address)' is not host:port") }
        return try CloudClient(
            base: "https://\(name)\(address[colon...])", authentication: .mutual(try clientTLS(credential: credential, trust: trust)),
            dialing: [name: String(address[..<colon])])
    }
}
