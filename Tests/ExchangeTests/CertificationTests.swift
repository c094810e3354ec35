import CloudAPI
import CloudClient
import Crypto
import Exchange
import Foundation
import Primitives
import TestSupport
import Testing

@Suite struct CertificationTests {
    private struct Scene {
        let town: Town
        let product: ProductID
        let series: SeriesID
        let document: String
        let seller: CloudClient
        var path: [String: String] { ["datacenter": town.connect.id] }

        init(_ town: Town) async throws {
            self.town = town
            let admin = try town.exchange.operator
            let terms = Data("be good".utf8)
            document = CertificationTests.hash(terms)
            _ = try await admin.call(
                ExchangeAPI.putDocument, path: ["hash": document],
                body: PutDocument(name: "terms", mediaType: "text/plain", content: terms.base64EncodedString()))
            let entry = CatalogueEntry(definition: Town.definition("sure"), legalDocuments: [document], certification: .required)
            let steps = try await admin.call(ExchangeAPI.applyCatalogue, body: ApplyCatalogue(products: [entry])).steps
            let product = try #require(steps[0].product)
            self.product = product
            series = try #require(try await admin.call(ExchangeAPI.listSeries).items.first { $0.product == product }).id
            seller = try await Town.client(town.exchange, town.seller)
        }

        func test(passes: Bool = true, days: Int64? = nil) async throws -> CertificationView {
            let evidence = #"{"hosts":3}"#
            let checks = [CertificationCheck(name: "hosts", passed: passes, detail: "3 of 3")]
            return try await town.connect.exchange.call(
                ExchangeAPI.certifyTechnically, path: path,
                body: TechnicalTest(
                    product: product, checks: checks, evidence: evidence, evidenceHash: CertificationTests.hash(Data(evidence.utf8)),
                    validDays: days))
        }

        func accept() async throws -> CertificationView {
            try await seller.call(
                ExchangeAPI.acceptLegally, path: path,
                body: LegalAcceptance(product: product, documents: [document], claims: ["ISO 27001"], signatory: "A. Person"))
        }

        func declare() async throws {
            _ = try await town.connect.exchange.call(
                ExchangeAPI.declareCapacity, path: path, body: DeclareCapacity(product: product, lots: 10))
        }

        func ask() async throws -> OrderView {
            try await town.connect.exchange.call(
                ExchangeAPI.placeOrder,
                body: PlaceOrder(
                    series: series, side: .sell, type: .limit, price: Town.price, lots: 1, datacenter: DatacenterID(town.connect.id)))
        }
    }

    private static func hash(_ data: Data) -> String {
        SHA256.hash(data: data).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(arguments: DatabaseKind.allCases) func bothStepsAreNeededAndEnd(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let scene = try await Scene(town)
            let none = try await problem { try await scene.declare() }
            #expect(none.rule == "certification.required" && none.detail.contains("technical step of this one is missing"))
            #expect(try await scene.test(passes: false).valid == false)
            #expect(try await problem { try await scene.declare() }.detail.contains("failed"))
            #expect(try await scene.test(days: 2).valid)
            #expect(try await problem { try await scene.declare() }.detail.contains("legal step of this one is missing"))
            let accepted = try await scene.accept()
            #expect(accepted.valid && accepted.jurisdiction == "DE" && accepted.claims == ["ISO 27001"])
            try await scene.declare()
            let ask = try await scene.ask()

            let seen = try await town.buyerClient.call(ExchangeAPI.showDatacenter, path: scene.path).certifications
            #expect(seen.map(\.kind) == [.legal, .technical] && seen.allSatisfy(\.valid))
            #expect(seen[1].evidence == #"{"hosts":3}"# && seen[1].checks.map(\.passed) == [true])
            let listed = try await town.buyerClient.items(of: ExchangeAPI.listCatalogue)
            #expect(listed.first { $0.product == scene.product }?.certifiedDatacenters == 1)

            town.exchange.clock.advance(by: .days(2))
            try await eventually("the offer is taken back") {
                let order = try await scene.seller.call(ExchangeAPI.showOrder, path: ["order": ask.id.description])
                return order.state == .cancelled
            }
            let ended = try await problem { try await scene.ask() }
            #expect(ended.rule == "certification.required" && ended.detail.contains("technical step of this one ended"))
            _ = try await scene.test()
            #expect(try await scene.ask().state == .resting)
            // A product that does not ask for it needs nothing.
            #expect(try await town.ask(1).state == .resting)
        }
    }

    @Test func whatIsWrongIsRefused() async throws {
        try await withTown(.sqlite) { town in
            let scene = try await Scene(town)
            let check = CertificationCheck(name: "x", passed: true, detail: "")
            let forged = try await problem {
                try await town.connect.exchange.call(
                    ExchangeAPI.certifyTechnically, path: scene.path,
                    body: TechnicalTest(product: scene.product, checks: [check], evidence: "{}", evidenceHash: "00"))
            }
            #expect(forged.rule == "certification.evidence")
            let fewer = try await problem {
                try await scene.seller.call(
                    ExchangeAPI.acceptLegally, path: scene.path,
                    body: LegalAcceptance(product: scene.product, documents: [], claims: [], signatory: "A. Person"))
            }
            #expect(fewer.rule == "certification.documents" && fewer.nearest == scene.document)
            let stranger = try await problem {
                try await town.strangerClient.call(
                    ExchangeAPI.acceptLegally, path: scene.path,
                    body: LegalAcceptance(product: scene.product, documents: [scene.document], claims: [], signatory: "B. Person"))
            }
            #expect(stranger.status == 404)
            #expect(try await problem { try await scene.test(days: 366) }.nearest == "365")
        }
    }
}
