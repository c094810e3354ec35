import CloudAPI
import Foundation
import Market
import Primitives
import Store

/// Rows of the market's tables that changes leave behind. Of a record that changed more than once only the last is written.
struct MarketTables {
    private var participants: [[SQLValue]] = []
    private var products: [[SQLValue]] = []
    private var series: [SeriesID: Series] = [:]
    private var datacenters: [DatacenterID: Datacenter] = [:]
    private var offerings: [[SQLValue]] = []
    private var orders: [OrderID: Order] = [:]
    private var trades: [[SQLValue]] = []
    private var contracts: [ContractID: Contract] = [:]
    private var deliveries: [ContractID: [Instant: Delivery]] = [:]
    private var postings: [Posting] = []
    private var bars = MarketBars()
    private var creditLines: [[SQLValue]] = []
    private var busts: [Bust] = []
    private var proposals: [ProposalID: Proposal] = [:]

    init() {}

    mutating func add(_ changes: [MarketChange]) {
        for change in changes {
            switch change {
            case .participant(let participant): participants.append(participant.row)
            case .product(let product): products.append(product.row)
            case .series(let one): series[one.id] = one
            case .datacenter(let datacenter): datacenters[datacenter.id] = datacenter
            case .offering(let offering):
                offerings.append([SQLValue(offering.datacenter), SQLValue(offering.product), SQLValue(offering.declared)])
            case .order(let order): orders[order.id] = order
            case .trade(let trade):
                trades.append(trade.row)
                if trade.proposal == nil { bars.add(trade) }
            case .contract(let contract, _): contracts[contract.id] = contract
            case .delivery(let delivery): deliveries[delivery.contract, default: [:]][delivery.period.start] = delivery
            case .posting(let posting): postings.append(posting)
            case .creditLine(let line): creditLines.append(line.row)
            case .bust(let bust): busts.append(bust)
            case .proposal(let proposal): proposals[proposal.id] = proposal
            }
        }
    }

    func write(in transaction: any WriteContext) throws {
        try transaction.executeMany(
            """
            INSERT INTO participants (id, name, buys, sells, currency, created, suspended, credit_line, credit_changes)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (id) DO UPDATE SET suspended = excluded.suspended, credit_line = excluded.credit_line,
              credit_changes = excluded.credit_changes
            """, participants)
        try transaction.executeMany(
            """
            INSERT INTO products (id, name, definition, tick, largest_price, largest_lots, terms_hash, created, closed)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET closed = excluded.closed
            """, products)
        try transaction.executeMany(
            """
            INSERT INTO series (id, product, kind, delivery_start, delivery_end, halted, stage, halted_until, reference_price, reference_after)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (id) DO UPDATE SET halted = excluded.halted, stage = excluded.stage, halted_until = excluded.halted_until,
              reference_price = excluded.reference_price, reference_after = excluded.reference_after
            """, series.values.sorted { $0.id < $1.id }.map(\.row))
        try transaction.executeMany(
            """
            INSERT INTO datacenters (id, owner, name, region, zones, peer_address) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, zones = excluded.zones, peer_address = excluded.peer_address
            """, datacenters.values.sorted { $0.id < $1.id }.map { try $0.row })
        try transaction.executeMany(
            """
            INSERT INTO offerings (datacenter, product, declared) VALUES ($1, $2, $3)
            ON CONFLICT (datacenter, product) DO UPDATE SET declared = excluded.declared
            """, offerings)
        try writeTrading(in: transaction)
        try bars.write(in: transaction)
        try writeRisk(in: transaction)
        try writeLedger(in: transaction)
    }

