import Market
import Primitives
import Store

// Proposals as rows, and back.

extension WriteContext {
    func write(_ proposals: [Proposal]) throws {
        try executeMany(
            """
            INSERT INTO proposals (id, number, proposer, counterparty, series, side, price, lots, datacenter, note, asked, created, expires,
              state, decided, reason, trade, contract)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            ON CONFLICT (id) DO UPDATE SET datacenter = excluded.datacenter, state = excluded.state, decided = excluded.decided,
              reason = excluded.reason, trade = excluded.trade, contract = excluded.contract
            """, proposals.map(\.row))
    }
}

extension Proposal {
    fileprivate var row: [SQLValue] {
        [
            SQLValue(id), SQLValue(number), SQLValue(draft.proposer), SQLValue(draft.counterparty), SQLValue(draft.series),
            SQLValue(draft.side), SQLValue(draft.price), SQLValue(draft.lots), SQLValue(draft.datacenter), SQLValue(draft.note),
            SQLValue(draft.expires), SQLValue(created), SQLValue(expires), SQLValue(state), SQLValue(decided), SQLValue(reason),
            SQLValue(trade), SQLValue(contract),
        ]
    }

    init(row: Row) throws {
        let draft = ProposalDraft(
            proposer: try row.id("proposer"), counterparty: try row.id("counterparty"), series: try row.id("series"),
            side: try row.value("side"), price: try row.integer("price"), lots: try row.integer("lots"),
            datacenter: try row.optionalID("datacenter"), note: try row.optionalText("note"), expires: try row.optionalInstant("asked"))
        self.init(
            id: try row.id("id"), number: try row.integer("number"), draft: draft, created: try row.instant("created"),
            expires: try row.instant("expires"), state: try row.value("state"), decided: try row.optionalInstant("decided"),
            reason: try row.optionalText("reason"), trade: try row.optionalID("trade"), contract: try row.optionalID("contract"))
    }
}
