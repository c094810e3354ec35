import CloudAPI
import Foundation
public import NIOSSL
public import PKI
public import Primitives

/// A datacenter for rehearsals: a certificate authority of its own instead of an exchange, and hosts, contracts and an image whose
/// identifiers follow from their numbers. Connect runs on it in one process, those who talk to it in another.
public struct SimulatedSite: Codable, Sendable {
    public static let exchange = "rehearsal"
    public static let region = "rehearsal"
    public static let zone = "rehearsal-a"
    public static let seller = ParticipantID(bits: 2)
    public static let buyer = ParticipantID(bits: 1)
    public static let datacenter = DatacenterID(bits: 3)
    public static let image = ImageID(bits: 6)
    public static let operatorToken = "bt_rehearsal"
    public static let lot = Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480)

    public var directory: String
    public var hosts: Int
    public var contracts: Int
    public var lotsPerContract: Int64
    /// Of each host, before oversubscription; processors are promised eight times, disks twice.
    public var hardware: Resources
    /// Both filled in by connect once it listens.
    public var peerPort: Int
    public var publicPort: Int
    public var process: Int32

    public init(directory: String, hosts: Int, contracts: Int, lotsPerContract: Int64, hardware: Resources) {
        self.directory = directory
        self.hosts = hosts
        self.contracts = contracts
        self.lotsPerContract = lotsPerContract
        self.hardware = hardware
        (peerPort, publicPort, process) = (0, 0, 0)
    }

    // MARK: Names

    public static func host(_ number: Int) -> HostID { HostID(bits: UInt64(number) + 1) }
    public static func contract(_ number: Int) -> ContractID { ContractID(bits: UInt64(number) + 1) }

    /// When a machine that ran before anybody looked was started.
    public static func executed(_ instance: InstanceID) -> Instant { Instant(seconds: 1_700_000_000 + Int64(instance.bits % 86_400)) }

    /// The name in connect's certificate.
    public static var connectName: String { IdentityName.dns(role: .connect, id: datacenter.description, exchange: exchange) }

    public static func terms(_ number: Int, lots: Int64, period: Period) -> ContractTerms {
        ContractTerms(contract: contract(number), side: .buyer, product: ProductID(bits: 4), lots: lots, period: period)
    }

    // MARK: Files

    private static func file(_ directory: String) -> String { directory + "/site.json" }
    public func write() throws {
        try WireJSON.encode(self).write(to: URL(fileURLWithPath: Self.file(directory)), options: .atomic)
    }
    public static func read(_ directory: String) throws -> SimulatedSite? {
        guard let data = FileManager.default.contents(atPath: file(directory)) else { return nil }
        return try WireJSON.decode(SimulatedSite.self, from: data)
    }

    // MARK: Certificates

    public func authority(at now: Instant) throws -> CertificateAuthority {
        try CertificateAuthority.open(directory: directory + "/authority", exchange: Self.exchange, now: now)
    }

    /// A TLS context of a node, signed by the rehearsal's authority.
    public static func nodeContext(_ number: Int, _ authority: CertificateAuthority, at now: Instant) throws -> NIOSSLContext {
        let key = CredentialKey()
        let identity = PeerIdentity.program(exchange: exchange, participant: seller, role: .node, id: host(number).description)
        let issued = try authority.issueIdentity(csrPEM: try key.csrPEM(), identity: identity, now: now)
        return try context(try key.credential(chainPEM: issued.chainPEM), authority)
    }

    /// A TLS context of a buyer with the certificate of one contract.
    public func buyerContext(_ number: Int, _ authority: CertificateAuthority, at now: Instant) throws -> NIOSSLContext {
        let key = CredentialKey()
        let period = Period(start: now - .minutes(1), end: now + .hours(12))
        let issued = try authority.issueContract(
            csrPEM: try key.csrPEM(), terms: Self.terms(number, lots: lotsPerContract, period: period), now: now)
        return try Self.context(try key.credential(chainPEM: issued.chainPEM), authority)
    }

    private static func context(_ credential: Credential, _ authority: CertificateAuthority) throws -> NIOSSLContext {
        try NIOSSLContext(configuration: try clientTLS(credential: credential, trust: try authority.trustBundle()))
    }
}
