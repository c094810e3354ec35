import CloudAPI
import CloudClient
import Crypto
import Foundation
import Primitives
import Testing

/// Who and what is in the week: three sellers, three buyers, the five datacenters of the sellers and of the buyer that also sells.
struct WeekCast: Sendable {
    struct Member: Sendable {
        var name: String
        var id: ParticipantID
        var sells: Bool
        var buys: Bool
    }
    struct Site: Sendable {
        var owner: Int
        var datacenter: DatacenterID
        var product: Int
    }

    /// Sellers are 0 to 2, buyers 3 to 5; 5 also sells.
    var members: [Member] = []
    /// Each delivers one product.
    var sites: [Site] = []
    /// By name: general in the north, block storage in the south.
    var products: [ProductID] = []
    var spot: [SeriesID] = []

    static let (nordlicht, rheinrechen, alpin, acme, borealis, resell) = (0, 1, 2, 3, 4, 5)
    static let (general, block) = (0, 1)
    /// Micro-units per lot-hour.
    static let prices: [Int64] = [1_200_000, 300_000]

    func member(_ id: ParticipantID) -> Int? { members.firstIndex { $0.id == id } }
    func member(_ id: String) -> Int? { members.firstIndex { $0.id.description == id } }
}

/// The cast's clients of one running exchange.
struct WeekStage: Sendable {
    var exchange: RunningExchange
    var admin: CloudClient
    /// By member, with bearer tokens.
    var clients: [CloudClient] = []
    /// Of the buyers, by member; of the datacenters, by site.
    var manages: [Int: Town.Program] = [:]
    var connects: [Town.Program] = []

    init(_ exchange: RunningExchange) throws {
        self.exchange = exchange
        admin = try exchange.operator
    }

    /// Everybody comes back to an exchange that was started again.
    init(_ exchange: RunningExchange, _ cast: WeekCast) async throws {
        try self.init(exchange)
        for member in cast.members { clients.append(try await Town.client(exchange, member.id)) }
        for (number, member) in cast.members.enumerated() where member.buys {
            manages[number] = try await Town.enrol(exchange, member.id, .manage)
        }
        for site in cast.sites {
            connects.append(
                try await Town.enrol(exchange, cast.members[site.owner].id, .connect, id: site.datacenter.description))
        }
    }

    func leave() async {
        for program in Array(manages.values) + connects { await program.exchange.shutdown() }
    }
}

// MARK: - The first morning

