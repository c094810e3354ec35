public import Primitives

public enum CertificationKind: String, Codable, Sendable, CaseIterable {
    /// The datacenter was tested.
    case technical
    /// Its owner has accepted the product's documents.
    case legal
}

/// One thing that was tested.
public struct CertificationCheck: Codable, Sendable, Hashable {
    public var name: String
    public var passed: Bool
    /// What was found, with the numbers.
    public var detail: String
    public init(name: String, passed: Bool, detail: String) {
        self.name = name
        self.passed = passed
        self.detail = detail
    }
}

/// A technical test of a datacenter for a product.
public struct TechnicalTest: Codable, Sendable {
    public var product: ProductID
    public var checks: [CertificationCheck]
    /// What the checks were made of: JSON, at most 100,000 bytes.
    public var evidence: String
    /// SHA-256 of the evidence's bytes, in hexadecimal.
    public var evidenceHash: String
    /// How long it is good for, 1 to 365; 90 when absent.
    public var validDays: Int64?
    public init(product: ProductID, checks: [CertificationCheck], evidence: String, evidenceHash: String, validDays: Int64? = nil) {
        self.product = product
        self.checks = checks
        self.evidence = evidence
        self.evidenceHash = evidenceHash
        self.validDays = validDays
    }
}

/// A seller accepts what a product's documents say, for one datacenter.
public struct LegalAcceptance: Codable, Sendable {
    public var product: ProductID
    /// The SHA-256 of every document of the product.
    public var documents: [String]
    /// What the datacenter complies with, e.g. `ISO 27001`; buyers read it.
    public var claims: [String]
    /// Who accepts, by name.
    public var signatory: String
    /// How long it is good for, 1 to 365; 365 when absent.
    public var validDays: Int64?
    public init(product: ProductID, documents: [String], claims: [String], signatory: String, validDays: Int64? = nil) {
        self.product = product
        self.documents = documents
        self.claims = claims
        self.signatory = signatory
        self.validDays = validDays
    }
}

/// One of the two steps by which a datacenter is certified for a product.
public struct CertificationView: Codable, Sendable, Hashable {
    public var product: ProductID
    public var kind: CertificationKind
    public var at: Instant
    /// Not good for anything from then on.
    public var expires: Instant
    /// All checks passed, and it has not expired.
    public var valid: Bool
    /// Of the law that applies to the product.
    public var jurisdiction: String
    /// Technical: what was tested.
    public var checks: [CertificationCheck]
    /// Technical: what the checks were made of.
    public var evidence: String?
    public var evidenceHash: String?
    /// Legal: what was accepted, what is claimed, and by whom.
    public var documents: [String]
    public var claims: [String]
    public var signatory: String?
    public init(
        product: ProductID, kind: CertificationKind, at: Instant, expires: Instant, valid: Bool, jurisdiction: String,
        checks: [CertificationCheck], evidence: String?, evidenceHash: String?, documents: [String], claims: [String], signatory: String?
    ) {
        self.product = product
        self.kind = kind
        self.at = at
        self.expires = expires
        self.valid = valid
        self.jurisdiction = jurisdiction
        self.checks = checks
        self.evidence = evidence
        self.evidenceHash = evidenceHash
        self.documents = documents
        self.claims = claims
        self.signatory = signatory
    }
}

/// A datacenter with what is known of it before one trades.
public struct DatacenterDetail: Codable, Sendable {
    public var datacenter: DatacenterView
    /// The newest of each kind for each product.
    public var certifications: [CertificationView]
    public init(datacenter: DatacenterView, certifications: [CertificationView]) {
        self.datacenter = datacenter
        self.certifications = certifications
    }
}

extension ExchangeAPI {
    public static let showDatacenter = Endpoint(
        "showDatacenter", .get, "/v1/datacenters/{datacenter}",
        "A datacenter with its certifications: law, compliance claims, tests and their evidence.", access: traders, request: Empty.self,
        response: DatacenterDetail.self)
    public static let certifyTechnically = Endpoint(
        "certifyTechnically", .put, "/v1/datacenters/{datacenter}/certifications/technical",
        "Hand in a technical test of this connect's datacenter for a product.", access: [.connect], request: TechnicalTest.self,
        response: CertificationView.self)
    public static let acceptLegally = Endpoint(
        "acceptLegally", .put, "/v1/datacenters/{datacenter}/certifications/legal",
        "Accept a product's documents for one of one's own datacenters.", access: [.participant], request: LegalAcceptance.self,
        response: CertificationView.self)
}
