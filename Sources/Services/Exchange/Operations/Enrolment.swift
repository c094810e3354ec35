import CloudAPI
import Foundation
import Market
import PKI
import Primitives
import ServiceKit
import Store

// How programs of participants come to their identities, and keep them.

extension ExchangeCore {
    static let identityLifetime: Span = .days(30)
    private static let lifetimes: ClosedRange<Int64> = 60...604_800

    /// A one-time token. Its secret is in the answer and nowhere else.
    func createEnrolment(_ call: Call<CreateEnrolment>) async throws -> EnrolmentView {
        let body = call.body
        if let own = try Scope(call.principal).participant, own != body.participant { throw Refusal.unknownParticipant(body.participant) }
        let seconds = body.validSeconds ?? 3_600
        guard Self.lifetimes.contains(seconds) else {
            throw Refusal(
                "enrolment.lifetime", .invalid, "An enrolment token is valid for 60 to 604,800 seconds, not \(seconds).",
                facts: ["seconds": .number(seconds)], nearest: "\(min(max(seconds, Self.lifetimes.lowerBound), Self.lifetimes.upperBound))")
        }
        let program = try programID(for: body, call.idempotency)
        let token = try enrolmentToken(for: call.idempotency)
        let now = time.now()
        return try await database.write { transaction in
            try checkMayEnrol(body.participant, body.role, program, in: transaction)
            guard try transaction.isFirst(call.idempotency, at: now) else {
                let row = try transaction.queryOne("SELECT expires FROM enrolments WHERE hash = $1", [.text(token.secretHash)])
                return EnrolmentView(token: token.text, expires: try row?.instant("expires") ?? now)
            }
            let expires = now + .seconds(seconds)
            try transaction.execute(
                "INSERT INTO enrolments (hash, participant, role, program, expires, created) VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    .text(token.secretHash), SQLValue(body.participant), SQLValue(body.role), .text(program), SQLValue(expires),
                    SQLValue(now),
                ])
            try transaction.appendAudit(
                actor: call.principal.name, action: "enrolment.create", subject: program, detail: try WireJSON.text(body), at: now)
            return EnrolmentView(token: token.text, expires: expires)
        }
    }

    /// A signing request and a one-time token become an identity.
    func enrol(_ call: Call<Enrol>) async throws -> IdentityView {
        guard let token = EnrolmentToken(call.body.token) else {
            throw Refusal("enrolment.token", .forbidden, "This is not an enrolment token of this exchange.")
        }
        let now = time.now()
        let address = await peerAddress()
        let view = try await database.write { transaction in
            let program = try useUp(token, in: transaction, at: now)
            try Certificates.revoke(program: program, reason: "enrolled anew", in: transaction, at: now)
            let view = try issueIdentity(
                to: program, csr: call.body.csr, names: call.body.names, address: address, in: transaction, at: now)
            try transaction.appendAudit(
                actor: "enrolment", action: "program.enrol", subject: program.id,
                detail: try WireJSON.text([
                    "participant": program.participant.description, "role": program.role.rawValue,
                    "names": call.body.names.joined(separator: " "),
                ]), at: now)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            FaultPoint.hit("exchange.enrol.written")
            return view
        }
        FaultPoint.hit("exchange.enrol.committed")
        return view
    }

    func renewIdentity(_ call: Call<RenewIdentity>) async throws -> IdentityView {
        guard case .program(let participant, let role, let id) = call.principal else {
            throw Refusal("http.forbidden", .forbidden, "Programs only.")
        }
        let program = CertifiedProgram(participant: participant, role: role, id: id)
        return try await issue(to: program, csr: call.body.csr, names: call.body.names, for: call)
    }

    /// An identity for a node of the connect that asks: of the same participant.
    func signNode(_ call: Call<SignNode>) async throws -> IdentityView {
        guard case .program(let participant, .connect, let connect) = call.principal else {
            throw Refusal("http.forbidden", .forbidden, "Only a connect has nodes.")
        }
        let program = CertifiedProgram(participant: participant, role: .node, id: call.body.host.description)
        var view = try await issue(to: program, csr: call.body.csr, names: [], for: call)
        // A node talks to its connect.
        let address = try await database.read { context in
            try context.queryOne("SELECT peer_address FROM datacenters WHERE id = $1", [.text(connect)])?.text("peer_address")
        }
        view.peerAddress = address ?? view.peerAddress
        view.peerName = IdentityName.dns(role: .connect, id: connect, exchange: configuration.name)
        return view
    }

    private func issue<Body>(to program: CertifiedProgram, csr: String, names: [String], for call: Call<Body>) async throws -> IdentityView
    {
        let now = time.now()
        let address = await peerAddress()
        return try await database.write { transaction in
            let view = try issueIdentity(to: program, csr: csr, names: names, address: address, in: transaction, at: now)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    // MARK: How

    private func issueIdentity(
        to program: CertifiedProgram, csr: String, names: [String], address: String, in transaction: any WriteContext, at now: Instant
    ) throws -> IdentityView {
        guard let role = ProgramRole(rawValue: program.role.rawValue) else {
            throw Refusal("enrolment.role", .invalid, "There is no such program.")
        }
        try transaction.execute(
            "INSERT INTO programs (role, id, participant, created) VALUES ($1, $2, $3, $4) ON CONFLICT (role, id) DO NOTHING",
            [SQLValue(program.role), .text(program.id), SQLValue(program.participant), SQLValue(now)])
        try checkOwner(of: program, in: transaction)
        let hosts = names.compactMap(HostName.init)
        try checkNotOwn(hosts)
        let identity = PeerIdentity.program(
            exchange: configuration.name, participant: program.participant, role: program.role, id: program.id)
        let issued = try refusing { () throws(PKIError) in
            try authority.issueIdentity(csrPEM: csr, identity: identity, extraNames: names, lifetime: Self.identityLifetime, now: now)
        }
        try transaction.claim(hosts, for: program.participant, until: issued.notAfter, at: now)
        try Certificates.record(issued, for: program, in: transaction, at: now)
        return IdentityView(
            exchange: configuration.name, participant: program.participant, role: role, id: program.id, chain: issued.chainPEM,
            root: authority.rootPEM, peerAddress: address, peerName: peerName)
    }

    /// Host names carry no participant, so an identifier belongs to one participant for good.
    private func checkOwner(of program: CertifiedProgram, in context: any ReadContext) throws {
        let sql = "SELECT participant FROM programs WHERE role = $1 AND id = $2"
        guard let row = try context.queryOne(sql, [SQLValue(program.role), .text(program.id)]) else { return }
        guard try row.id("participant") == program.participant else {
            throw Refusal(
                "enrolment.program", .conflict, "The identifier '\(program.id)' belongs to another participant's \(program.role.rawValue).",
                facts: ["id": .text(program.id)], nearest: "no identifier: the exchange makes one")
        }
    }

    private func checkMayEnrol(_ id: ParticipantID, _ role: ProgramRole, _ program: String, in context: any ReadContext) throws {
        guard let row = try context.queryOne("SELECT * FROM participants WHERE id = $1", [SQLValue(id)]) else {
            throw Refusal.unknownParticipant(id)
        }
        let participant = try Participant(row: row)
        guard role == .manage ? participant.buys : participant.sells, let identity = IdentityRole(rawValue: role.rawValue) else {
            throw Refusal(
                "enrolment.role", .forbidden, "\(participant.name) has no \(role.rawValue): a manage is a buyer's, a connect a seller's.",
                nearest: participant.buys ? "manage" : "connect")
        }
        try checkOwner(of: CertifiedProgram(participant: id, role: identity, id: program), in: context)
    }

    private func useUp(_ token: EnrolmentToken, in transaction: any WriteContext, at now: Instant) throws -> CertifiedProgram {
        guard let row = try transaction.queryOne("SELECT * FROM enrolments WHERE hash = $1", [.text(token.secretHash)]) else {
            throw Refusal("enrolment.token", .forbidden, "This enrolment token is not known here.")
        }
        guard try row.optionalInteger("used") == nil else {
            throw Refusal(
                "enrolment.used", .forbidden, "This enrolment token has been used; one is good for one enrolment.", nearest: "a new token")
        }
        let expires = try row.instant("expires")
        guard now < expires else {
            throw Refusal(
                "enrolment.expired", .forbidden, "This enrolment token expired at \(expires).",
                facts: ["expires": .text(expires.description)],
                nearest: "a new token")
        }
        try transaction.execute("UPDATE enrolments SET used = $2 WHERE hash = $1", [.text(token.secretHash), SQLValue(now)])
        return CertifiedProgram(participant: try row.id("participant"), role: try row.value("role"), id: try row.text("program"))
    }

    private func programID(for body: CreateEnrolment, _ request: IdempotentRequest?) throws -> String {
        let made = secrets.secret(for: request, ids).identifier
        switch body.role {
        case .connect:
            guard let id = body.id else { return DatacenterID(bits: made).description }
            guard DatacenterID(id) != nil else {
                throw Refusal(
                    "enrolment.id", .invalid, "A connect is called like its datacenter, dc-0123…; '\(id.prefix(64))' is not.",
                    nearest: "no identifier")
            }
            return id
        case .manage:
            guard let id = body.id else { return "manage-" + String(made, radix: 16) }
            guard IdentityName.isLabel(id) else {
                throw Refusal(
                    "enrolment.id", .invalid, "'\(id.prefix(64))' is not 1 to 63 lower-case letters, digits and inner hyphens.",
                    nearest: "no identifier")
            }
            return id
        case .node:
            throw Refusal(
                "enrolment.role", .invalid, "A node enrols at its connect, which has the exchange sign for it.", nearest: "connect")
        }
    }

    private func enrolmentToken(for request: IdempotentRequest?) throws -> EnrolmentToken {
        let random = try refusing { () throws(PKIError) in try authority.makeEnrolmentToken() }
        guard request != nil else { return random }
        let text = "bet_" + secrets.secret(for: request, ids).base64URL + "." + random.rootPin
        guard let token = EnrolmentToken(text) else { preconditionFailure("32 bytes make a token") }
        return token
    }
}
