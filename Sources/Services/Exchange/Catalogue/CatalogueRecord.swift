import CloudAPI
import Crypto
import Foundation
import Primitives
import Store

/// One version of a product, as the catalogue's table has it.
struct CatalogueRecord: Sendable {
    let product: ProductID
    let name: String
    let version: Int64
    let entry: CatalogueEntry
    let termsHash: String
    let created: Instant
    let supersededBy: Int64?

    init(row: Row) throws {
        product = try row.id("product")
        name = try row.text("name")
        version = try row.integer("version")
        entry = try WireJSON.decode(CatalogueEntry.self, from: Data(try row.text("entry").utf8))
        termsHash = try row.text("terms_hash")
        created = try row.instant("created")
        supersededBy = try row.optionalInteger("superseded_by")
    }

    func view(certifiedDatacenters: Int64) -> CatalogueView {
        CatalogueView(
            product: product, name: name, version: version, entry: entry, termsHash: termsHash, created: created,
            supersededBy: supersededBy, certifiedDatacenters: certifiedDatacenters)
    }
}

extension CatalogueEntry {
    /// With all that was left to the exchange filled in, as for a product that is listed by itself.
    var complete: CatalogueEntry {
        var complete = self
        complete.definition = definition.complete
        return complete
    }

    /// The first version has the name itself on the market; later ones say which they are.
    func listed(as version: Int64) -> ProductDefinition {
        var definition = self.definition
        if version > 1 { definition.name += "@\(version)" }
        return definition
    }

    /// SHA-256 over everything a contract binds both sides to.
    func termsHash(of version: Int64) throws -> String {
        var bound = self
        bound.definition = listed(as: version)
        bound.certification = nil
        return sha256(try WireJSON.encode(bound))
    }

    /// The fields in which the two say something else.
    func differences(from other: CatalogueEntry) throws -> [String] {
        let (own, others) = (try fields(), try other.fields())
        return Set(own.keys).union(others.keys).filter { own[$0] != others[$0] }.sorted()
    }

    private func fields() throws -> [String: String] {
        var fields: [String: String] = [:]
        let members = try JSONSerialization.jsonObject(with: try WireJSON.encode(definition)) as? [String: Any] ?? [:]
        for (name, value) in members {
            let options: JSONSerialization.WritingOptions = [.fragmentsAllowed, .sortedKeys]
            fields[name] = String(decoding: try JSONSerialization.data(withJSONObject: value, options: options), as: UTF8.self)
        }
        fields["slaDocument"] = slaDocument
        fields["legalDocuments"] = (legalDocuments ?? []).isEmpty ? nil : legalDocuments?.joined(separator: ",")
        fields["certification"] = certification == .required ? "required" : nil
        return fields
    }

    var documents: [String] { (slaDocument.map { [$0] } ?? []) + (legalDocuments ?? []) }
}

/// In lower-case hexadecimal.
func sha256(_ data: Data) -> String {
    SHA256.hash(data: data).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
}

extension ReadContext {
    /// The newest version of a product of the catalogue.
    func newestVersion(of name: String) throws -> CatalogueRecord? {
        try queryOne("SELECT * FROM catalogue WHERE name = $1 ORDER BY version DESC LIMIT 1", [.text(name)]).map(CatalogueRecord.init(row:))
    }

    /// What the catalogue says of a product; nil for one that is not from a catalogue.
    func catalogueRecord(of product: ProductID) throws -> CatalogueRecord? {
        try queryOne("SELECT * FROM catalogue WHERE product = $1", [SQLValue(product)]).map(CatalogueRecord.init(row:))
    }

    func hasDocument(_ hash: String) throws -> Bool {
        try queryOne("SELECT hash FROM documents WHERE hash = $1", [.text(hash)]) != nil
    }
}
