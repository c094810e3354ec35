import CloudAPI
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import PKI
import Primitives
import ServiceKit

extension ExchangeCore {
    /// Every endpoint is on both listeners: who may call one, and what they see, depends on who they are, not on how they came.
    func addRoutes(to router: ProgramRouter) {
        addMarketRoutes(to: router)
        addPartyRoutes(to: router)
        addCertificateRoutes(to: router)
        addMarketDataRoutes(to: router)
    }

    private func addMarketDataRoutes(to router: ProgramRouter) {
        router.on(ExchangeAPI.listBars) { call in try await bars(call) }
        router.on(ExchangeAPI.showTicker) { call in try await ticker(call) }
        router.on(ExchangeAPI.showDepth) { call in try await depth(call) }
        router.events(ExchangeAPI.streamSeries) { call, after, context in
            try await stream(call, after: after, from: context.remoteAddress)
        }
        router.on(ExchangeAPI.putDocument) { call in try await putDocument(call) }
        router.on(ExchangeAPI.showDocument) { call in try await showDocument(call) }
        router.on(ExchangeAPI.applyCatalogue) { call in try await applyCatalogue(call) }
        router.on(ExchangeAPI.listCatalogue) { call in try await catalogue(call) }
        router.on(ExchangeAPI.showDatacenter) { call in try await showDatacenter(call) }
        router.on(ExchangeAPI.certifyTechnically) { call in try await certifyTechnically(call) }
        router.on(ExchangeAPI.acceptLegally) { call in try await acceptLegally(call) }
        router.on(ExchangeAPI.listConduct) { call in try await conduct(call) }
        router.on(ExchangeAPI.listSelfMatches) { call in try await listSelfMatches(call) }
        router.on(ExchangeAPI.listAudit) { call in try await audit(call) }
        router.on(ExchangeAPI.verifyAudit) { call in try await verifyAudit(call) }
        router.on(ExchangeAPI.replayJournal) { call in try await replayJournal(call) }
    }

    private func addMarketRoutes(to router: ProgramRouter) {
        router.on(ExchangeAPI.createProduct) { call in try await createProduct(call) }
        router.on(ExchangeAPI.listProducts) { call in try await products(call) }
        router.on(ExchangeAPI.listSeries) { call in try await series(call) }
        router.on(ExchangeAPI.showSeries) { call in try await showSeries(call) }
        router.on(ExchangeAPI.quote) { call in try await quote(call) }
        router.on(ExchangeAPI.book) { call in try await book(of: try call.id("series")) }
        router.on(ExchangeAPI.registerDatacenter) { call in try await registerDatacenter(call) }
        router.on(ExchangeAPI.listDatacenters) { call in try await datacenters(call) }
        router.on(ExchangeAPI.declareCapacity) { call in try await declareCapacity(call) }
        router.on(ExchangeAPI.listDeclaredCapacity) { call in try await declaredCapacity(call) }
        router.on(ExchangeAPI.placeOrder) { call in try await placeOrder(call) }
        router.on(ExchangeAPI.listOrders) { call in try await orders(call) }
        router.on(ExchangeAPI.showOrder) { call in try await showOrder(call) }
        router.on(ExchangeAPI.cancelOrder) { call in try await cancelOrder(call) }
        router.on(ExchangeAPI.replaceOrder) { call in try await replaceOrder(call) }
        router.on(ExchangeAPI.cancelOrders) { call in try await cancelOrders(call) }
        router.on(ExchangeAPI.haltSeries) { call in try await haltSeries(call) }
        router.on(ExchangeAPI.reopenSeries) { call in try await reopenSeries(call) }
        router.on(ExchangeAPI.listTrades) { call in try await trades(call) }
        router.on(ExchangeAPI.propose) { call in try await propose(call) }
        router.on(ExchangeAPI.listProposals) { call in try await proposals(call) }
        router.on(ExchangeAPI.showProposal) { call in try await showProposal(call) }
        router.on(ExchangeAPI.acceptProposal) { call in try await acceptProposal(call) }
        router.on(ExchangeAPI.refuseProposal) { call in try await refuseProposal(call) }
        router.on(ExchangeAPI.withdrawProposal) { call in try await withdrawProposal(call) }
        router.on(ExchangeAPI.listContracts) { call in try await contracts(call) }
        router.on(ExchangeAPI.showContract) { call in try await showContract(call) }
        router.on(ExchangeAPI.stopContract) { call in try await stopContract(call) }
        router.on(ExchangeAPI.reportDelivery) { call in try await reportDelivery(call) }
        router.on(ExchangeAPI.listDeliveries) { call in try await deliveries(call) }
        router.on(ExchangeAPI.awaitedDeliveries) { call in try await awaitedDeliveries(call) }
        router.on(ExchangeAPI.listDisputes) { call in try await disputes(call) }
        router.on(ExchangeAPI.showDispute) { call in try await showDispute(call) }
        router.on(ExchangeAPI.answerDispute) { call in try await answerDispute(call) }
        router.on(ExchangeAPI.ruleDispute) { call in try await ruleDispute(call) }
        router.on(ExchangeAPI.changes) { call in try await changes(call) }
    }

