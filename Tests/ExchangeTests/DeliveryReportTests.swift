import CloudAPI
import CloudClient
import Exchange
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport
import Testing

@Suite struct DeliveryReportTests {
    @Test(arguments: DatabaseKind.allCases)
    func `Both sides report, and the stretch is paid at once by what they agree on`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let contract = try await town.trade(2)
            try await town.exchange.advance(.seconds(60))
            let stretch = try #require(try await awaited(town.connect).first)
            #expect(stretch.contract == contract.id && stretch.period.length == .seconds(60) && stretch.chargeMicroUnits == 120_000)
            #expect(try await awaited(town.manage).map(\.period) == [stretch.period])

            let first = try await town.report(stretch, town.connect, missing: 3)
            #expect(first.state == .waiting && first.sellerReport?.unavailable.first?.cause == .host && first.dispute == nil)
            #expect(try await awaited(town.connect).isEmpty)
            #expect(try await deliveries(contract, town.manage.exchange).first?.sellerReport == nil, "not before it has reported itself")
            #expect(try await deliveries(contract, try town.exchange.operator).first?.sellerReport != nil)

            let paid = try await town.report(stretch, town.manage, missing: 3)
            #expect(paid.state == .settled && paid.basis == "agreed" && paid.availabilityThousandths == 997)
            #expect(paid.creditedMicroUnits == 12_000 && paid.paidMicroUnits == 108_000 && paid.heldMicroUnits == 0)
            #expect(try await town.balance(of: town.seller, "cash") == 108_000)
            #expect(try await deliveries(contract, town.manage.exchange).first?.sellerReport != nil)
            let again = try await town.report(stretch, town.manage, missing: 3)
            #expect(again.state == .settled && again.paidMicroUnits == 108_000, "the same again is answered the same")
            let late = try await problem { try await town.report(stretch, town.manage, missing: 4) }
            #expect(late.status == 409 && late.rule == "market.report-late")

