// Who a certificate speaks for: the values that names, extensions and verification turn into each other.
public import Primitives

/// Which program an identity certificate belongs to.
public enum IdentityRole: String, Sendable, Hashable, Codable, CaseIterable { case manage, connect, node, exchange }

/// Which party of a contract a contract certificate belongs to.
public enum ContractSide: String, Sendable, Hashable, Codable, CaseIterable { case buyer, seller }

/// What a contract certificate grants: so many lots of a product over a period, to one side of one contract.
public struct ContractTerms: Sendable, Hashable, Codable {
    public var contract: ContractID
    public var side: ContractSide
    public var product: ProductID
    public var lots: Int64
    /// As it stood when the certificate was issued; a contract that rolls gets a new certificate with a later end.
    public var period: Period

    public init(contract: ContractID, side: ContractSide, product: ProductID, lots: Int64, period: Period) {
        self.contract = contract
        self.side = side
        self.product = product
        self.lots = lots
        self.period = period
    }
}

/// What a verified certificate says about its holder.
public enum PeerIdentity: Sendable, Hashable {
    /// A program of a participant. `id` is a DNS label and unique within exchange and role: host names carry no participant.
    case program(exchange: String, participant: ParticipantID, role: IdentityRole, id: String)
    /// One side of a contract.
    case contract(exchange: String, ContractTerms)

    /// The exchange's own identity. It belongs to no participant, so it carries the identifier no participant is ever given.
    public static func ofExchange(_ exchange: String, id: String = "main") -> PeerIdentity {
        .program(exchange: exchange, participant: ParticipantID(bits: 0), role: .exchange, id: id)
    }

    /// The trust domain.
    public var exchange: String {
        switch self {
        case .program(let exchange, _, _, _), .contract(let exchange, _): exchange
        }
    }

    public var participant: ParticipantID? {
        if case .program(_, let participant, _, _) = self { participant } else { nil }
    }

    public var role: IdentityRole? {
        if case .program(_, _, let role, _) = self { role } else { nil }
    }

    public var terms: ContractTerms? {
        if case .contract(_, let terms) = self { terms } else { nil }
    }
}

extension PeerIdentity: CustomStringConvertible {
    public var description: String { IdentityName.uri(for: self) }
}

/// What the peer does in the TLS connection that is being verified.
public enum PeerUsage: String, Sendable, Hashable, CaseIterable { case client, server }

/// A peer whose certificate chain was verified.
public struct VerifiedPeer: Sendable, Hashable {
    public let identity: PeerIdentity
    /// Lower-case hexadecimal, as in `IssuedCertificate.serial` and in revocation lists.
    public let serial: String
    /// The certificate's last valid second, all of which counts: ask `isValid(at:)`.
    public let notAfter: Instant
    /// SHA-256 of the certificate's DER, lower-case hexadecimal.
    public let fingerprint: String

    public init(identity: PeerIdentity, serial: String, notAfter: Instant, fingerprint: String) {
        self.identity = identity
        self.serial = serial
        self.notAfter = notAfter
        self.fingerprint = fingerprint
    }

    /// False once the certificate, or the contract it was issued for, is over. A connection outlives its handshake, so ask
    /// again for each request (and `TrustBundle.isRevoked(_:)` too).
    public func isValid(at now: Instant) -> Bool {
        guard now < notAfter + .seconds(1) else { return false }
        return identity.terms.map { now < $0.period.end } ?? true
    }
}