    private func addPartyRoutes(to router: ProgramRouter) {
        router.on(ExchangeAPI.createParticipant) { call in try await createParticipant(call) }
        router.on(ExchangeAPI.listParticipants) { call in try await participants(call) }
        router.on(ExchangeAPI.createParticipantToken) { call in try await createToken(call) }
        router.on(ExchangeAPI.suspendParticipant) { call in try await suspendParticipant(call) }
        router.on(ExchangeAPI.resumeParticipant) { call in try await resumeParticipant(call) }
        router.on(ExchangeAPI.transfer) { call in try await transfer(call) }
        router.on(ExchangeAPI.listBalances) { call in try await balances(call) }
        router.on(ExchangeAPI.listPostings) { call in try await postings(call) }
        router.on(ExchangeAPI.trialBalance) { _ in try await trialBalance() }
        addClearingRoutes(to: router)
    }

    private func addClearingRoutes(to router: ProgramRouter) {
        router.on(ExchangeAPI.setReferencePrice) { call in try await setReferencePrice(call) }
        router.on(ExchangeAPI.grantCreditLine) { call in try await grantCreditLine(call) }
        router.on(ExchangeAPI.showCreditLine) { call in try await showCreditLine(call) }
        router.on(ExchangeAPI.bustTrade) { call in try await bustTrade(call) }
        router.on(ExchangeAPI.chartOfAccounts) { _ in ChartOfAccounts() }
        router.on(ExchangeAPI.showStatement, csv: { StatementCSV.text($0) }) { call in try await statement(call) }
        router.on(ExchangeAPI.showSettlement) { call in try await settlement(call) }
    }

    private func addCertificateRoutes(to router: ProgramRouter) {
        router.on(ExchangeAPI.createEnrolment) { call in try await createEnrolment(call) }
        router.on(ExchangeAPI.enrol) { call in try await enrol(call) }
        router.on(ExchangeAPI.renewIdentity) { call in try await renewIdentity(call) }
        router.on(ExchangeAPI.signNode) { call in try await signNode(call) }
        router.on(ExchangeAPI.issueContractCertificate) { call in try await issueContractCertificate(call) }
        router.on(ExchangeAPI.revoke) { call in try await revoke(call) }
        router.on(ExchangeAPI.revocationList) { _ in try await revocationList() }
        router.on(ExchangeAPI.authority) { _ in
            AuthorityView(
                exchange: configuration.name, root: authority.rootPEM, intermediate: authority.intermediatePEM,
                peerAddress: await peerAddress())
        }
        router.raw(.get, "/v1/crl.der") { _, _ in
            let list = try await revocations.current()
            return Response(
                status: .ok, headers: [.contentType: "application/pkix-crl"], body: .init(byteBuffer: ByteBuffer(bytes: list.der)))
        }
    }
}