            let view = try await town.contract(contract.id)
            #expect(view.settledMicroUnits == 108_000 && view.creditedMicroUnits == 12_000 && view.next?.kind == .roll)
            #expect(view.confirmation?.buyer != nil && view.confirmation?.seller != nil)
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test func `A report counts only when its sender has signed it`() async throws {
        try await withTown(.sqlite) { town in
            _ = try await town.trade(1)
            try await town.exchange.advance(.seconds(60))
            let stretch = try #require(try await awaited(town.manage).first)
            let path = ["contract": stretch.contract.description]
            func send(_ body: ReportDelivery, _ program: Town.Program) async throws -> ProblemDocument {
                try await problem { try await program.exchange.call(ExchangeAPI.reportDelivery, path: path, body: body) }
            }
            var changed = try Town.signed(stretch, town.manage, missing: 0)
            changed.deliveredLotMicroseconds -= 1
            #expect(try await send(changed, town.manage).rule == "delivery.signature", "other numbers than were signed")
            let sellers = try Town.signed(stretch, town.connect, missing: 0)
            #expect(try await send(sellers, town.manage).rule == "delivery.signature", "signed by the other side")
            let outsider = try await Town.enrol(town.exchange, town.stranger, .manage)
            #expect(try await send(try Town.signed(stretch, outsider, missing: 0), outsider).status == 404)
            var garbled = try Town.signed(stretch, town.manage, missing: 0)
            garbled.certificate = "x"
            #expect(try await send(garbled, town.manage).status == 403)
            await outsider.exchange.shutdown()

            // This side's certificate of the contract will do as well.
            let key = CredentialKey()
            let issued = try await town.manage.exchange.call(
                ExchangeAPI.issueContractCertificate, path: path, body: CertificateRequest(csr: try key.csrPEM()))
            let credential = try key.credential(chainPEM: issued.chain)
            let view = try await town.manage.exchange.call(
                ExchangeAPI.reportDelivery, path: path, body: try Town.signed(stretch, credential, .buyer, missing: 0))
            #expect(view.buyerReport?.signer == issued.serial)
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `What both sides see differently stays put aside until it is resolved, over restarts`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let (id, hash) = try await withExchange(home) { exchange in
                let town = try await Town(exchange)
                let contract = try await town.trade(2)
                try await town.exchange.advance(.seconds(60))
                let stretch = try #require(try await awaited(town.connect).first)
                _ = try await town.report(stretch, town.connect, missing: 0)
                let open = try await town.report(stretch, town.manage, missing: 1_000)
                #expect(open.state == .disputed && open.heldMicroUnits == 120_000 && open.sellerReport != nil)
                let dispute = try #require(try await exchange.operator.call(ExchangeAPI.listDisputes, query: ["open": "true"]).items.first)
                #expect(dispute.id == open.dispute && dispute.amount.microUnits == 120_000 && dispute.contract == contract.id)
                let path = ["dispute": dispute.id.description]
                #expect(try await problem { try await town.strangerClient.call(ExchangeAPI.showDispute, path: path) }.status == 404)
                for query in [[:], ["open": "true"]] {
                    for client in [town.buyerClient, town.manage.exchange, town.connect.exchange, try exchange.operator] {
                        #expect(try await client.call(ExchangeAPI.listDisputes, query: query).items.map(\.id) == [dispute.id])
                    }
                    #expect(try await town.strangerClient.call(ExchangeAPI.listDisputes, query: query).items.isEmpty)
                }
                let answered = try await town.manage.exchange.call(
                    ExchangeAPI.answerDispute, path: path, body: AnswerDispute(toBuyerMicroUnits: 90_000, note: "our logs"))
                #expect(answered.state == "open" && answered.buyerAnswer?.toBuyerMicroUnits == 90_000)
                let tooMuch = try await problem {
                    try await exchange.operator.call(
                        ExchangeAPI.ruleDispute, path: path, body: AnswerDispute(toBuyerMicroUnits: 120_001, note: "x"))
                }
                #expect(tooMuch.status == 422 && tooMuch.nearest == "120000")
                var definition = Town.definition("with terms of its own")
                definition.delivery = DeliveryDefinition(
                    confirmationSeconds: 30, graceSeconds: 20, disputeSeconds: 90, toleranceThousandths: 1,
                    penalties: [PenaltyDefinition(below: 900, credit: 500)])
                let product = try await exchange.operator.call(ExchangeAPI.createProduct, body: definition)
                #expect(product.definition.delivery?.penalties.first?.credit == 500)
                #expect(try await exchange.problems() == [])
                await town.leave()
                return (dispute.id, await exchange.service.stateHash())
            }
            try await withExchange(home) { exchange in
                #expect(await exchange.service.stateHash() == hash)
                let path = ["dispute": id.description]
                let ruled = try await exchange.operator.call(
                    ExchangeAPI.ruleDispute, path: path, body: AnswerDispute(toBuyerMicroUnits: 50_000, note: "the seller's host logs"))
                #expect(ruled.state == "ruled" && ruled.resolution?.toBuyerMicroUnits == 50_000)
                let over = try await problem {
                    try await exchange.operator.call(
                        ExchangeAPI.ruleDispute, path: path, body: AnswerDispute(toBuyerMicroUnits: 1, note: "x"))
                }
                #expect(over.status == 409 && over.rule == "market.dispute-over" && over.detail.contains("0.05 EUR"))
                #expect(try await exchange.operator.call(ExchangeAPI.listDisputes, query: ["open": "true"]).items.isEmpty)
                #expect(try await exchange.operator.call(ExchangeAPI.listDisputes).items.map(\.id) == [id])
                #expect(try await exchange.problems() == [])
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `A side that does not confirm in time defaults, and both read why`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let contract = try await town.trade(2, confirmed: [.buyer])
            #expect(contract.confirmation?.seller == nil && contract.confirmation?.buyer == town.exchange.clock.now)
            #expect(contract.confirmation?.deadline == town.exchange.clock.now + .minutes(10))
            try await town.exchange.advance(.minutes(10))
            let ended = try await town.contract(contract.id)
            #expect(ended.state == .settled && ended.outcome == .defaulted && ended.settledMicroUnits == 0)
            #expect(ended.reason?.hasPrefix("not confirmed by the seller in time: No certificate was pulled by") == true)
            #expect(ended.creditedMicroUnits == 1_200_000)
            #expect(try await town.balance(of: town.buyer, "cash") == 1_000_000_000)
            let refused = try await problem { try await town.certificate(of: contract.id, town.connect) }
            #expect(refused.rule == "market.contract-over")
            #expect(try await deliveries(contract, town.connect.exchange).allSatisfy { $0.basis == "unconfirmed" })
            #expect(try await town.exchange.problems() == [])
        }
    }

    // MARK: Helpers

    private func awaited(_ program: Town.Program) async throws -> [DeliveryView] {
        try await program.exchange.call(ExchangeAPI.awaitedDeliveries).items
    }

    private func deliveries(_ contract: ContractView, _ client: CloudClient) async throws -> [DeliveryView] {
        try await client.call(ExchangeAPI.listDeliveries, path: ["contract": contract.id.description]).items
    }
}
