import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

// What the operator watches: conduct of participants, and the audit trail.

extension ExchangeCore {
    /// Takes in what has come into the tables since the last turn. Any process may: whoever is first moves the cursor.
    func watchConduct() async throws {
        var isFull = true
        while isFull {
            let batch = try await tables.read { try $0.surveillanceBatch(limit: 2_000) }
            guard batch.until > batch.after else { return }
            guard try await tables.write({ try $0.write(batch) }) else { return }
            isFull = batch.isFull
        }
    }

    /// A command that is no order: a participant's within its share of the waiting places, the operator's (nil) without.
    func perform<Answer: Codable & Sendable>(
        _ request: DeskRequest, by participant: ParticipantID?, answer: @escaping @Sendable (Market, [MarketChange]) throws -> Answer
    ) async throws -> Answer {
        guard let participant else { return try await desk.perform(request, answer: answer) }
        return try await fairness.sharing(participant) { try await desk.perform(request, answer: answer) }
    }

    /// A participant's order, within what it may ask for. Self-matches that were refused leave a trace although nothing changed.
    func trade<Answer: Codable & Sendable>(
        _ request: DeskRequest, for participant: ParticipantID, answer: @escaping @Sendable (Market, [MarketChange]) throws -> Answer
    ) async throws -> Answer {
        do {
            return try await fairness.admitting(participant) { try await desk.perform(request, answer: answer) }
        } catch let refusal as Refusal where refusal.rule == "market.self-trade" {
            try await record(refusal, of: request.command, by: participant)
            throw refusal
        }
    }

    private func record(_ refusal: Refusal, of command: MarketCommand, by participant: ParticipantID) async throws {
        guard case .text(let own)? = refusal.facts["order"], let draft = try await refused(command) else { return }
        let match = SelfMatch(
            participant: participant, series: draft.series, side: draft.side, price: draft.price, lots: draft.lots, order: own,
            outcome: .refused, at: time.now())
        guard selfMatches.isFirst(match) else { return }
        do {
            selfMatches.wrote(match, as: try await database.write { try $0.record(match) })
        } catch {
            selfMatches.missed(match)
            throw error
        }
    }

    /// The order that was not taken.
    private func refused(_ command: MarketCommand) async throws -> OrderDraft? {
        switch command {
        case .placeOrder(let placed): return placed
        case .replaceOrder(let id, let price, let lots, _):
            let order = try await database.read {
                try $0.queryOne("SELECT * FROM orders WHERE id = $1", [SQLValue(id)]).map(Order.init(row:))
            }
            guard var replaced = order?.draft else { return nil }
            replaced.price = price ?? replaced.price
            replaced.lots = lots ?? replaced.lots
            return replaced
        default: return nil
        }
    }

    /// Raises the numbers of self-matches that were refused again.
    func keepSelfMatches() async throws {
        let repeats = selfMatches.takeRepeats(at: time.now())
        guard !repeats.isEmpty else { return }
        try await tables.write { transaction in
            try transaction.executeMany(
                "UPDATE self_matches SET times = times + $2 WHERE number = $1", repeats.map { [SQLValue($0.key), SQLValue($0.value)] })
        }
    }

    // MARK: Reports

    func conduct(_ call: Call<Empty>) async throws -> CloudAPI.Page<ConductView> {
        let day = (try call.query.instant("day") ?? time.now()).floored(to: .days(1))
        let participant = try call.query.id("participant", as: ParticipantID.self)
        return try await database.read { context in
            let rows = try context.query(
                """
                SELECT c.*, p.name FROM conduct c JOIN participants p ON p.id = c.participant
                WHERE c.day = $1 AND ($2 = '' OR c.participant = $2) ORDER BY c.fleeting DESC, c.orders DESC, c.participant, c.series LIMIT 1000
                """, [SQLValue(day), .text(participant?.description ?? "")])
            return CloudAPI.Page(try rows.map(ConductView.init(row:)))
        }
    }

    func listSelfMatches(_ call: Call<Empty>) async throws -> CloudAPI.Page<SelfMatchView> {
        let participant = try call.query.id("participant", as: ParticipantID.self)
        return try await database.read { context in
            try context.newest(
                call.query, "SELECT * FROM self_matches", number: "number", where: participant == nil ? [] : ["participant = $3"],
                participant.map { [SQLValue($0)] } ?? []
            ) { row in
                SelfMatchView(
                    at: try row.instant("at"), participant: try row.id("participant"), series: try row.id("series"),
                    side: try row.value("side"), price: try row.integer("price"), lots: try row.integer("lots"),
                    order: try row.text("order_id"), outcome: try row.value("outcome"), times: try row.integer("times"))
            }
        }
    }

    // MARK: Audit

    func audit(_ call: Call<Empty>) async throws -> CloudAPI.Page<AuditEntryView> {
        let limit = try call.query.limit()
        let cursor = call.query.text("cursor")
        guard let after = cursor.map(Int64.init) ?? 0 else {
            throw Refusal.cursor(cursor ?? "")
        }
        return try await database.read { context in
            let entries = try context.audit(after: after, limit: limit + 1)
            let shown = entries.prefix(limit)
            return CloudAPI.Page(shown.map(AuditEntryView.init), next: entries.count > limit ? shown.last.map { "\($0.sequence)" } : nil)
        }
    }

    func verifyAudit(_ call: Call<Empty>) async throws -> AuditVerification {
        let sequence = try call.query.integer("sequence", in: 0...Int64.max, default: 0)
        guard (sequence > 0) == (call.query.text("hash") != nil) else {
            throw Refusal("request.query", .invalid, "An entry seen before has a number and a hash.", nearest: "both, or neither")
        }
        let known = call.query.text("hash").map { AuditHead(sequence: sequence, hash: $0) } ?? .start
        return AuditVerification(try await database.read { try $0.verifyAudit(from: known) })
    }
}

extension ConductView {
    fileprivate init(row: Row) throws {
        let (orders, fleeting, trades) = (try row.integer("orders"), try row.integer("fleeting"), try row.integer("trades"))
        self.init(
            day: try row.instant("day"), participant: try row.id("participant"), participantName: try row.text("name"),
            series: try row.id("series"), orders: orders, withdrawn: try row.integer("withdrawn"), fleeting: fleeting,
            farFromTouch: try row.integer("far"), trades: trades,
            bilateralTrades: try row.integer("bilateral"), fleetingShare: orders == 0 ? 0 : fleeting * 1_000 / orders,
            ordersPerTrade: trades == 0 ? nil : orders * 1_000 / trades)
    }
}

extension AuditEntryView {
    fileprivate init(_ entry: AuditEntry) {
        self.init(
            sequence: entry.sequence, at: entry.at, actor: entry.actor, action: entry.action, subject: entry.subject, detail: entry.detail,
            previousHash: entry.previousHash, hash: entry.hash)
    }
}

extension AuditVerification {
    fileprivate init(_ report: AuditReport) {
        let (broken, text): (Int64?, String?) =
            switch report.problem {
            case nil: (nil, nil)
            case .altered(let sequence): (sequence, "Entry \(sequence) does not have the hash that its content and the entry before give.")
            case .missing(let sequence): (sequence, "Entry \(sequence) is missing.")
            case .wrongHead(let expected, let found):
                (found.sequence, "Entry \(found.sequence) has the hash \(found.hash); it should be \(expected.sequence), \(expected.hash).")
            }
        self.init(
            intact: report.problem == nil, checked: report.checked, headSequence: report.head.sequence, headHash: report.head.hash,
            firstBroken: broken, problem: text)
    }
}
