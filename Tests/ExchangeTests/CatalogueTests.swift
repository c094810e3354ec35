import CloudAPI
import CloudClient
import Crypto
import Exchange
import Foundation
import Primitives
import TestSupport
import Testing

@Suite struct CatalogueTests {
    private func store(_ text: String, _ client: CloudClient) async throws -> DocumentView {
        let bytes = Data(text.utf8)
        let hash = SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return try await client.call(
            ExchangeAPI.putDocument, path: ["hash": hash],
            body: PutDocument(name: "terms", mediaType: "text/plain", content: bytes.base64EncodedString()))
    }

    private func entry(_ name: String, sla: String? = nil, oversubscription: Int64 = 8_000) -> CatalogueEntry {
        var definition = Town.definition(name)
        definition.largestOversubscription = oversubscription
        return CatalogueEntry(definition: definition, slaDocument: sla)
    }

    @Test(arguments: DatabaseKind.allCases) func aChangedProductIsANewVersion(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let admin = try town.exchange.operator
            func apply(_ entries: [CatalogueEntry], plan: Bool = false) async throws -> [CatalogueStep] {
                try await admin.call(ExchangeAPI.applyCatalogue, body: ApplyCatalogue(products: entries, planOnly: plan)).steps
            }
            let sla = try await store("99.9 %", admin)
            let first = [entry("alpha", sla: sla.hash), entry("beta")]
            #expect(try await apply(first, plan: true).map(\.action) == [.add, .add])
            #expect(try await admin.call(ExchangeAPI.listProducts).items.count == 1, "a plan changes nothing")
            let added = try await apply(first)
            #expect(added.map(\.version) == [1, 1] && added.allSatisfy { $0.product != nil })
            #expect(try await apply(first).map(\.action) == [.same, .same])

            // Somebody trades the first version.
            let alpha = try #require(added[0].product)
            let series = try #require(try await admin.call(ExchangeAPI.listSeries).items.first { $0.product == alpha }).id
            _ = try await town.connect.exchange.call(
                ExchangeAPI.declareCapacity, path: ["datacenter": town.connect.id], body: DeclareCapacity(product: alpha, lots: 5))
            func order(_ side: OrderSide, _ lots: Int64) -> PlaceOrder {
                PlaceOrder(
                    series: series, side: side, type: .limit, price: Town.price, lots: lots,
                    datacenter: side == .sell ? DatacenterID(town.connect.id) : nil)
            }
            let ask = try await town.connect.exchange.call(ExchangeAPI.placeOrder, body: order(.sell, 5))
            let bid = try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: order(.buy, 2))
            let contract = try await town.contract(try #require(bid.contracts.first))

            let second = [entry("alpha", sla: sla.hash, oversubscription: 2_000), entry("beta")]
            let plan = try await apply(second, plan: true)
            #expect(plan.map(\.action) == [.change, .same] && plan[0].differences == ["largestOversubscription"])
            let changed = try await apply(second)
            #expect(changed[0].version == 2 && changed[0].product != alpha)
            let versions = try await town.buyerClient.items(of: ExchangeAPI.listCatalogue).filter { $0.name == "alpha" }
                .sorted { $0.version < $1.version }
            #expect(versions.map(\.supersededBy) == [2, nil] && versions[0].termsHash != versions[1].termsHash)
            #expect(contract.termsHash == versions[0].termsHash)
            let refused = try await problem { try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: order(.buy, 1)) }
            #expect(refused.rule == "market.halted" && refused.detail.contains("version 2 of alpha"))
            let path = ["order": ask.id.description]
            #expect(
                try await town.connect.exchange.call(ExchangeAPI.showOrder, path: path).state == .partiallyFilledAndCancelled,
                "what was on offer is taken back")
            try await town.exchange.advance(.seconds(61))
            #expect(try await town.contract(contract.id).state == .delivering, "contracts go on")
            #expect(try await apply(second).map(\.action) == [.same, .same])
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test(arguments: DatabaseKind.allCases) func aSupersededVersionIsClosedForGood(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let (old, open, hash) = try await withExchange(home) { exchange in
                let town = try await Town(exchange)
                let admin = try exchange.operator
                func apply(_ oversubscription: Int64) async throws -> CatalogueStep {
                    var alpha = entry("alpha", oversubscription: oversubscription)
                    alpha.definition.forwards = nil
                    return try #require(
                        try await admin.call(ExchangeAPI.applyCatalogue, body: ApplyCatalogue(products: [alpha])).steps.first)
                }
                let old = try #require(try await apply(8_000).product)
                #expect(try await apply(8_000).action == .same)
                func series() async throws -> [SeriesView] {
                    try await admin.items(of: ExchangeAPI.listSeries, query: ["product": old.description])
                }
                #expect(
                    Set(try await series().map(\.kind)) == ["spot", "hour", "day", "week", "month"], "all forwards, as nothing is said")
                // Some series have expired when the next version comes.
                try await exchange.advance(.hours(3))
                #expect(
                    try await admin.items(of: ExchangeAPI.listSeries, query: ["product": old.description, "state": "expired"]).count > 0)
                #expect(try await apply(2_000).version == 2)
                let open = Set(try await series().map(\.id))
                #expect(try await series().allSatisfy { $0.state != "open" })
                let spot = try #require(try await series().first { $0.kind == "spot" })
                let refused = try await problem { try await admin.call(ExchangeAPI.reopenSeries, path: ["series": spot.id.description]) }
                #expect(refused.status == 409 && refused.rule == "market.product-closed" && refused.detail.contains("version 2 of alpha"))
                try await exchange.advance(.hours(2))
                #expect(open.isSuperset(of: try await series().map(\.id)), "no series are opened any more")
                #expect(try await apply(3_000).version == 3)
                #expect(try await exchange.problems() == [])
                await town.leave()
                return (old, open, await exchange.service.stateHash())
            }
            try await withExchange(home) { exchange in
                #expect(await exchange.service.stateHash() == hash)
                try await exchange.advance(.hours(2))
                let now = try await exchange.operator.items(of: ExchangeAPI.listSeries, query: ["product": old.description])
                #expect(open.isSuperset(of: now.map(\.id)) && now.count < open.count)
                #expect(try await exchange.service.replayJournal().problem == nil)
            }
        }
    }

    @Test func documentsAreNamedByWhatIsInThem() async throws {
        try await withTown(.sqlite) { town in
            let admin = try town.exchange.operator
            let stored = try await store("terms of use", admin)
            #expect(try await store("terms of use", admin) == stored)
            let read = try await town.buyerClient.call(ExchangeAPI.showDocument, path: ["hash": stored.hash])
            #expect(Data(base64Encoded: read.content) == Data("terms of use".utf8))
            let wrong = PutDocument(name: "x", mediaType: "text/plain", content: Data("other".utf8).base64EncodedString())
            let refused = try await problem {
                try await admin.call(ExchangeAPI.putDocument, path: ["hash": stored.hash], body: wrong)
            }
            #expect(refused.rule == "document.hash" && refused.nearest?.count == 64)
            let unknown = ApplyCatalogue(products: [entry("gamma", sla: String(repeating: "0", count: 64))])
            #expect(try await problem { try await admin.call(ExchangeAPI.applyCatalogue, body: unknown) }.rule == "document.unknown")
            let taken = ApplyCatalogue(products: [entry("general.demo-1a.das")])
            #expect(try await problem { try await admin.call(ExchangeAPI.applyCatalogue, body: taken) }.rule == "catalogue.taken")
            let twice = ApplyCatalogue(products: [entry("delta"), entry("delta")])
            #expect(try await problem { try await admin.call(ExchangeAPI.applyCatalogue, body: twice) }.rule == "catalogue.name")
        }
    }
}
