import CloudAPI
import Foundation
import Market
import Primitives
import Store

// Deliveries as rows, and back.

extension WriteContext {
    func write(_ deliveries: [Delivery]) throws {
        try executeMany(
            """
            INSERT INTO deliveries (contract, period_start, period_end, lots, charge, due, state, buyer_report, seller_report, basis, availability,
              paid, credited, dispute_id, dispute, buyer, seller, datacenter)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, (SELECT buyer FROM contracts WHERE id = $1),
              (SELECT seller FROM contracts WHERE id = $1), (SELECT datacenter FROM contracts WHERE id = $1))
            ON CONFLICT (contract, period_start) DO UPDATE SET due = excluded.due, state = excluded.state, buyer_report = excluded.buyer_report,
              seller_report = excluded.seller_report, basis = excluded.basis, availability = excluded.availability, paid = excluded.paid,
              credited = excluded.credited, dispute_id = excluded.dispute_id, dispute = excluded.dispute
            """, deliveries.map { try $0.row })
    }
}

extension Delivery {
    fileprivate var row: [SQLValue] {
        get throws {
            [
                SQLValue(contract), SQLValue(period.start), SQLValue(period.end), SQLValue(lots), SQLValue(charge), SQLValue(due),
                SQLValue(state), SQLValue(try buyer.map(WireJSON.text)), SQLValue(try seller.map(WireJSON.text)),
                SQLValue(basis?.rawValue), SQLValue(availability), SQLValue(paid), SQLValue(credited),
                SQLValue(dispute?.id.description), SQLValue(try dispute.map(WireJSON.text)),
            ]
        }
    }

    init(row: Row) throws {
        func json<Value: Decodable>(_ column: String) throws -> Value? {
            try row.optionalText(column).map { try WireJSON.decode(Value.self, from: Data($0.utf8)) }
        }
        self.init(
            contract: try row.id("contract"), period: Period(start: try row.instant("period_start"), end: try row.instant("period_end")),
            lots: try row.integer("lots"), charge: try row.integer("charge"), due: try row.instant("due"), state: try row.value("state"),
            buyer: try json("buyer_report"), seller: try json("seller_report"),
            basis: try row.optionalText("basis").flatMap(Basis.init(rawValue:)), availability: try row.optionalInteger("availability"),
            paid: try row.integer("paid"), credited: try row.integer("credited"), dispute: try json("dispute"))
    }
}

extension ReadContext {
    func delivery(of contract: ContractID, from start: Instant) throws -> Delivery? {
        try queryOne("SELECT * FROM deliveries WHERE contract = $1 AND period_start = $2", [SQLValue(contract), SQLValue(start)])
            .map(Delivery.init(row:))
    }

    func openDeliveries(of contract: ContractID) throws -> [Delivery] {
        try query("SELECT * FROM deliveries WHERE contract = $1 AND state <> 'settled' ORDER BY period_start", [SQLValue(contract)])
            .map(Delivery.init(row:))
    }

    func delivery(disputedAs dispute: DisputeID) throws -> Delivery? {
        try queryOne("SELECT * FROM deliveries WHERE dispute_id = $1", [SQLValue(dispute)]).map(Delivery.init(row:))
    }
}
