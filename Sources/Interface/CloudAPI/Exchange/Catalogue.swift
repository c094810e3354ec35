public import Primitives

/// A document contracts refer to, named by its content.
public struct PutDocument: Codable, Sendable {
    /// For people, e.g. `Service levels 2026`.
    public var name: String
    /// e.g. `text/markdown`, `application/pdf`
    public var mediaType: String
    /// The bytes in Base64, at most 700,000 of them.
    public var content: String
    public init(name: String, mediaType: String, content: String) {
        self.name = name
        self.mediaType = mediaType
        self.content = content
    }
}

public struct DocumentView: Codable, Sendable, Hashable {
    /// SHA-256 of the bytes, in hexadecimal.
    public var hash: String
    public var name: String
    public var mediaType: String
    public var bytes: Int64
    public var created: Instant
    /// The bytes in Base64.
    public var content: String
    public init(hash: String, name: String, mediaType: String, bytes: Int64, created: Instant, content: String) {
        self.hash = hash
        self.name = name
        self.mediaType = mediaType
        self.bytes = bytes
        self.created = created
        self.content = content
    }
}

public enum CertificationRule: String, Codable, Sendable, CaseIterable {
    case none
    /// Only datacenters with a valid certification for the product deliver it.
    case required
}

/// A product as the operator's catalogue file has it.
public struct CatalogueEntry: Codable, Sendable {
    /// Its name is that of all versions.
    public var definition: ProductDefinition
    /// SHA-256 of the document that describes the service level, stored here before.
    public var slaDocument: String?
    /// SHA-256 of each legal document, stored here before.
    public var legalDocuments: [String]?
    /// `none` when absent.
    public var certification: CertificationRule?
    public init(
        definition: ProductDefinition, slaDocument: String? = nil, legalDocuments: [String]? = nil, certification: CertificationRule? = nil
    ) {
        self.definition = definition
        self.slaDocument = slaDocument
        self.legalDocuments = legalDocuments
        self.certification = certification
    }
}

public struct ApplyCatalogue: Codable, Sendable {
    /// Products that are not in it stay as they are.
    public var products: [CatalogueEntry]
    /// Say what would be done, and do nothing.
    public var planOnly: Bool?
    public init(products: [CatalogueEntry], planOnly: Bool? = nil) {
        self.products = products
        self.planOnly = planOnly
    }
}

public enum CatalogueAction: String, Codable, Sendable, CaseIterable {
    case add
    /// A new version is listed, and the one before takes no more orders.
    case change
    case same
}

/// What applying a catalogue does, or would do, with one product.
public struct CatalogueStep: Codable, Sendable, Hashable {
    public var name: String
    public var action: CatalogueAction
    /// The version that is listed afterwards.
    public var version: Int64
    /// What is different, by the names of the fields.
    public var differences: [String]
    /// Absent in a plan for what is not yet there.
    public var product: ProductID?
    public init(name: String, action: CatalogueAction, version: Int64, differences: [String], product: ProductID?) {
        self.name = name
        self.action = action
        self.version = version
        self.differences = differences
        self.product = product
    }
}

public struct CataloguePlan: Codable, Sendable {
    public var steps: [CatalogueStep]
    /// Whether it was done.
    public var applied: Bool
    public init(steps: [CatalogueStep], applied: Bool) {
        self.steps = steps
        self.applied = applied
    }
}

/// One version of a product of the catalogue.
public struct CatalogueView: Codable, Sendable {
    public var product: ProductID
    public var name: String
    public var version: Int64
    /// Definition, documents and certification of this version.
    public var entry: CatalogueEntry
    /// SHA-256 over definition and document hashes; contracts carry it.
    public var termsHash: String
    public var created: Instant
    /// The version that took its place: this one takes no more orders, its contracts go on.
    public var supersededBy: Int64?
    /// How many datacenters have a valid certification for it.
    public var certifiedDatacenters: Int64
    public init(
        product: ProductID, name: String, version: Int64, entry: CatalogueEntry, termsHash: String, created: Instant, supersededBy: Int64?,
        certifiedDatacenters: Int64
    ) {
        self.product = product
        self.name = name
        self.version = version
        self.entry = entry
        self.termsHash = termsHash
        self.created = created
        self.supersededBy = supersededBy
        self.certifiedDatacenters = certifiedDatacenters
    }
}

extension ExchangeAPI {
    public static let putDocument = Endpoint(
        "putDocument", .put, "/v1/documents/{hash}", "Store a document under the SHA-256 of its bytes.", access: [.operator],
        request: PutDocument.self, response: DocumentView.self)
    public static let showDocument = Endpoint(
        "showDocument", .get, "/v1/documents/{hash}", "A document that products refer to.", access: traders, request: Empty.self,
        response: DocumentView.self)
    public static let applyCatalogue = Endpoint(
        "applyCatalogue", .post, "/v1/catalogue",
        "List the products of a catalogue: new ones are added, a changed one is a new version. Or say what would be done.",
        access: [.operator], request: ApplyCatalogue.self, response: CataloguePlan.self)
    public static let listCatalogue = Endpoint(
        "listCatalogue", .get, "/v1/catalogue", "All versions of the catalogue's products.", access: traders,
        query: QueryParameter.paging, request: Empty.self, response: Page<CatalogueView>.self)
}
