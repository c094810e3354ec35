import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    func createParticipant(_ call: Call<CreateParticipant>) async throws -> ParticipantView {
        let command = MarketCommand.addParticipant(
            name: call.body.name, buys: call.body.roles.contains(.buyer), sells: call.body.roles.contains(.seller),
            currency: call.body.currency)
        return try await desk.perform(try DeskRequest(command, for: call, status: 201)) { _, changes in
            ParticipantView(changes.first { if case .participant(let participant) = $0 { participant } else { nil } })
        }
    }

    func suspendParticipant(_ call: Call<Suspension>) async throws -> ParticipantView {
        let id = try call.id("participant", as: ParticipantID.self)
        if let own = try Scope(call.principal).participant, own != id { throw Refusal.unknownParticipant(id) }
        return try await standing(of: id, .suspend(id, reason: call.body.reason), call)
    }

    func resumeParticipant(_ call: Call<Empty>) async throws -> ParticipantView {
        let id = try call.id("participant", as: ParticipantID.self)
        return try await standing(of: id, .resume(id), call)
    }

    private func standing<Body>(of id: ParticipantID, _ command: MarketCommand, _ call: Call<Body>) async throws -> ParticipantView {
        try await perform(try DeskRequest(command, for: call, status: 200), by: try Scope(call.principal).participant) { market, _ in
            guard let participant = market.participant(id) else { throw Refusal.unknownParticipant(id) }
            return ParticipantView(participant)
        }
    }

    /// Everybody for the operator, itself for a participant.
    func participants(_ call: Call<Empty>) async throws -> CloudAPI.Page<ParticipantView> {
        let only = try Scope(call.principal).participant
        return try await database.read { context in
            try context.page(
                call.query, "SELECT * FROM participants WHERE id > $1 AND ($2 = '' OR id = $2) ORDER BY id",
                filter: only?.description ?? "", key: "id"
            ) { ParticipantView(try Participant(row: $0)) }
        }
    }

    /// A bearer token. Its secret is in the answer and nowhere else: the same request made again has the same secret made again.
    func createToken(_ call: Call<CreateToken>) async throws -> CreatedToken {
        let participant = try call.id("participant", as: ParticipantID.self)
        if let own = try Scope(call.principal).participant, own != participant { throw Refusal.unknownParticipant(participant) }
        let secret = secrets.secret(for: call.idempotency, ids)
        let now = time.now()
        return try await database.write { transaction in
            guard try transaction.queryOne("SELECT id FROM participants WHERE id = $1", [SQLValue(participant)]) != nil else {
                throw Refusal.unknownParticipant(participant)
            }
            let id = TokenID(bits: secret.identifier)
            let token = try Tokens.create(
                for: .participant(participant), description: call.body.description, id: id, secretBits: secret.bits, in: transaction,
                at: now)
            if try transaction.isFirst(call.idempotency, at: now) {
                try transaction.appendAudit(
                    actor: call.principal.name, action: "token.create", subject: id.description, detail: try WireJSON.text(call.body),
                    at: now)
            }
            return CreatedToken(id: id, token: token)
        }
    }
}

extension Refusal {
    static func unknownParticipant(_ id: ParticipantID) -> Refusal {
        Refusal("market.unknown-participant", .notFound, "There is no participant \(id).", facts: ["participant": .text(id.description)])
    }
}