extension WeekCast {
    static func definition(_ product: Int) -> ProductDefinition {
        let delivery = DeliveryDefinition(
            confirmationSeconds: 1_800, graceSeconds: 3_600, disputeSeconds: 86_400, toleranceThousandths: 10,
            penalties: [
                PenaltyDefinition(below: 999, credit: 100), PenaltyDefinition(below: 990, credit: 250),
                PenaltyDefinition(below: 950, credit: 1_000),
            ])
        guard product == general else {
            return ProductDefinition(
                name: "block-ssd.south-1a", unitClass: "block-ssd", lot: Resources(diskMiB: 102_400, iops: 3_000), region: "south",
                zone: "south-1a", jurisdiction: "CH", tenancy: .shared, storage: .nas, firmness: .firm, slaProfile: "standard",
                largestOversubscription: 1_000, currency: .eur, spotPeriodSeconds: 21_600, forwards: .spotOnly,
                risk: ProductRisk(takerFeeMillionths: 1_500), delivery: delivery)
        }
        return ProductDefinition(
            name: "general.north", unitClass: "general", lot: Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480),
            region: "north", zone: nil, jurisdiction: "DE", tenancy: .shared, storage: .das, firmness: .firm, slaProfile: "gold",
            largestOversubscription: 4_000, currency: .eur, spotPeriodSeconds: 14_400,
            forwards: ForwardDefinition(calendar: [.hour, .day, .week], initialMargin: 100, performanceBond: 50, penalty: 100),
            risk: ProductRisk(
                collarThousandths: 200, bandThousandths: 50, haltSeconds: 1_800, referenceTrades: 10, referenceMinimumLots: 2,
                takerFeeMillionths: 2_000, makerFeeMillionths: 1_000),
            delivery: delivery)
    }

    static func money(_ euros: Int64) -> Money { Money(microUnits: euros * 1_000_000, .eur) }

    /// Admits everybody, lists the products, certifies the datacenters.
    static func arrive(_ exchange: RunningExchange) async throws -> (WeekCast, WeekStage) {
        var cast = WeekCast()
        let admin = try exchange.operator
        let people: [(String, [ParticipantRole], Int64)] = [
            ("Nordlicht", [.seller], 2_000), ("Rheinrechen", [.seller], 2_000), ("Alpin", [.seller], 2_000),
            ("Acme", [.buyer], 20_000), ("Borealis", [.buyer], 20), ("Resell", [.buyer, .seller], 600),
        ]
        for (name, roles, euros) in people {
            let id = try await admin.call(
                ExchangeAPI.createParticipant, body: CreateParticipant(name: name, roles: roles, currency: .eur)
            ).id
            cast.members.append(Member(name: name, id: id, sells: roles.contains(.seller), buys: roles.contains(.buyer)))
            _ = try await admin.call(
                ExchangeAPI.transfer, path: ["participant": id.description],
                body: Transfer(amount: money(euros), reference: "opening"))
        }
        _ = try await admin.call(
            ExchangeAPI.grantCreditLine, path: ["participant": cast.members[borealis].id.description],
            body: GrantCreditLine(amount: money(3_000), reason: "annual review"))
        let document = try await terms(admin)
        let entries = [general, block].map {
            CatalogueEntry(definition: definition($0), legalDocuments: [document], certification: .required)
        }
        let steps = try await admin.call(ExchangeAPI.applyCatalogue, body: ApplyCatalogue(products: entries)).steps
        for product in [general, block] {
            let id = try #require(steps[product].product)
            cast.products.append(id)
            let spot = try await admin.items(of: ExchangeAPI.listSeries, query: ["product": id.description, "kind": "spot"])
            cast.spot.append(try #require(spot.first).id)
            _ = try await admin.call(
                ExchangeAPI.setReferencePrice, path: ["series": cast.spot[product].description],
                body: SetReferencePrice(price: prices[product], reason: "survey"))
        }
        for (place, (owner, product)) in [
            (nordlicht, general), (nordlicht, block), (rheinrechen, general), (alpin, block), (resell, general),
        ].enumerated() {
            cast.sites.append(Site(owner: owner, datacenter: DatacenterID(bits: UInt64(0xD0 + place)), product: product))
        }
        let stage = try await WeekStage(exchange, cast)
        for place in cast.sites.indices { try await cast.open(place, document, stage) }
        return (cast, stage)
    }

    private static func hash(_ text: String) -> String {
        SHA256.hash(data: Data(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func terms(_ admin: CloudClient) async throws -> String {
        let text = "Deliver what was sold."
        _ = try await admin.call(
            ExchangeAPI.putDocument, path: ["hash": hash(text)],
            body: PutDocument(name: "terms", mediaType: "text/plain", content: Data(text.utf8).base64EncodedString()))
        return hash(text)
    }

    /// Registers a datacenter; without a certification it declares nothing, with one it does.
    private func open(_ place: Int, _ document: String, _ stage: WeekStage) async throws {
        let (site, connect) = (sites[place], stage.connects[place].exchange)
        let path = ["datacenter": site.datacenter.description]
        let region = site.product == Self.general ? "north" : "south"
        _ = try await connect.call(
            ExchangeAPI.registerDatacenter, path: path,
            body: RegisterDatacenter(
                name: "DC \(place + 1)", region: region, zones: [region + "-1a"], peerAddress: "127.0.0.1:\(7_420 + place)"))
        let capacity = DeclareCapacity(product: products[site.product], lots: 60)
        #expect(
            try await problem { try await connect.call(ExchangeAPI.declareCapacity, path: path, body: capacity) }.rule
                == "certification.required")
        let evidence = #"{"hosts":12}"#
        _ = try await connect.call(
            ExchangeAPI.certifyTechnically, path: path,
            body: TechnicalTest(
                product: products[site.product], checks: [CertificationCheck(name: "hosts", passed: true, detail: "12 of 12")],
                evidence: evidence, evidenceHash: Self.hash(evidence), validDays: 90))
        _ = try await stage.clients[site.owner].call(
            ExchangeAPI.acceptLegally, path: path,
            body: LegalAcceptance(
                product: products[site.product], documents: [document], claims: ["ISO 27001"], signatory: "A. Person"))
        _ = try await connect.call(ExchangeAPI.declareCapacity, path: path, body: capacity)
    }
}
