import CloudAPI
import Foundation
import Market
import Primitives
import ServiceKit
import Store

// The catalogue of products and the documents they refer to.

extension ExchangeCore {
    private static let largestDocument = 700_000

    func putDocument(_ call: Call<PutDocument>) async throws -> DocumentView {
        let (body, hash, now) = (call.body, call.text("hash"), time.now())
        guard let bytes = Data(base64Encoded: body.content), (1...Self.largestDocument).contains(bytes.count) else {
            throw Refusal(
                "document.content", .invalid, "A document is 1 to \(Self.largestDocument) bytes in Base64.",
                facts: ["largest": .number(Int64(Self.largestDocument))])
        }
        guard sha256(bytes) == hash else {
            throw Refusal(
                "document.hash", .invalid, "These bytes have the SHA-256 \(sha256(bytes)), not \(hash.prefix(64)).",
                facts: ["hash": .text(sha256(bytes))], nearest: sha256(bytes))
        }
        for (what, text) in [("name", body.name), ("media type", body.mediaType)] where !(1...200).contains(text.count) {
            throw Refusal("document.name", .invalid, "The \(what) of a document has 1 to 200 characters, not \(text.count).")
        }
        return try await database.write { transaction in
            let new = try transaction.execute(
                """
                INSERT INTO documents (hash, name, media_type, content, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash) DO NOTHING
                """, [.text(hash), .text(body.name), .text(body.mediaType), .blob(Array(bytes)), SQLValue(now)])
            if new == 1 {
                try transaction.appendAudit(actor: call.principal.name, action: "document.store", subject: hash, detail: "{}", at: now)
            }
            let view = try transaction.document(hash)
            try transaction.remember(view, status: 200, for: call.idempotency, at: now)
            return view
        }
    }

    func showDocument(_ call: Call<Empty>) async throws -> DocumentView {
        try await database.read { try $0.document(call.text("hash")) }
    }

    func catalogue(_ call: Call<Empty>) async throws -> CloudAPI.Page<CatalogueView> {
        let now = time.now()
        return try await database.read { context in
            try context.page(
                call.query, "SELECT * FROM catalogue WHERE product > $1 AND $2 = '' ORDER BY product", filter: "", key: "product"
            ) { row in
                let record = try CatalogueRecord(row: row)
                return record.view(certifiedDatacenters: try context.certifiedDatacenters(of: record.product, at: now))
            }
        }
    }

    // MARK: Applying

    /// What is asked for twice is done once: applying again finds everything the same, also after a crash half-way.
    func applyCatalogue(_ call: Call<ApplyCatalogue>) async throws -> CataloguePlan {
        let entries = call.body.products.map(\.complete)
        try checkNames(of: entries)
        var steps: [CatalogueStep] = []
        for entry in entries { steps.append(try await database.read { try $0.step(for: entry) }) }
        guard call.body.planOnly != true else { return CataloguePlan(steps: steps, applied: false) }
        for (index, entry) in entries.enumerated() where steps[index].action != .same {
            steps[index].product = try await list(entry, as: steps[index].version, call)
        }
        try await closeSuperseded(call)
        let (plan, now) = (CataloguePlan(steps: steps, applied: true), time.now())
        try await database.write { try $0.remember(plan, status: 200, for: call.idempotency, at: now) }
        return plan
    }

    private func checkNames(of entries: [CatalogueEntry]) throws(Refusal) {
        guard (1...500).contains(entries.count) else {
            throw Refusal("catalogue.size", .invalid, "A catalogue has 1 to 500 products, not \(entries.count).")
        }
        var names: Set<String> = []
        for name in entries.map(\.definition.name) {
            guard !name.contains("@") else {
                throw Refusal(
                    "catalogue.name", .invalid, "The name '\(name)' has an @, which sets off versions.",
                    nearest: String(name.prefix { $0 != "@" }))
            }
            guard names.insert(name).inserted else {
                throw Refusal("catalogue.name", .invalid, "The product '\(name)' is in the catalogue twice.", nearest: "once")
            }
        }
    }