    private func writeTrading(in transaction: any WriteContext) throws {
        try transaction.executeMany(
            """
            INSERT INTO orders (id, priority, participant, series, side, lifetime, price, lots, filled, datacenter, client_order_id, state, cancel_reason,
              placed, conditions, shown)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
            ON CONFLICT (id) DO UPDATE SET priority = excluded.priority, price = excluded.price, lots = excluded.lots, filled = excluded.filled,
              state = excluded.state, cancel_reason = excluded.cancel_reason, shown = excluded.shown
            """, orders.values.sorted { $0.priority < $1.priority }.map { try $0.row })
        try transaction.executeMany(
            """
            INSERT INTO trades (id, number, series, contract, buy_order, sell_order, taker, price, lots, at, proposal)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """, trades)
        try transaction.executeMany(
            """
            INSERT INTO contracts (id, number, trade, series, product, buyer, seller, datacenter, lots, price, currency, terms_hash, spot_period, created,
              period_start, period_end, state, closing_cause, closing_detail, closing_decided, settled_until, remainder, settled, held,
              delivery_start, delivery_end, paid_until, margin, bond, buyer_fee_rate, buyer_fee, buyer_fee_remainder, seller_fee_rate,
              seller_fee, seller_fee_remainder, fees_held, credited, outcome, confirm_by, confirmed_buyer, confirmed_seller, proposal)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
              $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42)
            ON CONFLICT (id) DO UPDATE SET period_end = excluded.period_end, state = excluded.state, closing_cause = excluded.closing_cause,
              closing_detail = excluded.closing_detail, closing_decided = excluded.closing_decided, settled_until = excluded.settled_until,
              remainder = excluded.remainder, settled = excluded.settled, held = excluded.held, paid_until = excluded.paid_until,
              margin = excluded.margin, bond = excluded.bond, buyer_fee = excluded.buyer_fee,
              buyer_fee_remainder = excluded.buyer_fee_remainder, seller_fee = excluded.seller_fee,
              seller_fee_remainder = excluded.seller_fee_remainder, fees_held = excluded.fees_held, credited = excluded.credited,
              outcome = excluded.outcome, confirm_by = excluded.confirm_by,
              confirmed_buyer = excluded.confirmed_buyer, confirmed_seller = excluded.confirmed_seller
            """, contracts.values.sorted { $0.number < $1.number }.map(\.row))
        try transaction.write(proposals.values.sorted { $0.number < $1.number })
        try transaction.write(
            deliveries.values.flatMap(\.values).sorted { ($0.contract, $0.period.start) < ($1.contract, $1.period.start) })
    }

