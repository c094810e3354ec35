import CloudAPI
import CloudClient
import Foundation
import PKI
import Primitives
import ServiceKit
import Testing
import TestSupport

/// Every endpoint refuses everybody it is not for.
@Suite struct AccessTests {
    /// One endpoint with something to send to it.
    struct Probe: Sendable {
        let operation: String
        let access: Set<Caller>
        let call: @Sendable (CloudClient, Town) async throws -> Void

        init<Body, Answer>(_ endpoint: Endpoint<Body, Answer>, _ body: @escaping @Sendable (Town) -> Body) {
            operation = endpoint.operation
            access = endpoint.access
            call = { client, town in
                let path = [
                    "participant": town.buyer.description, "series": town.series.description, "datacenter": town.connect.id,
                    "order": OrderID(bits: 1).description, "contract": ContractID(bits: 1).description,
                    "hash": String(repeating: "0", count: 64), "dispute": DisputeID(bits: 1).description,
                    "trade": TradeID(bits: 1).description, "proposal": ProposalID(bits: 1).description, "day": "2026-01-31",
                ].filter { endpoint.path.contains("{\($0.key)}") }
                _ = try await client.call(endpoint, path: path, body: body(town))
            }
        }

        /// A stream: its first event is enough.
        init<Event>(stream endpoint: Endpoint<Empty, Event>) {
            operation = endpoint.operation
            access = endpoint.access
            call = { client, town in
                try await client.events(endpoint, path: ["series": town.series.description]) { _, _ in false }
            }
        }

        init<Answer>(_ endpoint: Endpoint<Empty, Answer>) { self.init(endpoint) { _ in Empty() } }
    }

    static let probes = [
        Probe(ExchangeAPI.createParticipant) { _ in CreateParticipant(name: "Evil", roles: [.buyer], currency: .eur) },
        Probe(ExchangeAPI.listParticipants),
        Probe(ExchangeAPI.createParticipantToken) { _ in CreateToken(description: "x") },
        Probe(ExchangeAPI.transfer) { _ in Transfer(amount: Money(microUnits: 1, .eur), reference: "x") },
        Probe(ExchangeAPI.listBalances), Probe(ExchangeAPI.listPostings), Probe(ExchangeAPI.trialBalance),
        Probe(ExchangeAPI.createProduct) { _ in Town.definition("evil") },
        Probe(ExchangeAPI.listProducts), Probe(ExchangeAPI.listSeries), Probe(ExchangeAPI.book),
        Probe(ExchangeAPI.showSeries), Probe(ExchangeAPI.quote),
        Probe(ExchangeAPI.registerDatacenter) { _ in RegisterDatacenter(name: "x", region: "demo", zones: ["demo-1a"], peerAddress: "a:1")
        },
        Probe(ExchangeAPI.listDatacenters),
        Probe(ExchangeAPI.declareCapacity) { DeclareCapacity(product: $0.product.id, lots: 1) },
        Probe(ExchangeAPI.listDeclaredCapacity),
        Probe(ExchangeAPI.placeOrder) { PlaceOrder(series: $0.series, side: .buy, type: .limit, price: 1, lots: 1) },
        Probe(ExchangeAPI.listOrders), Probe(ExchangeAPI.showOrder), Probe(ExchangeAPI.cancelOrder), Probe(ExchangeAPI.listTrades),
        Probe(ExchangeAPI.replaceOrder) { _ in ReplaceOrder(lots: 1) },
        Probe(ExchangeAPI.cancelOrders) { CancelOrders(participant: $0.buyer) },
        Probe(ExchangeAPI.suspendParticipant) { _ in Suspension(reason: "x") }, Probe(ExchangeAPI.resumeParticipant),
        Probe(ExchangeAPI.haltSeries) { _ in Suspension(reason: "x") }, Probe(ExchangeAPI.reopenSeries),
        Probe(ExchangeAPI.setReferencePrice) { _ in SetReferencePrice(price: 1, reason: "x") },
        Probe(ExchangeAPI.grantCreditLine) { _ in GrantCreditLine(amount: Money(microUnits: 1, .eur), reason: "x") },
        Probe(ExchangeAPI.showCreditLine), Probe(ExchangeAPI.bustTrade) { _ in BustTrade(reason: "x") },
        Probe(ExchangeAPI.propose) { CreateProposal(counterparty: "Nordlicht", series: $0.series, side: .buy, price: 1, lots: 1) },
        Probe(ExchangeAPI.listProposals), Probe(ExchangeAPI.showProposal), Probe(ExchangeAPI.acceptProposal) { _ in AcceptProposal() },
        Probe(ExchangeAPI.refuseProposal) { _ in RefuseProposal(reason: "x") }, Probe(ExchangeAPI.withdrawProposal),
        Probe(ExchangeAPI.chartOfAccounts), Probe(ExchangeAPI.showStatement), Probe(ExchangeAPI.showSettlement),
        Probe(ExchangeAPI.listContracts), Probe(ExchangeAPI.showContract),
        Probe(ExchangeAPI.stopContract) { _ in StopContract(reason: "x") },
        Probe(ExchangeAPI.issueContractCertificate) { _ in CertificateRequest(csr: "x") },
        Probe(ExchangeAPI.reportDelivery) { town in
            let now = town.exchange.clock.now
            return ReportDelivery(
                period: Period(start: now - .seconds(1), end: now), demandedLotMicroseconds: 0, deliveredLotMicroseconds: 0,
                unavailable: [], evidenceHash: "x")
        },
        Probe(ExchangeAPI.listDeliveries), Probe(ExchangeAPI.awaitedDeliveries), Probe(ExchangeAPI.listDisputes),
        Probe(ExchangeAPI.showDispute), Probe(ExchangeAPI.answerDispute) { _ in AnswerDispute(toBuyerMicroUnits: 0, note: "x") },
        Probe(ExchangeAPI.ruleDispute) { _ in AnswerDispute(toBuyerMicroUnits: 0, note: "x") },
        Probe(ExchangeAPI.createEnrolment) { CreateEnrolment(participant: $0.buyer, role: .manage) },
        Probe(ExchangeAPI.enrol) { _ in Enrol(token: "x", csr: "x", names: []) },
        Probe(ExchangeAPI.renewIdentity) { _ in RenewIdentity(csr: "x", names: []) },
        Probe(ExchangeAPI.signNode) { _ in SignNode(host: HostID(bits: 1), csr: "x") },
        Probe(ExchangeAPI.revoke) { _ in RevokeCertificate(serial: "00", reason: "x") },
        Probe(ExchangeAPI.revocationList), Probe(ExchangeAPI.authority), Probe(ExchangeAPI.changes),
        Probe(ExchangeAPI.listBars), Probe(ExchangeAPI.showTicker), Probe(ExchangeAPI.showDepth), Probe(stream: ExchangeAPI.streamSeries),
        Probe(ExchangeAPI.putDocument) { _ in PutDocument(name: "x", mediaType: "text/plain", content: "x") },
        Probe(ExchangeAPI.showDocument), Probe(ExchangeAPI.applyCatalogue) { _ in ApplyCatalogue(products: []) },
        Probe(ExchangeAPI.listCatalogue),
        Probe(ExchangeAPI.showDatacenter),
        Probe(ExchangeAPI.certifyTechnically) { TechnicalTest(product: $0.product.id, checks: [], evidence: "", evidenceHash: "") },
        Probe(ExchangeAPI.acceptLegally) { LegalAcceptance(product: $0.product.id, documents: [], claims: [], signatory: "") },
        Probe(ExchangeAPI.listConduct), Probe(ExchangeAPI.listSelfMatches), Probe(ExchangeAPI.listAudit), Probe(ExchangeAPI.verifyAudit),
        Probe(ExchangeAPI.replayJournal),
    ]

