import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import Store

/// The program a certificate was issued to.
struct CertifiedProgram: Sendable, Hashable {
    let participant: ParticipantID
    let role: IdentityRole
    let id: String
}

/// What was issued, and what of it is revoked. Every certificate is recorded in the transaction that issues it.
enum Certificates {
    static func record(
        _ issued: IssuedCertificate, for program: CertifiedProgram, contract terms: ContractTerms? = nil, in transaction: any WriteContext,
        at: Instant
    ) throws {
        try transaction.execute(
            """
            INSERT INTO certificates (serial, participant, role, program, contract, side, issued, not_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .text(issued.serial), SQLValue(program.participant), SQLValue(program.role), .text(program.id), SQLValue(terms?.contract),
                SQLValue(terms?.side.rawValue), SQLValue(at), SQLValue(issued.notAfter),
            ])
    }

    /// Both sides' certificates of a contract, when they would outlive it.
    static func revoke(contract: ContractID, reason: String, in transaction: any WriteContext, at: Instant) throws {
        try revoke("contract = $3", SQLValue(contract), reason: reason, in: transaction, at: at)
    }

    /// What a program held before, when it enrols anew.
    static func revoke(program: CertifiedProgram, reason: String, in transaction: any WriteContext, at: Instant) throws {
        try revoke(
            "contract IS NULL AND role = $4 AND program = $3", .text(program.id), SQLValue(program.role), reason: reason, in: transaction,
            at: at)
    }

    /// Refused when there is no such certificate; again is the same as once.
    static func revoke(serial: String, reason: String, in transaction: any WriteContext, at: Instant) throws {
        guard try transaction.queryOne("SELECT serial FROM certificates WHERE serial = $1", [.text(serial)]) != nil else {
            throw Refusal("certificate.unknown", .notFound, "No certificate with the serial number '\(serial.prefix(64))' was issued here.")
        }
        try revoke("serial = $3", .text(serial), reason: reason, in: transaction, at: at)
    }

    private static func revoke(
        _ condition: String, _ arguments: SQLValue..., reason: String, in transaction: any WriteContext, at: Instant
    ) throws {
        let sql = "UPDATE certificates SET revoked = $1, reason = $2 WHERE \(condition) AND revoked IS NULL AND not_after >= $1"
        let count = try transaction.execute(sql, [SQLValue(at), .text(reason)] + arguments)
        guard count > 0 else { return }
        try transaction.execute("UPDATE revocation_counter SET number = number + 1 WHERE id = 1")
    }
}

/// Runs something of the authority; what it refuses is refused to the caller in the same words.
func refusing<Value>(_ body: () throws(PKIError) -> Value) throws -> Value {
    do {
        return try body()
    } catch {
        if case .refused(let refusal) = error { throw refusal }
        throw error
    }
}

/// The certificate revocation list: signed when what is revoked has changed, or the last one is a minute old.
actor RevocationLists {
    private struct Signed {
        let number: Int64
        let made: Instant
        let der: [UInt8]
    }
    private static let freshness: Span = .minutes(1)
    private static let validity: Span = .hours(1)
    /// A revoked certificate stays listed for this long after it would have ended: clocks differ.
    private static let afterlife: Span = .hours(1)

    private let database: any Database
    private let projector: Projector
    private let authority: CertificateAuthority
    private let time: any TimeSource
    private var latest: Signed?

    init(database: any Database, projector: Projector, authority: CertificateAuthority, time: any TimeSource) {
        self.database = database
        self.projector = projector
        self.authority = authority
        self.time = time
    }

    /// The list of this moment: what was revoked and what ended before the call is in it. While the tables cannot be written it goes by
    /// what they have: a list that is a little old is better than none. Number and DER.
    func current() async throws -> (number: Int64, der: [UInt8]) {
        try? await projector.caughtUp()
        return try await stored()
    }

    /// The list by the tables as they are.
    func stored() async throws -> (number: Int64, der: [UInt8]) {
        let now = time.now()
        let known = latest
        let fresh = try await database.read { context -> (number: Int64, revoked: [(serial: String, at: Instant)])? in
            let number = try context.queryOne("SELECT number FROM revocation_counter WHERE id = 1")?.integer("number") ?? 1
            if let known, known.number == number, now < known.made + Self.freshness { return nil }
            let rows = try context.query(
                "SELECT serial, revoked FROM certificates WHERE revoked IS NOT NULL AND not_after >= $1 ORDER BY revoked, serial",
                [SQLValue(now - Self.afterlife)])
            return (number, try rows.map { (try $0.text("serial"), try $0.instant("revoked")) })
        }
        guard let fresh else { return (known?.number ?? 0, known?.der ?? []) }
        let der = try authority.revocationList(number: fresh.number, revoked: fresh.revoked, now: now, nextUpdate: now + Self.validity)
        if fresh.number >= latest?.number ?? 0 { latest = Signed(number: fresh.number, made: now, der: der) }
        return (fresh.number, der)
    }
}

extension ExchangeCore {
    func revocationList() async throws -> RevocationListView {
        let list = try await revocations.current()
        return RevocationListView(number: list.number, der: Data(list.der).base64EncodedString())
    }

    func revoke(_ call: Call<RevokeCertificate>) async throws -> Empty {
        let now = time.now()
        let serial = call.body.serial.lowercased()
        try await database.write { transaction in
            try Certificates.revoke(serial: serial, reason: String(call.body.reason.prefix(500)), in: transaction, at: now)
            try transaction.appendAudit(
                actor: call.principal.name, action: "certificate.revoke", subject: serial, detail: try WireJSON.text(call.body), at: now)
            try transaction.remember(Empty(), status: 201, for: call.idempotency, at: now)
        }
        try await refreshOwnTrust()
        return Empty()
    }

    /// The exchange's own peer listener goes by the list, too, as the tables have it: it looks again soon.
    func refreshOwnTrust() async throws {
        let list = try await revocations.stored()
        guard list.number > tls.trust.revocation?.number ?? 0 else { return }
        tls.replace(trust: try tls.trust.updating(crlDER: list.der, now: time.now()))
    }
}
