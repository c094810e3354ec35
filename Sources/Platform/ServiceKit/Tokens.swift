import CloudAPI
import Crypto
import Foundation
public import Primitives
public import Store

/// Bearer tokens. The secret leaves once, when it is made; the database keeps its SHA-256.
public enum Tokens {
    public static let migration = Migration("servicekit-1-tokens") { _ in
        [
            "CREATE TABLE tokens (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, principal TEXT NOT NULL, description TEXT NOT NULL, created BIGINT NOT NULL)"
        ]
    }

    /// Makes a token for the operator, a participant or a user. Refuses other principals.
    public static func create(
        for principal: Principal, description: String, id: TokenID, secretBits: (UInt64, UInt64, UInt64), in transaction: any WriteContext,
        at: Instant
    ) throws -> String {
        let token = "bt_" + [secretBits.0, secretBits.1, secretBits.2].map { hexadecimal($0) }.joined()
        try insert(token, for: principal, description: description, id: id, in: transaction, at: at)
        return token
    }

    /// Registers a given secret, e.g. the operator token a program was started with. Registering it again changes nothing.
    public static func insert(
        _ token: String, for principal: Principal, description: String, id: TokenID, in transaction: any WriteContext, at: Instant
    ) throws {
        guard let caller = principal.caller, [.operator, .participant, .user].contains(caller) else {
            throw Refusal("token.principal", .invalid, "Tokens are for operators, participants and users, not for \(principal.name).")
        }
        try transaction.execute(
            "INSERT INTO tokens (id, hash, principal, description, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash) DO NOTHING",
            [.text(id.description), .text(hash(token)), .text(principal.name), .text(description), .integer(at.microseconds)])
    }

    public static func principal(of token: String, in context: any ReadContext) throws -> Principal? {
        guard let row = try context.queryOne("SELECT principal FROM tokens WHERE hash = $1", [.text(hash(token))]) else { return nil }
        let name = try row.text("principal")
        if name == Principal.operator.name { return .operator }
        if let id = ParticipantID(name) { return .participant(id) }
        return UserID(name).map(Principal.user)
    }

    private static func hash(_ token: String) -> String {
        SHA256.hash(data: Data(token.utf8)).map { hexadecimal(UInt64($0), digits: 2) }.joined()
    }

    private static func hexadecimal(_ value: UInt64, digits: Int = 16) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
