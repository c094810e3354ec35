public import Primitives

public enum ProgramRole: String, Codable, Sendable, CaseIterable { case manage, connect, node }

/// Ask for a one-time token with which a program of a participant enrols.
public struct CreateEnrolment: Codable, Sendable {
    public var participant: ParticipantID
    public var role: ProgramRole
    /// Identifier the program will have, e.g. `dc-…` for a connect; made by the exchange when absent.
    public var id: String?
    /// 60 to 604800; 3600 when absent.
    public var validSeconds: Int64?
    public init(participant: ParticipantID, role: ProgramRole, id: String? = nil, validSeconds: Int64? = nil) {
        self.participant = participant
        self.role = role
        self.id = id
        self.validSeconds = validSeconds
    }
}

public struct EnrolmentView: Codable, Sendable {
    /// `bet_<secret>.<first 16 hex digits of the root certificate's SHA-256>`; shown once.
    public var token: String
    public var expires: Instant
    public init(token: String, expires: Instant) {
        self.token = token
        self.expires = expires
    }
}

public struct Enrol: Codable, Sendable {
    public var token: String
    /// PKCS #10 certificate signing request, PEM, P-256.
    public var csr: String
    /// DNS names and IP addresses the program is also reached by.
    public var names: [String]
    public init(token: String, csr: String, names: [String]) {
        self.token = token
        self.csr = csr
        self.names = names
    }
}

/// A program's identity: its certificate and whom it may trust.
public struct IdentityView: Codable, Sendable {
    /// Name of the exchange, the trust domain.
    public var exchange: String
    public var participant: ParticipantID
    public var role: ProgramRole
    public var id: String
    /// PEM, leaf first, then intermediates.
    public var chain: String
    /// PEM.
    public var root: String
    /// The peer listener to dial with this identity, `host:port`: the exchange's, for a node its connect's.
    public var peerAddress: String
    /// The name its certificate bears.
    public var peerName: String
    public init(
        exchange: String, participant: ParticipantID, role: ProgramRole, id: String, chain: String, root: String, peerAddress: String,
        peerName: String
    ) {
        self.exchange = exchange
        self.participant = participant
        self.role = role
        self.id = id
        self.chain = chain
        self.root = root
        self.peerAddress = peerAddress
        self.peerName = peerName
    }
}

public struct CertificateRequest: Codable, Sendable {
    /// PKCS #10, PEM, P-256.
    public var csr: String
    public init(csr: String) { self.csr = csr }
}

public struct IssuedCertificateView: Codable, Sendable {
    /// PEM, leaf first, then intermediates.
    public var chain: String
    public var serial: String
    public var notAfter: Instant
    public init(chain: String, serial: String, notAfter: Instant) {
        self.chain = chain
        self.serial = serial
        self.notAfter = notAfter
    }
}

/// A connect asks for the identity of one of its nodes.
public struct SignNode: Codable, Sendable {
    public var host: HostID
    public var csr: String
    public init(host: HostID, csr: String) {
        self.host = host
        self.csr = csr
    }
}

public struct RenewIdentity: Codable, Sendable {
    public var csr: String
    public var names: [String]
    public init(csr: String, names: [String]) {
        self.csr = csr
        self.names = names
    }
}

public struct RevokeCertificate: Codable, Sendable {
    /// Hexadecimal, lower case.
    public var serial: String
    public var reason: String
    public init(serial: String, reason: String) {
        self.serial = serial
        self.reason = reason
    }
}

/// The certificate revocation list, for programs: DER in base64, and the same as a file at `GET /v1/crl.der`.
public struct RevocationListView: Codable, Sendable {
    public var number: Int64
    public var der: String
    public init(number: Int64, der: String) {
        self.number = number
        self.der = der
    }
}

/// Whom to trust: the exchange's name and root certificate (PEM).
public struct AuthorityView: Codable, Sendable {
    public var exchange: String
    public var root: String
    public var intermediate: String
    public var peerAddress: String
    public init(exchange: String, root: String, intermediate: String, peerAddress: String) {
        self.exchange = exchange
        self.root = root
        self.intermediate = intermediate
        self.peerAddress = peerAddress
    }
}

extension ExchangeAPI {
    public static let createEnrolment = Endpoint(
        "createEnrolment", .post, "/v1/enrolments", "Make a one-time enrolment token.", access: [.operator, .participant], success: 201,
        request: CreateEnrolment.self, response: EnrolmentView.self)
    public static let enrol = Endpoint(
        "enrol", .post, "/v1/enrol", "Exchange a one-time token and a signing request for an identity.", access: [.anyone], success: 201,
        request: Enrol.self, response: IdentityView.self)
    public static let renewIdentity = Endpoint(
        "renewIdentity", .post, "/v1/identity/renew", "A new certificate for the identity that asks.", access: [.manage, .connect],
        success: 201,
        request: RenewIdentity.self, response: IdentityView.self)
    public static let signNode = Endpoint(
        "signNode", .post, "/v1/identity/nodes", "Identity of a node of the connect that asks.", access: [.connect], success: 201,
        request: SignNode.self, response: IdentityView.self)
    public static let revoke = Endpoint(
        "revokeCertificate", .post, "/v1/revocations", "Revoke a certificate by serial number.", access: [.operator], success: 201,
        request: RevokeCertificate.self, response: Empty.self)
    public static let revocationList = Endpoint(
        "revocationList", .get, "/v1/crl", "The certificate revocation list.", access: [.anyone], request: Empty.self,
        response: RevocationListView.self)
    public static let authority = Endpoint(
        "authority", .get, "/v1/authority", "Name and root certificate of the exchange.", access: [.anyone], request: Empty.self,
        response: AuthorityView.self)
}
