import CloudAPI
import CloudClient
import Foundation
import PKI
import Primitives
import Store
import TestSupport
import Testing

@Suite struct ContractLifeTests {
    @Test func `A manage leaves alone what its company sells`() async throws {
        try await withTown(.sqlite) { town in
            let admin = try town.exchange.operator
            let both = try await admin.call(
                ExchangeAPI.createParticipant, body: CreateParticipant(name: "Both", roles: [.buyer, .seller], currency: .eur)
            ).id
            let connect = try await Town.enrol(town.exchange, both, .connect)
            let manage = try await Town.enrol(town.exchange, both, .manage)
            let datacenter = ["datacenter": connect.id]
            _ = try await connect.exchange.call(
                ExchangeAPI.registerDatacenter, path: datacenter,
                body: RegisterDatacenter(name: "DC B", region: "demo", zones: ["demo-1a"], peerAddress: "127.0.0.1:7421"))
            _ = try await connect.exchange.call(
                ExchangeAPI.declareCapacity, path: datacenter, body: DeclareCapacity(product: town.product.id, lots: 5))
            _ = try await connect.exchange.call(
                ExchangeAPI.placeOrder,
                body: PlaceOrder(
                    series: town.series, side: .sell, type: .limit, price: Town.price, lots: 2, datacenter: DatacenterID(connect.id)))
            let bought = try await town.manage.exchange.call(ExchangeAPI.placeOrder, body: town.bid(2))
            let path = ["contract": try #require(bought.contracts.first).description]
            let refused = try await problem {
                try await manage.exchange.call(ExchangeAPI.stopContract, path: path, body: StopContract(reason: "mine"))
            }
            #expect(refused.status == 403 && refused.rule == "contract.program")
            #expect(try await manage.exchange.call(ExchangeAPI.showContract, path: path).rolls)
            #expect(!(try await connect.exchange.call(ExchangeAPI.stopContract, path: path, body: StopContract(reason: "ours")).rolls))
            for program in [connect, manage] { await program.exchange.shutdown() }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A one-minute contract is bought, certified, stopped, ends, is charged and paid the same`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let exchange = town.exchange
            exchange.clock.advance(by: .seconds(15))
            let contract = try await town.trade(2)
            #expect(contract.state == .delivering && contract.rolls)
            #expect(contract.buyerName == "Acme" && contract.sellerName == "Nordlicht" && contract.peerAddress == "127.0.0.1:7421")
            #expect(contract.period.length == .seconds(45))
            #expect(contract.termsHash == town.product.termsHash && contract.termsHash.count == 64)
            #expect(try await town.balance(of: town.buyer, "held-for-contracts") == 90_000)

            let buyers = try await town.certificate(of: contract.id, town.manage)
            let sellers = try await town.certificate(of: contract.id, town.connect)
            #expect(try await verified(buyers, .client, town).identity.terms?.side == .buyer)
            #expect(try await verified(sellers, .server, town).identity.terms?.contract == contract.id)
            #expect(buyers.notAfter < contract.period.end)

            let stopped = try await town.manage.exchange.call(
                ExchangeAPI.stopContract, path: ["contract": contract.id.description], body: StopContract(reason: "done"))
            #expect(!stopped.rolls && stopped.reason == "stopped by the buyer: done")
            try await exchange.advance(.seconds(45))
            #expect(try await town.contract(contract.id).next?.kind == .reports)
            try await exchange.advance(.seconds(5))

            let ended = try await town.contract(contract.id)
            #expect(ended.state == .settled && ended.settledMicroUnits == 90_000 && ended.period == contract.period)
            #expect(try await town.balance(of: town.seller, "cash") == 90_000)
            #expect(try await town.balance(of: town.buyer, "cash") == 1_000_000_000 - 90_000)
            #expect(try await town.balance(of: town.buyer, "held-for-contracts") == 0)
            for (issued, usage) in [(buyers, PeerUsage.client), (sellers, .server)] {
                let error = await #expect(throws: PKIError.self) { try await verified(issued, usage, town) }
                if case .rejected = error {} else { Issue.record("\(String(describing: error))") }
            }
            let refused = try await problem { try await town.certificate(of: contract.id, town.manage) }
            #expect(refused.status == 409 && refused.rule == "market.contract-over")
            let trial = try await exchange.operator.call(ExchangeAPI.trialBalance)
            #expect(trial.totals == [.zero(.eur)])
            #expect(try await exchange.problems() == [])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `It rolls while nobody stops it and the buyer can pay`(_ kind: DatabaseKind) async throws {
        // 2 lots cost 0.12 a minute: enough for the first minute and one more.
        try await withTown(kind, deposit: 250_000) { town in
            let contract = try await town.trade(2)
            for _ in 0..<3 { try await town.exchange.advance(.seconds(55)) }
            let ended = try await town.contract(contract.id)
            #expect(ended.state == .settled)
            #expect(ended.period.length == .minutes(2))
            #expect(ended.settledMicroUnits == 240_000)
            #expect(ended.reason?.hasPrefix("the buyer's cash did not cover the next period: The next period costs 0.12 EUR") == true)
            #expect(try await town.balance(of: town.buyer, "cash") == 10_000)
            let feed = try await town.manage.exchange.call(ExchangeAPI.changes).changes.filter { $0.subject == contract.id.description }
            #expect(
                feed.map(\.kind) == [
                    "created", "delivering", "confirmed", "confirmed", "rolled", "charged", "paid", "closing", "ended", "paid", "settled",
                ])
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Ended early, its certificates are revoked and the list says so at once`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let contract = try await town.trade(3)
            let other = try await town.trade(1)
            let certificates = [
                try await town.certificate(of: contract.id, town.manage), try await town.certificate(of: contract.id, town.connect),
            ]
            let untouched = try await town.certificate(of: other.id, town.manage)
            let before = try await town.manage.exchange.call(ExchangeAPI.revocationList)
            town.exchange.clock.advance(by: .seconds(20))

            let path = ["contract": contract.id.description]
            let body = StopContract(reason: "breach", immediately: true)
            let forbidden = try await problem { try await town.manage.exchange.call(ExchangeAPI.stopContract, path: path, body: body) }
            #expect(forbidden.status == 403 && forbidden.rule == "contract.end")
            let ended = try await town.exchange.operator.call(ExchangeAPI.stopContract, path: path, body: body)
            #expect(ended.state == .ended && ended.period.length == .seconds(20) && ended.outcome == .endedEarly)
            #expect(ended.reason == "ended by the exchange's operator: breach")

            let list = try await town.manage.exchange.call(ExchangeAPI.revocationList)
            #expect(list.number > before.number)
            let trust = try await trust(town).updating(
                crlDER: Array(try #require(Data(base64Encoded: list.der))), now: town.exchange.clock.now)
            for issued in certificates { #expect(trust.isRevoked(issued.serial)) }
            #expect(!trust.isRevoked(untouched.serial))
            try await town.exchange.advance(.seconds(5))
            #expect(try await town.contract(contract.id).settledMicroUnits == 60_000)
            #expect(
                try await town.exchange.operator.call(ExchangeAPI.listContracts, query: ["state": "delivering"]).items.map(\.id) == [
                    other.id
                ])
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test func `Only the parties get certificates, each its own side`() async throws {
        try await withTown(.sqlite) { town in
            let contract = try await town.trade(1)
            let outsider = try await Town.enrol(town.exchange, town.stranger, .manage)
            let unknown = try await problem { try await town.certificate(of: contract.id, outsider) }
            #expect(unknown.status == 404)
            let elsewhere = try await Town.enrol(town.exchange, town.seller, .connect)
            let wrongPlace = try await problem { try await town.certificate(of: contract.id, elsewhere) }
            #expect(wrongPlace.status == 404, "another datacenter of the same seller")
            let buyers = try await town.certificate(of: contract.id, town.manage)
            let error = await #expect(throws: PKIError.self) { try await verified(buyers, .server, town) }
            if case .rejected(.wrongUsage, _) = error {} else { Issue.record("\(String(describing: error))") }
            let bad = try await problem {
                try await town.manage.exchange.call(
                    ExchangeAPI.issueContractCertificate, path: ["contract": contract.id.description], body: CertificateRequest(csr: "x"))
            }
            #expect(bad.status == 422 && bad.rule == "pki.csr")
            await outsider.exchange.shutdown()
            await elsewhere.exchange.shutdown()
        }
    }

    // MARK: Helpers

    private func trust(_ town: Town) async throws -> TrustBundle {
        let authority = try await town.exchange.operator.call(ExchangeAPI.authority)
        return try TrustBundle(rootPEM: authority.root, intermediatesPEM: authority.intermediate, exchange: authority.exchange)
    }

    private func verified(_ issued: IssuedCertificateView, _ usage: PeerUsage, _ town: Town) async throws -> VerifiedPeer {
        try await trust(town).verify(chainDER: certificates(inPEM: issued.chain), usage: usage, now: town.exchange.clock.now)
    }
}

/// The DER of each certificate in a PEM text.
func certificates(inPEM text: String) -> [[UInt8]] {
    text.components(separatedBy: "-----BEGIN CERTIFICATE-----").dropFirst().compactMap { part in
        Data(base64Encoded: part.components(separatedBy: "-----END").first?.filter { !$0.isWhitespace } ?? "").map { Array($0) }
    }
}
