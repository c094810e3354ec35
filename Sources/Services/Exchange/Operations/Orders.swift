import CloudAPI
import Market
import PKI
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    func placeOrder(_ call: Call<PlaceOrder>) async throws -> OrderView {
        let draft = try draft(of: call.body, by: call.principal)
        try await checkCertified(draft)
        return try await trade(try DeskRequest(.placeOrder(draft), for: call, status: 201), for: draft.participant) { _, changes in
            guard let order = changes.orders.first else { preconditionFailure("an order that was accepted is among the changes") }
            return OrderView(order, contracts: changes.trades.map(\.contract))
        }
    }

    /// Programs do their own side's business only: a manage buys, a connect sells what its datacenter delivers.
    func draft(of body: PlaceOrder, by principal: Principal) throws -> OrderDraft {
        let scope = try Scope(principal)
        guard let participant = scope.participant else { throw Refusal("http.forbidden", .forbidden, "The operator does not trade.") }
        switch scope {
        case .datacenter(let own, _):
            guard body.side == .sell, body.datacenter == own else {
                throw Refusal(
                    "order.program", .forbidden, "A connect sells what its own datacenter delivers.", nearest: "a sell order of \(own)")
            }
        default:
            if case .program = principal, body.side != .buy {
                throw Refusal.otherSide(nearest: "a buy order")
            }
        }
        return OrderDraft(
            participant: participant, series: body.series, side: body.side == .buy ? .buy : .sell,
            lifetime: body.type.lifetime, price: body.price, lots: body.lots, datacenter: body.datacenter,
            clientOrderID: body.clientOrderID, conditions: body.conditions.map(OrderConditions.init) ?? .none)
    }

    func cancelOrder(_ call: Call<Empty>) async throws -> OrderView {
        let id = try call.id("order", as: OrderID.self)
        let scope = try Scope(call.principal)
        let order = try await order(id, visibleTo: scope)
        try checkSide(of: order, call.principal)
        guard order.state == .resting else { throw Refusal.notResting(order) }
        let contracts = try await database.read { try $0.contracts(of: id) }
        do {
            let request = try DeskRequest(.cancelOrder(id, by: order.draft.participant), for: call, status: 200)
            return try await perform(request, by: scope.participant) { _, changes in
                OrderView(changes.orders.first ?? order, contracts: contracts)
            }
        } catch let refusal as Refusal where refusal.rule == "market.unknown-order" {
            // It left the book since it was looked up.
            throw Refusal.notResting(try await self.order(id, visibleTo: .all))
        }
    }

    func replaceOrder(_ call: Call<ReplaceOrder>) async throws -> OrderView {
        let id = try call.id("order", as: OrderID.self)
        let order = try await order(id, visibleTo: try Scope(call.principal))
        try checkSide(of: order, call.principal)
        guard order.state == .resting else { throw Refusal.notResting(order) }
        let before = try await database.read { try $0.contracts(of: id) }
        let command = MarketCommand.replaceOrder(id, price: call.body.price, lots: call.body.lots, by: order.draft.participant)
        do {
            return try await trade(try DeskRequest(command, for: call, status: 200), for: order.draft.participant) { market, changes in
                OrderView(
                    changes.orders.first { $0.id == id } ?? market.order(id) ?? order, contracts: before + changes.trades.map(\.contract))
            }
        } catch let refusal as Refusal where refusal.rule == "market.unknown-order" {
            throw Refusal.notResting(try await self.order(id, visibleTo: .all))
        }
    }

    func cancelOrders(_ call: Call<CancelOrders>) async throws -> CancelledOrders {
        let scope = try Scope(call.principal)
        let own = scope.participant
        if let own, let other = call.body.participant, other != own { throw Refusal.unknownParticipant(other) }
        guard let participant = own ?? call.body.participant else {
            throw Refusal("order.participant", .invalid, "The operator says whose orders to cancel.", nearest: "participant: par-…")
        }
        let command = MarketCommand.cancelOrders(
            of: participant, series: call.body.series, side: try side(call.body.side, of: call.principal), datacenter: scope.datacenter)
        return try await perform(try DeskRequest(command, for: call, status: 200), by: own) { _, changes in
            CancelledOrders(orders: changes.orders.map(\.id))
        }
    }

    /// The side a caller may cancel: what it asks for, or its own when it is a program, which does its own side's business only.
    private func side(_ asked: OrderSide?, of principal: Principal) throws(Refusal) -> Side? {
        guard case .program(_, let role, _) = principal else { return asked.map { $0 == .buy ? .buy : .sell } }
        let own = role == .manage ? OrderSide.buy : .sell
        guard asked == nil || asked == own else { throw .otherSide(nearest: "side: \(own.rawValue)") }
        return own == .buy ? .buy : .sell
    }

    /// A manage of a company that also sells leaves its connects' orders alone.
    private func checkSide(of order: Order, _ principal: Principal) throws(Refusal) {
        if case .program(_, .manage, _) = principal, order.draft.side == .sell { throw .otherSide(nearest: "an order to buy") }
    }

    func showOrder(_ call: Call<Empty>) async throws -> OrderView {
        let order = try await order(try call.id("order"), visibleTo: try Scope(call.principal))
        return OrderView(order, contracts: try await database.read { try $0.contracts(of: order.id) })
    }

    func orders(_ call: Call<Empty>) async throws -> CloudAPI.Page<OrderView> {
        var (conditions, arguments) = try Scope(call.principal).orderCondition(first: 3)
        if let state = try call.query.value("state", of: OrderState.self) { conditions.append(state.condition) }
        if let name = call.query.text("clientOrderID") {
            arguments.append(.text(name))
            conditions.append("client_order_id = $\(arguments.count + 2)")
        }
        return try await database.read { [conditions, arguments] context in
            try context.newest(call.query, "SELECT priority AS number, o.* FROM orders o", number: "priority", where: conditions, arguments)
            { row in
                let order = try Order(row: row)
                return OrderView(order, contracts: try context.contracts(of: order.id))
            }
        }
    }

    /// Trades are anonymous: which contract one made is shown to those who may see the contract, and a bilateral one to nobody else.
    func trades(_ call: Call<Empty>) async throws -> CloudAPI.Page<TradeView> {
        let scope = try Scope(call.principal)
        let series = try call.query.id("series", as: SeriesID.self)
        var (conditions, arguments) = scope.contractCondition(first: 3)
        if !conditions.isEmpty { conditions = ["(t.proposal IS NULL OR \(conditions.joined(separator: " AND ")))"] }
        if let series {
            arguments.append(SQLValue(series))
            conditions.append("t.series = $\(arguments.count + 2)")
        }
        return try await database.read { [conditions, arguments] context in
            let select =
                """
                SELECT t.number, t.id, t.series, t.price, t.lots, t.at, t.contract, t.proposal, c.buyer, c.seller, c.datacenter,
                  b.reason AS bust_reason, b.at AS busted_at, b.paid_back
                FROM trades t JOIN contracts c ON c.id = t.contract LEFT JOIN busts b ON b.trade = t.id
                """
            return try context.newest(call.query, select, number: "t.number", where: conditions, arguments) { row in
                let seen =
                    switch scope {
                    case .all: true
                    case .participant(let id): try row.id("buyer") == id || row.id("seller") == id
                    case .datacenter(let datacenter, let id): try row.id("seller") == id && row.id("datacenter") == datacenter
                    }
                return TradeView(
                    id: try row.id("id"), series: try row.id("series"), price: try row.integer("price"), lots: try row.integer("lots"),
                    at: try row.instant("at"), contract: seen ? try row.id("contract") : nil,
                    bilateral: try row.optionalText("proposal") == nil ? nil : true, busted: try BustView(row, seen: seen))
            }
        }
    }

    private func order(_ id: OrderID, visibleTo scope: Scope) async throws -> Order {
        let order = try await database.read { try $0.queryOne("SELECT * FROM orders WHERE id = $1", [SQLValue(id)]).map(Order.init(row:)) }
        guard let order, scope.sees(order) else {
            throw Refusal("market.unknown-order", .notFound, "There is no order \(id).", facts: ["order": .text(id.description)])
        }
        return order
    }
}