    @Test func `No endpoint is left out`() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
            path: "../../Sources/Interface/CloudAPI/Exchange")
        let sources = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        let declared = try sources.map { try String(contentsOf: $0, encoding: .utf8).components(separatedBy: "= Endpoint(").count - 1 }
            .reduce(0, +)
        #expect(declared == Self.probes.count)
        #expect(Set(Self.probes.map(\.operation)).count == Self.probes.count)
    }

    @Test func `Each is refused to whom it is not for, and not for that reason to others`() async throws {
        try await withTown(.sqlite) { town in
            let callers: [(Caller, CloudClient)] = [
                (.anyone, try town.exchange.client(token: nil)), (.operator, try town.exchange.operator),
                (.participant, town.strangerClient),
                (.manage, town.manage.exchange), (.connect, town.connect.exchange),
            ]
            for probe in Self.probes {
                for (caller, client) in callers {
                    let isOpen = probe.access.contains(caller) || probe.access.contains(.anyone)
                    let refusal = await Self.refusal { try await probe.call(client, town) }
                    let refused = refusal?.rule == "http.unauthorized" || refusal?.rule == "http.forbidden"
                    #expect(refused == !isOpen, "\(probe.operation) by \(caller.rawValue): \(refusal?.rule ?? "allowed")")
                    if !isOpen { #expect(refusal?.status == (caller == .anyone ? 401 : 403), "\(probe.operation) by \(caller.rawValue)") }
                    #expect(refusal?.status != 500, "\(probe.operation) by \(caller.rawValue)")
                }
            }
        }
    }

    @Test func `An unknown token, a revoked certificate and another authority's are refused`() async throws {
        try await withTown(.sqlite) { town in
            let unknown = try await problem { try await town.exchange.client(token: "bt_nonsense").call(ExchangeAPI.listProducts) }
            #expect(unknown.status == 401)
            let serial = town.manage.identity.tls.credential.serial
            _ = try await town.exchange.operator.call(ExchangeAPI.revoke, body: RevokeCertificate(serial: serial, reason: "stolen"))
            await #expect(throws: (any Error).self) { try await town.manage.exchange.call(ExchangeAPI.listProducts) }
            let nothing = try await problem {
                try await town.exchange.operator.call(ExchangeAPI.revoke, body: RevokeCertificate(serial: "abcd", reason: "x"))
            }
            #expect(nothing.status == 404)

            let directory = try TemporaryDirectory("other")
            let now = town.exchange.clock.now
            let other = try CertificateAuthority.open(directory: directory.path, exchange: "demo", now: now)
            let key = CredentialKey()
            let forged = try other.issueIdentity(
                csrPEM: try key.csrPEM(),
                identity: .program(exchange: "demo", participant: town.seller, role: .connect, id: town.connect.id), now: now)
            let client = try town.connect.identity.client(
                name: town.connect.identity.record.peerName, address: town.connect.identity.record.peerAddress,
                credential: try key.credential(chainPEM: forged.chainPEM))
            await #expect(throws: (any Error).self) { try await client.call(ExchangeAPI.listProducts) }
            await client.shutdown()
        }
    }

    @Test func `A participant sees its own and nobody else's`() async throws {
        try await withTown(.sqlite) { town in
            let contract = try await town.trade(2)
            let order = try #require(try await town.buyerClient.call(ExchangeAPI.listOrders).items.first)
            #expect(order.contracts == [contract.id])
            for client in [town.buyerClient, town.manage.exchange, town.connect.exchange] {
                #expect(try await client.call(ExchangeAPI.listContracts).items.map(\.id) == [contract.id])
                #expect(try await client.call(ExchangeAPI.listTrades).items.first?.contract == contract.id)
            }
            let stranger = town.strangerClient
            #expect(try await stranger.call(ExchangeAPI.listContracts).items.isEmpty)
            #expect(try await stranger.call(ExchangeAPI.listOrders).items.isEmpty)
            #expect(try await stranger.call(ExchangeAPI.listParticipants).items.map(\.id) == [town.stranger])
            let seen = try #require(try await stranger.call(ExchangeAPI.listTrades).items.first)
            #expect(seen.lots == 2 && seen.contract == nil, "trades are anonymous")
            #expect(Set(try await stranger.call(ExchangeAPI.listBalances).items.map(\.participant)) == [town.stranger])
            for posting in try await stranger.call(ExchangeAPI.listPostings).items {
                #expect(posting.entries.contains { $0.participant == town.stranger })
            }
            let hidden = [
                try await problem { try await stranger.call(ExchangeAPI.showContract, path: ["contract": contract.id.description]) },
                try await problem { try await stranger.call(ExchangeAPI.showOrder, path: ["order": order.id.description]) },
                try await problem { try await stranger.call(ExchangeAPI.cancelOrder, path: ["order": order.id.description]) },
                try await problem {
                    try await stranger.call(
                        ExchangeAPI.stopContract, path: ["contract": contract.id.description], body: StopContract(reason: ""))
                },
                try await problem {
                    try await stranger.call(
                        ExchangeAPI.createParticipantToken, path: ["participant": town.buyer.description],
                        body: CreateToken(description: ""))
                },
                try await problem {
                    try await stranger.call(ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: town.buyer, role: .manage))
                },
            ]
            #expect(hidden.allSatisfy { $0.status == 404 }, "\(hidden.map(\.status))")
        }
    }

    @Test func `Programs do their own side's business only`() async throws {
        try await withTown(.sqlite) { town in
            let datacenter = DatacenterID(town.connect.id)
            let sellByManage = PlaceOrder(series: town.series, side: .sell, type: .limit, price: 1, lots: 1, datacenter: datacenter)
            #expect(
                try await problem { try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: sellByManage) }.rule
                    == "order.program")
            #expect(
                try await problem { try await town.connect.exchange.call(ExchangeAPI.placeOrder, body: town.bid(1)) }.rule
                    == "order.program")
            let elsewhere = DatacenterID(bits: 77).description
            let body = DeclareCapacity(product: town.product.id, lots: 1)
            let foreign = try await problem {
                try await town.connect.exchange.call(ExchangeAPI.declareCapacity, path: ["datacenter": elsewhere], body: body)
            }
            #expect(foreign.status == 404)
        }
    }

    static func refusal(_ call: () async throws -> Void) async -> ProblemDocument? {
        do {
            try await call()
            return nil
        } catch {
            return error as? ProblemDocument
        }
    }
}
