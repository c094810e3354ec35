import CloudAPI
import Foundation
import Primitives
import Store

/// A step of a certification, as its table has it. Rows are only added: the newest of each kind counts.
struct Certification: Sendable {
    let datacenter: DatacenterID
    let product: ProductID
    let kind: CertificationKind
    let at: Instant
    let expires: Instant
    /// The request, JSON.
    let detail: String

    init(datacenter: DatacenterID, product: ProductID, kind: CertificationKind, at: Instant, span: Span, detail: String) {
        self.datacenter = datacenter
        self.product = product
        self.kind = kind
        self.at = at
        self.expires = at + span
        self.detail = detail
    }

    fileprivate init(row: Row) throws {
        let at = try row.instant("at")
        self.init(
            datacenter: try row.id("datacenter"), product: try row.id("product"), kind: try row.value("kind"), at: at,
            span: try row.instant("expires") - at, detail: try row.text("detail"))
    }

    func isValid(at now: Instant) -> Bool { now < expires }

    func view(jurisdiction: String, at now: Instant) throws -> CertificationView {
        let data = Data(detail.utf8)
        let test = kind == .technical ? try WireJSON.decode(TechnicalTest.self, from: data) : nil
        let acceptance = kind == .legal ? try WireJSON.decode(LegalAcceptance.self, from: data) : nil
        return CertificationView(
            product: product, kind: kind, at: at, expires: expires, valid: isValid(at: now), jurisdiction: jurisdiction,
            checks: test?.checks ?? [], evidence: test?.evidence, evidenceHash: test?.evidenceHash, documents: acceptance?.documents ?? [],
            claims: acceptance?.claims ?? [], signatory: acceptance?.signatory)
    }
}

extension WriteContext {
    func insert(_ new: Certification) throws {
        try execute(
            """
            INSERT INTO certifications (number, datacenter, product, kind, at, expires, detail)
            SELECT COALESCE(MAX(number), 0) + 1, $1, $2, $3, $4, $5, $6 FROM certifications
            """,
            [
                SQLValue(new.datacenter), SQLValue(new.product), SQLValue(new.kind), SQLValue(new.at), SQLValue(new.expires),
                .text(new.detail),
            ])
    }
}

/// Something on offer that must not be.
struct UncertifiedOffer: Sendable {
    let datacenter: DatacenterID
    let owner: ParticipantID
    let series: SeriesID
}

extension ReadContext {
    /// The newest of each kind, product by product.
    func certifications(of datacenter: DatacenterID) throws -> [Certification] {
        try query(
            """
            SELECT * FROM certifications WHERE number IN
              (SELECT MAX(number) FROM certifications WHERE datacenter = $1 GROUP BY product, kind) ORDER BY product, kind
            """, [SQLValue(datacenter)]
        ).map(Certification.init(row:))
    }

    /// Refuses when the product wants certified datacenters and a step is missing or has run out.
    func checkCertified(_ datacenter: DatacenterID, for product: ProductID, at now: Instant) throws {
        guard let record = try catalogueRecord(of: product), record.entry.certification == .required else { return }
        let own = try certifications(of: datacenter).filter { $0.product == product }
        for kind in [CertificationKind.technical, .legal] {
            let newest = own.first { $0.kind == kind }
            guard newest?.isValid(at: now) != true else { continue }
            let state = newest.map { $0.expires == $0.at ? "failed at \($0.at)" : "ended at \($0.expires)" } ?? "is missing"
            throw Refusal(
                "certification.required", .conflict,
                "\(record.name) is delivered by certified datacenters only; the \(kind.rawValue) step of this one \(state).",
                facts: ["kind": .text(kind.rawValue), "product": .text(product.description), "datacenter": .text(datacenter.description)],
                nearest: kind == .technical ? "a technical test by its connect that passes" : "acceptance of the product's documents")
        }
    }

    func uncertifiedOffers(at now: Instant) throws -> [UncertifiedOffer] {
        let offers = try query(
            """
            SELECT f.datacenter, d.owner, s.id AS series, f.product FROM offerings f JOIN datacenters d ON d.id = f.datacenter
            JOIN series s ON s.product = f.product JOIN catalogue c ON c.product = f.product WHERE f.declared > 0 ORDER BY f.datacenter, s.id
            """)
        return try offers.compactMap { row in
            let offer = UncertifiedOffer(datacenter: try row.id("datacenter"), owner: try row.id("owner"), series: try row.id("series"))
            do {
                try checkCertified(offer.datacenter, for: try row.id("product"), at: now)
                return nil
            } catch is Refusal {
                let sql = "SELECT id FROM orders WHERE state = 'resting' AND series = $1 AND side = 'sell' AND datacenter = $2 LIMIT 1"
                return try queryOne(sql, [SQLValue(offer.series), SQLValue(offer.datacenter)]) == nil ? nil : offer
            }
        }
    }

    /// How many datacenters have both steps for a product.
    func certifiedDatacenters(of product: ProductID, at now: Instant) throws -> Int64 {
        let rows = try query("SELECT DISTINCT datacenter FROM certifications WHERE product = $1", [SQLValue(product)])
        return try rows.reduce(0) { count, row in
            let own = try certifications(of: try row.id("datacenter")).filter { $0.product == product && $0.isValid(at: now) }
            return count + (own.count == CertificationKind.allCases.count ? 1 : 0)
        }
    }
}