extension ReadContext {
    /// The contracts an order's fills made, oldest first.
    fileprivate func contracts(of order: OrderID) throws -> [ContractID] {
        try query("SELECT contract FROM trades WHERE buy_order = $1 OR sell_order = $1 ORDER BY number", [SQLValue(order)]).map {
            try $0.id("contract")
        }
    }
}

extension OrderState {
    fileprivate var condition: String {
        switch self {
        case .resting: "state = 'resting'"
        case .filled: "state = 'filled'"
        case .partiallyFilledAndCancelled: "state = 'cancelled' AND filled > 0 AND cancel_reason <> 'expired'"
        case .cancelled: "state = 'cancelled' AND filled = 0 AND cancel_reason <> 'expired'"
        case .expired: "state = 'cancelled' AND cancel_reason = 'expired'"
        }
    }
}

extension QueryValues {
    /// A query parameter that is one of a few words, nil when absent.
    func value<Value: RawRepresentable<String> & CaseIterable>(_ name: String, of type: Value.Type) throws -> Value? {
        guard let text = text(name) else { return nil }
        guard let value = Value(rawValue: text) else {
            let list = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw Refusal(
                "request.query", .invalid, "The query parameter '\(name)' is '\(text)'.", facts: ["parameter": .text(name)], nearest: list)
        }
        return value
    }
}

extension Refusal {
    static func otherSide(nearest: String) -> Refusal {
        Refusal("order.program", .forbidden, "A manage buys; a connect sells.", nearest: nearest)
    }

    fileprivate static func notResting(_ order: Order) -> Refusal {
        Refusal(
            "market.order-over", .conflict,
            "The order \(order.id) is \(OrderState(order).rawValue); only a resting order can be cancelled.",
            facts: ["state": .text(OrderState(order).rawValue), "filled": .number(order.filled)])
    }
}
