import CloudAPI
import Foundation
import Logging
import Market
import Primitives
import ServiceKit
import Store

// Certification of datacenters: a technical test by its connect, a legal acceptance by its owner, each until it expires.

extension ExchangeCore {
    private static let validDays: ClosedRange<Int64> = 1...365

    func certifyTechnically(_ call: Call<TechnicalTest>) async throws -> CertificationView {
        let (datacenter, owner) = try ownDatacenter(call)
        let body = call.body
        guard (1...100).contains(body.checks.count), body.evidence.utf8.count <= 100_000 else {
            throw Refusal("certification.test", .invalid, "A test has 1 to 100 checks and at most 100,000 bytes of evidence.")
        }
        let evidence = Data(body.evidence.utf8)
        guard sha256(evidence) == body.evidenceHash,
            (try? JSONSerialization.jsonObject(with: evidence, options: [.fragmentsAllowed])) != nil
        else {
            throw Refusal(
                "certification.evidence", .invalid, "The evidence is JSON, and its hash is the SHA-256 of its bytes.",
                facts: ["hash": .text(sha256(evidence))], nearest: sha256(evidence))
        }
        let failed = body.checks.filter { !$0.passed }
        // A test that failed is kept, good for nothing.
        let span = try failed.isEmpty ? Self.span(body.validDays, usually: 90) : .zero
        return try await keep(
            Certification(
                datacenter: datacenter, product: body.product, kind: .technical, at: time.now(), span: span, detail: try WireJSON.text(body)
            ),
            owner: owner, call)
    }

    func acceptLegally(_ call: Call<LegalAcceptance>) async throws -> CertificationView {
        let datacenter = try call.id("datacenter", as: DatacenterID.self)
        guard let owner = try Scope(call.principal).participant else { throw Refusal.unknownDatacenter(datacenter) }
        let body = call.body
        let needed = try await database.read { try $0.catalogueRecord(of: body.product)?.entry.documents ?? [] }
        guard Set(needed) == Set(body.documents) else {
            throw Refusal(
                "certification.documents", .conflict, "The product has \(needed.count) documents; exactly these are to be accepted.",
                facts: ["documents": .text(needed.joined(separator: " "))], nearest: needed.joined(separator: ", "))
        }
        guard !body.signatory.isEmpty, body.claims.count <= 50, (body.claims + [body.signatory]).allSatisfy({ $0.count <= 200 }) else {
            throw Refusal(
                "certification.claims", .invalid, "An acceptance names who accepts, and at most 50 claims of 200 characters each.")
        }
        return try await keep(
            Certification(
                datacenter: datacenter, product: body.product, kind: .legal, at: time.now(),
                span: try Self.span(body.validDays, usually: 365),
                detail: try WireJSON.text(body)), owner: owner, call)
    }

    private static func span(_ days: Int64?, usually: Int64) throws(Refusal) -> Span {
        let days = days ?? usually
        guard validDays.contains(days) else {
            throw Refusal(
                "certification.days", .invalid, "A certification is good for 1 to 365 days, not \(days).", facts: ["days": .number(days)],
                nearest: "\(min(max(days, validDays.lowerBound), validDays.upperBound))")
        }
        return .days(days)
    }

    private func keep<Body>(_ new: Certification, owner: ParticipantID, _ call: Call<Body>) async throws -> CertificationView {
        let now = time.now()
        return try await database.write { transaction in
            guard let row = try transaction.queryOne("SELECT owner FROM datacenters WHERE id = $1", [SQLValue(new.datacenter)]),
                try row.id("owner") == owner
            else { throw Refusal.unknownDatacenter(new.datacenter) }
            guard let product = try transaction.queryOne("SELECT * FROM products WHERE id = $1", [SQLValue(new.product)]) else {
                throw Refusal(
                    "market.unknown-product", .notFound, "There is no product \(new.product).",
                    facts: ["product": .text(new.product.description)])
            }
            try transaction.insert(new)
            try transaction.appendAudit(
                actor: call.principal.name, action: "certification.\(new.kind.rawValue)", subject: new.datacenter.description,
                detail: "{\"product\":\"\(new.product)\",\"expires\":\"\(new.expires)\"}", at: now)
            let view = try new.view(jurisdiction: Product(row: product).terms.jurisdiction, at: now)
            try transaction.remember(view, status: 200, for: call.idempotency, at: now)
            return view
        }
    }

    // MARK: What it is good for

    func showDatacenter(_ call: Call<Empty>) async throws -> DatacenterDetail {
        let (id, now) = (try call.id("datacenter", as: DatacenterID.self), time.now())
        return try await database.read { context in
            guard let row = try context.queryOne("SELECT * FROM datacenters WHERE id = $1", [SQLValue(id)]) else {
                throw Refusal.unknownDatacenter(id)
            }
            let views = try context.certifications(of: id).map { certification in
                let product = try context.queryOne("SELECT * FROM products WHERE id = $1", [SQLValue(certification.product)])
                return try certification.view(jurisdiction: product.map(Product.init(row:))?.terms.jurisdiction ?? "", at: now)
            }
            return DatacenterDetail(datacenter: DatacenterView(try Datacenter(row: row)), certifications: views)
        }
    }

    /// Refuses to sell a product that wants certified datacenters from one that is not.
    func checkCertified(_ datacenter: DatacenterID, for product: ProductID) async throws {
        let now = time.now()
        try await database.read { try $0.checkCertified(datacenter, for: product, at: now) }
    }

    /// The same for an order.
    func checkCertified(_ draft: OrderDraft) async throws {
        if let datacenter = draft.datacenter { try await checkCertified(datacenter, forSeries: draft.series) }
    }

    /// The same for a series.
    func checkCertified(_ datacenter: DatacenterID, forSeries series: SeriesID) async throws {
        let now = time.now()
        try await database.read { context in
            guard let row = try context.queryOne("SELECT product FROM series WHERE id = $1", [SQLValue(series)]) else { return }
            try context.checkCertified(datacenter, for: try row.id("product"), at: now)
        }
    }

    /// Takes back what datacenters offer whose certification has run out. Their contracts go on.
    func withdrawUncertified() async throws {
        guard await desk.missing() == nil else { return }
        let now = time.now()
        for offer in try await tables.read({ try $0.uncertifiedOffers(at: now) }) {
            let command = MarketCommand.cancelOrders(of: offer.owner, series: offer.series, side: .sell, datacenter: offer.datacenter)
            _ = try await desk.perform(DeskRequest(command: command, actor: "exchange")) { _, _ in Empty() }
            logger.notice(
                "offers withdrawn: the certification has run out",
                metadata: ["datacenter": "\(offer.datacenter)", "series": "\(offer.series)"])
        }
    }
}

extension Refusal {
    static func unknownDatacenter(_ id: DatacenterID) -> Refusal {
        Refusal("market.unknown-datacenter", .notFound, "There is no datacenter \(id).", facts: ["datacenter": .text(id.description)])
    }
}
