import CloudAPI
import CloudClient
import Exchange
import Foundation
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// Bilateral trades over HTTP, on real databases.
@Suite struct ProposalAPITests {
    private static func proposal(_ town: Town, _ lots: Int64, to name: String = "Nordlicht") -> CreateProposal {
        CreateProposal(counterparty: name, series: town.series, side: .buy, price: Town.price, lots: lots, note: "as discussed")
    }

    private static func path(_ proposal: ProposalView) -> [String: String] { ["proposal": proposal.id.description] }

    @Test(arguments: DatabaseKind.allCases)
    func `A proposal outlives a restart, and is accepted, delivered and settled after it`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let (hash, proposal, connectID, seller, buyer) = try await withExchange(home) { exchange in
                let town = try await Town(exchange)
                let proposal = try await town.manage.exchange.call(ExchangeAPI.propose, body: Self.proposal(town, 3))
                #expect(proposal.state == .open && proposal.counterparty == town.seller && proposal.proposerName == "Acme")
                #expect(proposal.expires == exchange.clock.now + .hours(1) && proposal.note == "as discussed")
                #expect(try await exchange.problems() == [])
                await town.leave()
                return (await exchange.service.stateHash(), proposal, town.connect.id, town.seller, town.buyer)
            }
            try await withExchange(home) { exchange in
                #expect(await exchange.service.stateHash() == hash)
                let admin = try exchange.operator
                let connect = try await Town.enrol(exchange, seller, .connect, id: connectID)
                let manage = try await Town.enrol(exchange, buyer, .manage)
                let body = AcceptProposal(datacenter: DatacenterID(connectID))
                let path = Self.path(proposal)
                var answers: [ProposalView] = []
                for _ in 0..<2 {
                    answers.append(
                        try await connect.exchange.call(ExchangeAPI.acceptProposal, path: path, body: body, idempotencyKey: "yes"))
                }
                let accepted = answers[0]
                #expect(accepted.state == .accepted && answers[1].contract == accepted.contract, "the same key, the same answer")
                let id = try #require(accepted.contract)
                let shown = try await admin.call(ExchangeAPI.showContract, path: ["contract": id.description])
                #expect(shown.lots == 3 && shown.price == Town.price && shown.proposal == proposal.id && shown.state == .delivering)
                for program in [manage, connect] {
                    _ = try await program.exchange.call(
                        ExchangeAPI.issueContractCertificate, path: ["contract": id.description],
                        body: CertificateRequest(csr: try CredentialKey().csrPEM()))
                }
                _ = try await manage.exchange.call(
                    ExchangeAPI.stopContract, path: ["contract": id.description], body: StopContract(reason: "enough"))
                #expect(try await exchange.problems() == [])
                try await exchange.advance(.minutes(3))
                let settled = try await admin.call(ExchangeAPI.showContract, path: ["contract": id.description])
                #expect(settled.state == .settled && settled.settledMicroUnits == 180_000)
                #expect(try await exchange.problems() == [])
                let over = try await problem { try await connect.exchange.call(ExchangeAPI.acceptProposal, path: path, body: body) }
                #expect(over.status == 409 && over.rule == "market.proposal-over")
                await connect.exchange.shutdown()
                await manage.exchange.shutdown()
            }
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Nobody else hears of a bilateral trade, not even when it is busted`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let admin = try town.exchange.operator
            let book = try await town.trade(1)
            let ticker = try await town.strangerClient.call(ExchangeAPI.showTicker, path: ["series": town.series.description])
            var asked = Self.proposal(town, 2)
            asked.price = Town.price * 2
            let proposal = try await town.buyerClient.call(ExchangeAPI.propose, body: asked)
            let accepted = try await town.connect.exchange.call(
                ExchangeAPI.acceptProposal, path: Self.path(proposal), body: AcceptProposal(datacenter: DatacenterID(town.connect.id)))
            for client in [town.buyerClient, town.manage.exchange, town.connect.exchange, admin] {
                let trades = try await client.call(ExchangeAPI.listTrades).items
                #expect(
                    trades.map(\.bilateral) == [true, nil] && trades[0].id == accepted.trade && trades[0].contract == accepted.contract)
            }
            let series = ["series": town.series.description]
            #expect(try await town.strangerClient.call(ExchangeAPI.listTrades).items.map(\.id) == [book.trade])
            #expect(try await town.strangerClient.call(ExchangeAPI.listTrades, query: series).items.map(\.id) == [book.trade])
            #expect(try await town.strangerClient.call(ExchangeAPI.listProposals).items.isEmpty)
            let now = try await town.strangerClient.call(ExchangeAPI.showTicker, path: series)
            #expect(now.last?.price == ticker.last?.price && now.day == ticker.day)
            #expect(try await town.strangerClient.call(ExchangeAPI.showSeries, path: series).lastPrice == Town.price)
            let minute = ["interval": "1m", "end": (town.exchange.clock.now + .minutes(1)).description]
            let bars = try await town.strangerClient.call(ExchangeAPI.listBars, path: series, query: minute).items
            #expect(bars.map(\.lots).reduce(0, +) == 1)
            try await town.strangerClient.events(ExchangeAPI.streamSeries, path: series) { event, _ in
                #expect(event.trades.map(\.price) == [Town.price])
                return false
            }
            let trade = try #require(accepted.trade)
            let busted = try await admin.call(
                ExchangeAPI.bustTrade, path: ["trade": trade.description], body: BustTrade(reason: "a slip"))
            #expect(busted.bilateral == true && busted.busted != nil)
            let heard = try await town.strangerClient.call(ExchangeAPI.changes).changes
            #expect(!heard.contains { [trade.description, proposal.id.description].contains($0.subject) })
            let own = try await town.buyerClient.call(ExchangeAPI.changes).changes
            #expect(own.filter { $0.subject == trade.description }.map(\.kind) == ["bilateral", "busted"])
            #expect(own.filter { $0.subject == proposal.id.description }.map(\.kind) == ["open", "accepted"])
            try await eventually("surveillance has both") {
                let conduct = try await admin.call(ExchangeAPI.listConduct).items.first { $0.participant == town.buyer }
                return conduct?.trades == 1 && conduct?.bilateralTrades == 1
            }
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test(arguments: DatabaseKind.allCases)
    func `Refused, withdrawn and expired proposals stay in the list`(_ kind: DatabaseKind) async throws {
        try await withTown(kind) { town in
            let sellers = try await Town.client(town.exchange, town.seller)
            let first = try await town.buyerClient.call(ExchangeAPI.propose, body: Self.proposal(town, 1, to: town.seller.description))
            let refused = try await sellers.call(
                ExchangeAPI.refuseProposal, path: Self.path(first), body: RefuseProposal(reason: "too cheap"))
            #expect(refused.state == .refused && refused.reason == "too cheap")
            let second = try await town.manage.exchange.call(ExchangeAPI.propose, body: Self.proposal(town, 2))
            #expect(try await town.manage.exchange.call(ExchangeAPI.withdrawProposal, path: Self.path(second)).state == .withdrawn)
            let third = try await town.connect.exchange.call(
                ExchangeAPI.propose,
                body: CreateProposal(
                    counterparty: "Acme", series: town.series, side: .sell, price: Town.price, lots: 3,
                    datacenter: DatacenterID(town.connect.id), expires: town.exchange.clock.now + .minutes(10)))
            let open = try await town.manage.exchange.call(ExchangeAPI.listProposals, query: ["state": "open"]).items
            #expect(open.map(\.id) == [third.id])
            try await town.exchange.advance(.minutes(11))
            #expect(try await town.buyerClient.call(ExchangeAPI.showProposal, path: Self.path(third)).state == .expired)
            let all = try await town.exchange.operator.call(ExchangeAPI.listProposals, query: ["limit": "2"])
            #expect(all.items.map(\.state) == [.expired, .withdrawn] && all.next != nil)
            #expect(try await town.connect.exchange.call(ExchangeAPI.listProposals).items.map(\.id) == [third.id, second.id, first.id])
            let audit = try await town.exchange.operator.items(of: ExchangeAPI.listAudit).filter { $0.action.hasPrefix("proposal.") }
            #expect(
                audit.map(\.action) == ["proposal.create", "proposal.refuse", "proposal.create", "proposal.withdraw", "proposal.create"])
            #expect(audit[1].subject == first.id.description && audit[1].detail.contains("too cheap"))
            #expect(try await town.exchange.problems() == [])
        }
    }

    @Test func `Who may propose and answer is as for orders`() async throws {
        try await withTown(.sqlite) { town in
            let datacenter = DatacenterID(town.connect.id)
            let sell = CreateProposal(
                counterparty: "Acme", series: town.series, side: .sell, price: Town.price, lots: 1, datacenter: datacenter)
            let (manage, connect, stranger) = (town.manage.exchange, town.connect.exchange, town.strangerClient)
            var elsewhere = sell
            elsewhere.datacenter = DatacenterID(bits: 77)
            let bought = try await manage.call(ExchangeAPI.propose, body: Self.proposal(town, 1))
            let sold = try await connect.call(ExchangeAPI.propose, body: sell)
            let yes = AcceptProposal(datacenter: datacenter)
            let cases: [(Int, String, ProblemDocument)] = [
                (403, "order.program", try await problem { try await manage.call(ExchangeAPI.propose, body: sell) }),
                (403, "order.program", try await problem { try await connect.call(ExchangeAPI.propose, body: Self.proposal(town, 1)) }),
                (403, "order.program", try await problem { [elsewhere] in try await connect.call(ExchangeAPI.propose, body: elsewhere) }),
                (
                    404, "market.unknown-participant",
                    try await problem { try await manage.call(ExchangeAPI.propose, body: Self.proposal(town, 1, to: "X")) }
                ),
                (
                    422, "market.self-proposal",
                    try await problem { try await manage.call(ExchangeAPI.propose, body: Self.proposal(town, 1, to: "Acme")) }
                ),
                (
                    404, "market.unknown-proposal",
                    try await problem { try await stranger.call(ExchangeAPI.showProposal, path: Self.path(sold)) }
                ),
                (
                    404, "market.unknown-proposal",
                    try await problem { try await stranger.call(ExchangeAPI.acceptProposal, path: Self.path(sold), body: AcceptProposal()) }
                ),
                (
                    404, "market.unknown-proposal",
                    try await problem { try await stranger.call(ExchangeAPI.withdrawProposal, path: Self.path(bought)) }
                ),
                (
                    403, "order.program",
                    try await problem {
                        try await connect.call(ExchangeAPI.acceptProposal, path: Self.path(bought), body: AcceptProposal())
                    }
                ),
                (
                    403, "order.program",
                    try await problem { try await manage.call(ExchangeAPI.acceptProposal, path: Self.path(bought), body: yes) }
                ),
                (
                    422, "market.datacenter",
                    try await problem { try await town.buyerClient.call(ExchangeAPI.acceptProposal, path: Self.path(sold), body: yes) }
                ),
                (
                    403, "market.proposal-party",
                    try await problem { try await manage.call(ExchangeAPI.withdrawProposal, path: Self.path(sold)) }
                ),
                (
                    422, "market.reason",
                    try await problem {
                        try await manage.call(ExchangeAPI.refuseProposal, path: Self.path(sold), body: RefuseProposal(reason: ""))
                    }
                ),
                (422, "request.query", try await problem { try await manage.call(ExchangeAPI.listProposals, query: ["state": "gone"]) }),
            ]
            for (status, rule, no) in cases { #expect(no.status == status && no.rule == rule, "\(rule): \(no.status) \(no.rule)") }
            #expect(try await manage.call(ExchangeAPI.acceptProposal, path: Self.path(sold), body: AcceptProposal()).state == .accepted)
            #expect(try await connect.call(ExchangeAPI.acceptProposal, path: Self.path(bought), body: yes).state == .accepted)
            #expect(try await town.exchange.problems() == [])
        }
    }
}