    /// Lists a version on the market, or finds it there when an earlier attempt broke off; then writes it into the catalogue.
    private func list(_ entry: CatalogueEntry, as version: Int64, _ call: Call<ApplyCatalogue>) async throws -> ProductID {
        let definition = entry.listed(as: version)
        let hash = try entry.termsHash(of: version)
        let listed = try await database.read {
            try $0.queryOne("SELECT id FROM products WHERE name = $1 AND terms_hash = $2", [.text(definition.name), .text(hash)])
        }
        let product: ProductID
        if let listed {
            product = try listed.id("id")
        } else {
            let command = MarketCommand.addProduct(Product.Terms(definition), termsHash: hash)
            let request = DeskRequest(command: command, actor: call.principal.name)
            product = try await desk.perform(request) { _, changes in
                changes.first { if case .product(let product) = $0 { product.id } else { nil } }
            }
        }
        let (text, now) = (try WireJSON.text(entry), time.now())
        try await database.write { transaction in
            try transaction.execute(
                "UPDATE catalogue SET superseded_by = $1 WHERE name = $2 AND version < $1 AND superseded_by IS NULL",
                [SQLValue(version), .text(entry.definition.name)])
            try transaction.execute(
                """
                INSERT INTO catalogue (product, name, version, entry, terms_hash, created, closed) VALUES ($1, $2, $3, $4, $5, $6, 0)
                ON CONFLICT (product) DO NOTHING
                """, [SQLValue(product), .text(entry.definition.name), SQLValue(version), .text(text), .text(hash), SQLValue(now)])
        }
        return product
    }

    /// Versions that have a successor take no more orders, for good: see `MarketCommand.closeProduct`. Contracts go on.
    private func closeSuperseded(_ call: Call<ApplyCatalogue>) async throws {
        let actor = call.principal.name
        let open = try await database.read {
            try $0.query("SELECT * FROM catalogue WHERE superseded_by IS NOT NULL AND closed = 0").map(CatalogueRecord.init(row:))
        }
        for record in open {
            let reason = "version \(record.supersededBy ?? 0) of \(record.name) has taken its place"
            let command = MarketCommand.closeProduct(record.product, reason: reason)
            _ = try await desk.perform(DeskRequest(command: command, actor: actor)) { _, _ in Empty() }
            try await database.write { try $0.execute("UPDATE catalogue SET closed = 1 WHERE product = $1", [SQLValue(record.product)]) }
        }
    }
}

extension ReadContext {
    fileprivate func document(_ hash: String) throws -> DocumentView {
        guard let row = try queryOne("SELECT * FROM documents WHERE hash = $1", [.text(hash)]) else { throw Refusal.unknownDocument(hash) }
        let bytes = try row.blob("content")
        return DocumentView(
            hash: hash, name: try row.text("name"), mediaType: try row.text("media_type"), bytes: Int64(bytes.count),
            created: try row.instant("created"), content: Data(bytes).base64EncodedString())
    }

    /// What applying an entry would do.
    fileprivate func step(for entry: CatalogueEntry) throws -> CatalogueStep {
        for hash in entry.documents where try !hasDocument(hash) { throw Refusal.unknownDocument(hash) }
        let name = entry.definition.name
        if let newest = try newestVersion(of: name) {
            let differences = try entry.differences(from: newest.entry)
            return CatalogueStep(
                name: name, action: differences.isEmpty ? .same : .change, version: newest.version + (differences.isEmpty ? 0 : 1),
                differences: differences, product: differences.isEmpty ? newest.product : nil)
        }
        // Listed by itself before, without a catalogue.
        guard
            try queryOne("SELECT id FROM products WHERE name = $1 AND terms_hash <> $2", [.text(name), .text(entry.termsHash(of: 1))])
                == nil
        else {
            throw Refusal(
                "catalogue.taken", .conflict, "A product '\(name)' is listed that is not from a catalogue.", facts: ["name": .text(name)],
                nearest: "another name")
        }
        return CatalogueStep(name: name, action: .add, version: 1, differences: [], product: nil)
    }
}

extension Refusal {
    static func unknownDocument(_ hash: String) -> Refusal {
        Refusal(
            "document.unknown", .notFound, "There is no document with the SHA-256 '\(hash.prefix(64))'.",
            facts: ["hash": .text(String(hash.prefix(64)))], nearest: "store it first: PUT /v1/documents/{hash}")
    }
}