    private func writeRisk(in transaction: any WriteContext) throws {
        try transaction.executeMany(
            "INSERT INTO credit_lines (participant, number, amount, previous, reason, at) VALUES ($1, $2, $3, $4, $5, $6)", creditLines)
        try transaction.executeMany(
            "INSERT INTO busts (trade, number, series, contract, reason, at, paid_back) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            busts.map(\.row))
        for bust in busts { try MarketBars.leaveOut(bust, in: transaction) }
    }

    private func writeLedger(in transaction: any WriteContext) throws {
        try transaction.executeMany(
            "INSERT INTO postings (id, at, reason, order_id, contract, reference) VALUES ($1, $2, $3, $4, $5, $6)", postings.map(\.row))
        try transaction.executeMany(
            "INSERT INTO entries (posting, line, owner, kind, currency, amount, balance) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            postings.flatMap(\.entryRows))
        var balances: [LedgerAccount: Int64] = [:]
        for entry in postings.flatMap(\.entries) { balances[entry.account] = entry.balance }
        try transaction.executeMany(
            """
            INSERT INTO balances (owner, kind, currency, amount) VALUES ($1, $2, $3, $4)
            ON CONFLICT (owner, kind, currency) DO UPDATE SET amount = excluded.amount
            """, balances.sorted { $0.key < $1.key }.map { account, balance in account.key + [SQLValue(balance)] })
    }
}

// MARK: - One record as a row

extension Participant {
    fileprivate var row: [SQLValue] {
        [
            SQLValue(id), .text(name), SQLValue(buys), SQLValue(sells), .text(currency.code), SQLValue(created), SQLValue(suspended),
            SQLValue(creditLine), SQLValue(creditChanges),
        ]
    }
}

extension CreditLine {
    fileprivate var row: [SQLValue] {
        [SQLValue(participant), SQLValue(number), SQLValue(amount), SQLValue(previous), .text(reason), SQLValue(at)]
    }
}

extension Bust {
    fileprivate var row: [SQLValue] {
        [SQLValue(trade), SQLValue(number), SQLValue(series), SQLValue(contract), .text(reason), SQLValue(at), SQLValue(paidBack)]
    }
}

extension Product {
    fileprivate var row: [SQLValue] {
        let limits = terms.limits
        return [
            SQLValue(id), .text(terms.name), .text(definitionText), SQLValue(limits.tick), SQLValue(limits.largestPrice),
            SQLValue(limits.largestLots),
            .text(termsHash), SQLValue(created), SQLValue(closed),
        ]
    }

    /// Encoding plain strings and numbers cannot fail.
    private var definitionText: String { (try? WireJSON.text(definition)) ?? "{}" }
}

extension Series {
    fileprivate var row: [SQLValue] {
        [
            SQLValue(id), SQLValue(product), SQLValue(kind), SQLValue(delivery?.start), SQLValue(delivery?.end), SQLValue(halted),
            SQLValue(stage), SQLValue(haltedUntil), SQLValue(reference?.price), SQLValue(reference?.afterTrade),
        ]
    }
}

extension Datacenter {
    fileprivate var row: [SQLValue] {
        get throws { [SQLValue(id), SQLValue(owner), .text(name), .text(region), .text(try WireJSON.text(zones)), .text(peerAddress)] }
    }
}

extension Order {
    fileprivate var row: [SQLValue] {
        get throws {
            [
                SQLValue(id), SQLValue(priority), SQLValue(draft.participant), SQLValue(draft.series), SQLValue(draft.side),
                SQLValue(draft.lifetime),
                SQLValue(draft.price), SQLValue(draft.lots), SQLValue(filled), SQLValue(draft.datacenter), SQLValue(draft.clientOrderID),
                SQLValue(state),
                SQLValue(cancelReason?.rawValue), SQLValue(placed), .text(try draft.conditions.text),
                SQLValue(shown),
            ]
        }
    }
}

extension OrderConditions {
    private static let noneText = try? WireJSON.text(OrderConditionsView(.none))

    /// JSON. Most orders have none.
    fileprivate var text: String {
        get throws {
            if self == .none, let text = Self.noneText { return text }
            return try WireJSON.text(OrderConditionsView(self))
        }
    }
}

extension Trade {
    fileprivate var row: [SQLValue] {
        [
            SQLValue(id), SQLValue(number), SQLValue(series), SQLValue(contract), .text(buyOrder?.description ?? ""),
            .text(sellOrder?.description ?? ""), SQLValue(taker), SQLValue(price), SQLValue(lots), SQLValue(at), SQLValue(proposal),
        ]
    }
}

extension Contract {
    fileprivate var row: [SQLValue] {
        [
            SQLValue(id), SQLValue(number), SQLValue(trade), SQLValue(series), SQLValue(product), SQLValue(buyer), SQLValue(seller),
            SQLValue(datacenter),
            SQLValue(lots), SQLValue(price), .text(currency.code), .text(termsHash), SQLValue(spotPeriod), SQLValue(created),
            SQLValue(period.start),
            SQLValue(period.end), SQLValue(state), SQLValue(closing?.cause.rawValue), SQLValue(closing?.detail), SQLValue(closing?.decided),
            SQLValue(settledUntil), SQLValue(remainder), SQLValue(settled), SQLValue(held), SQLValue(delivery?.start),
            SQLValue(delivery?.end), SQLValue(paidUntil), SQLValue(margin), SQLValue(bond),
        ] + fees.row + [
            SQLValue(credited), SQLValue(outcome?.rawValue), SQLValue(confirmation.deadline), SQLValue(confirmation.buyer),
            SQLValue(confirmation.seller), SQLValue(proposal),
        ]
    }
}

extension ContractFees {
    fileprivate var row: [SQLValue] {
        [buyer.rate, buyer.charged, buyer.remainder, seller.rate, seller.charged, seller.remainder, held].map { SQLValue($0) }
    }
}

extension LedgerAccount {
    /// Owner, kind and currency, as the tables have them.
    var key: [SQLValue] { [.text(owner?.description ?? ""), SQLValue(kind), .text(currency.code)] }
}

extension Posting {
    fileprivate var row: [SQLValue] {
        [SQLValue(Int64(bitPattern: id.bits)), SQLValue(at), SQLValue(reason), SQLValue(order), SQLValue(contract), SQLValue(reference)]
    }

    fileprivate var entryRows: [[SQLValue]] {
        entries.enumerated().map { line, entry in
            [SQLValue(Int64(bitPattern: id.bits)), SQLValue(line)] + entry.account.key + [SQLValue(entry.amount), SQLValue(entry.balance)]
        }
    }
}
