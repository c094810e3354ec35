import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

// What the operator does about risk: reference prices, credit lines, busts.

extension ExchangeCore {
    func setReferencePrice(_ call: Call<SetReferencePrice>) async throws -> SeriesView {
        let id = try call.id("series", as: SeriesID.self)
        return try await changed(id, .setReference(id, price: call.body.price, reason: call.body.reason), call)
    }

    func grantCreditLine(_ call: Call<GrantCreditLine>) async throws -> CreditLineView {
        let id = try call.id("participant", as: ParticipantID.self)
        let before = try await database.read { try $0.creditChanges(of: id, limit: Self.creditChangesShown) }
        let command = MarketCommand.grantCredit(id, call.body.amount, reason: call.body.reason)
        return try await desk.perform(try DeskRequest(command, for: call, status: 200)) { market, changes in
            guard let participant = market.participant(id) else { throw Refusal.unknownParticipant(id) }
            let made = changes.compactMap { if case .creditLine(let line) = $0 { line } else { nil } }
            return CreditLineView(
                of: participant, cash: market.balance(of: id, .cash),
                changes: (made + before).prefix(Self.creditChangesShown).map { CreditLineChange($0, participant.currency) })
        }
    }

    func showCreditLine(_ call: Call<Empty>) async throws -> CreditLineView {
        let id = try call.id("participant", as: ParticipantID.self)
        if let own = try Scope(call.principal).participant, own != id { throw Refusal.unknownParticipant(id) }
        return try await database.read { context in
            let participant = try context.participant(id)
            let cash = try context.queryOne(
                "SELECT amount FROM balances WHERE owner = $1 AND kind = 'cash' AND currency = $2",
                [SQLValue(id), .text(participant.currency.code)])
            return CreditLineView(
                of: participant, cash: try cash?.integer("amount") ?? 0,
                changes: try context.creditChanges(of: id, limit: Self.creditChangesShown).map {
                    CreditLineChange($0, participant.currency)
                })
        }
    }

    private static let creditChangesShown = 100

    /// Declares a trade void. One whose contract is over is refused: the money of a contract that is settled is not the exchange's to move.
    func bustTrade(_ call: Call<BustTrade>) async throws -> TradeView {
        let id = try call.id("trade", as: TradeID.self)
        let trade = try await database.read { try $0.trade(id) }
        do {
            let command = MarketCommand.bustTrade(id, reason: call.body.reason)
            return try await desk.perform(try DeskRequest(command, for: call, status: 200)) { _, changes in
                var view = trade
                view.busted = BustView(changes.first { if case .bust(let bust) = $0 { bust } else { nil } })
                return view
            }
        } catch let refusal as Refusal where refusal.rule == "market.unknown-trade" {
            let now = try await database.read { try $0.trade(id) }
            if let bust = now.busted {
                throw Refusal(
                    "market.trade-busted", .conflict, "The trade \(id) was declared void at \(bust.at): \(bust.reason)",
                    facts: ["trade": .text(id.description), "at": .text(bust.at.description)])
            }
            throw Refusal(
                "market.trade-settled", .conflict,
                "The contract of trade \(id) is over and settled; what was paid for it is not paid back here.",
                facts: ["trade": .text(id.description), "contract": .text(now.contract?.description ?? "")],
                nearest: "transfers the two sides agree on")
        }
    }
}

extension ReadContext {
    func participant(_ id: ParticipantID) throws -> Participant {
        guard let row = try queryOne("SELECT * FROM participants WHERE id = $1", [SQLValue(id)]) else {
            throw Refusal.unknownParticipant(id)
        }
        return try Participant(row: row)
    }

    /// Newest first.
    fileprivate func creditChanges(of id: ParticipantID, limit: Int) throws -> [CreditLine] {
        try query("SELECT * FROM credit_lines WHERE participant = $1 ORDER BY number DESC LIMIT $2", [SQLValue(id), SQLValue(limit)]).map {
            CreditLine(
                participant: id, number: try $0.integer("number"), amount: try $0.integer("amount"), previous: try $0.integer("previous"),
                reason: try $0.text("reason"), at: try $0.instant("at"))
        }
    }

    /// As the operator sees it.
    fileprivate func trade(_ id: TradeID) throws -> TradeView {
        let row = try queryOne(
            """
            SELECT t.id, t.series, t.price, t.lots, t.at, t.contract, t.proposal, b.reason AS bust_reason, b.at AS busted_at, b.paid_back
            FROM trades t LEFT JOIN busts b ON b.trade = t.id WHERE t.id = $1
            """, [SQLValue(id)])
        guard let row else {
            throw Refusal("market.unknown-trade", .notFound, "There is no trade \(id).", facts: ["trade": .text(id.description)])
        }
        return TradeView(
            id: id, series: try row.id("series"), price: try row.integer("price"), lots: try row.integer("lots"), at: try row.instant("at"),
            contract: try row.id("contract"), bilateral: try row.optionalText("proposal") == nil ? nil : true,
            busted: try BustView(row, seen: true))
    }
}
