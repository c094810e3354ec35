import CloudAPI
import Crypto
import Foundation
import Market
import Primitives
import ServiceKit
import Store

// Products, series, books and datacenters.

extension ExchangeCore {
    func createProduct(_ call: Call<ProductDefinition>) async throws -> ProductView {
        let definition = call.body.complete
        let hash = SHA256.hash(data: try WireJSON.encode(definition)).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }
            .joined()
        let command = MarketCommand.addProduct(Product.Terms(definition), termsHash: hash)
        return try await desk.perform(try DeskRequest(command, for: call, status: 201)) { _, changes in
            changes.first { if case .product(let product) = $0 { product.view } else { nil } }
        }
    }

    func products(_ call: Call<Empty>) async throws -> CloudAPI.Page<ProductView> {
        try await database.read { context in
            try context.page(call.query, "SELECT * FROM products WHERE id > $1 AND $2 = '' ORDER BY id", filter: "", key: "id") {
                try Product(row: $0).view
            }
        }
    }

    // MARK: Datacenters

    func registerDatacenter(_ call: Call<RegisterDatacenter>) async throws -> DatacenterView {
        let (id, owner) = try ownDatacenter(call)
        let body = call.body
        let datacenter = Datacenter(
            id: id, owner: owner, name: body.name, region: body.region, zones: body.zones, peerAddress: body.peerAddress)
        return try await perform(try DeskRequest(.registerDatacenter(datacenter), for: call, status: 200), by: owner) { _, _ in
            DatacenterView(datacenter)
        }
    }

    func declareCapacity(_ call: Call<DeclareCapacity>) async throws -> DeclareCapacity {
        let (id, owner) = try ownDatacenter(call)
        let body = call.body
        let before = await desk.reading { $0.offering(of: body.product, at: id)?.declared ?? 0 } ?? 0
        if body.lots > before { try await checkCertified(id, for: body.product) }
        let command = MarketCommand.declareCapacity(id, body.product, lots: body.lots, by: owner)
        return try await perform(try DeskRequest(command, for: call, status: 200), by: owner) { _, _ in body }
    }

    /// From the market in memory where it runs; elsewhere from the tables.
    func declaredCapacity(_ call: Call<Empty>) async throws -> CloudAPI.Page<DeclaredCapacityView> {
        let id = try call.id("datacenter", as: DatacenterID.self)
        let scope = try Scope(call.principal)
        let views: @Sendable (Market) throws -> [DeclaredCapacityView] = { market in
            guard let datacenter = market.datacenter(id), scope.owns(datacenter) else { throw Refusal.unknownDatacenter(id) }
            return market.offerings(of: id).compactMap { offering in
                market.product(offering.product).map { DeclaredCapacityView(offering, name: $0.terms.name) }
            }
        }
        if let now = try await desk.reading(views) { return CloudAPI.Page(now) }
        let (snapshot, clock, _) = try await database.read { try MarketTables.load(from: $0) }
        return CloudAPI.Page(try views(try Market(restoring: snapshot, clock: clock)))
    }

    /// A connect speaks for its own datacenter only, whose identifier is its own.
    func ownDatacenter<Body>(_ call: Call<Body>) throws -> (DatacenterID, ParticipantID) {
        let id = try call.id("datacenter", as: DatacenterID.self)
        guard case .datacenter(id, let owner) = try Scope(call.principal) else {
            throw Refusal(
                "market.unknown-datacenter", .notFound, "There is no datacenter \(id) of this connect.",
                facts: ["datacenter": .text(id.description)])
        }
        return (id, owner)
    }

    func datacenters(_ call: Call<Empty>) async throws -> CloudAPI.Page<DatacenterView> {
        try await database.read { context in
            try context.page(call.query, "SELECT * FROM datacenters WHERE id > $1 AND $2 = '' ORDER BY id", filter: "", key: "id") {
                DatacenterView(try Datacenter(row: $0))
            }
        }
    }
}

extension Scope {
    fileprivate func owns(_ datacenter: Datacenter) -> Bool {
        switch self {
        case .all: true
        case .participant(let id): datacenter.owner == id
        case .datacenter(let own, let id): datacenter.id == own && datacenter.owner == id
        }
    }
}

extension DeclaredCapacityView {
    fileprivate init(_ offering: Offering, name: String) {
        self.init(
            product: offering.product, productName: name, declared: offering.declared, offered: offering.offered, sold: offering.sold,
            forwardsPeak: offering.forwardsPeak, free: offering.free)
    }
}
