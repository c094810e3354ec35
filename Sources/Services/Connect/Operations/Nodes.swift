import CloudAPI
import CloudClient
import Foundation
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// A one-time token with which one node joins a pod.
    func createNodeEnrolment(_ call: Call<CreateNodeEnrolment>) async throws -> EnrolmentView {
        let token = try EnrolmentToken(rootPEM: identity.record.root)
        let now = time.now()
        let expires = now + .hours(1)
        let host = ids.next(HostID.self)
        let wanted = call.body.pod
        return try await database.write { transaction in
            let row = try transaction.queryOne(
                "SELECT id FROM pods WHERE $1 = '' OR name = $1 ORDER BY name LIMIT 1", [.text(wanted ?? "")])
            guard let row else { throw Refusal("pod.unknown", .notFound, "There is no pod '\(wanted ?? "")' here.") }
            try transaction.execute(
                "INSERT INTO node_enrolments (hash, host, pod, expires) VALUES ($1, $2, $3, $4)",
                [.text(token.secretHash), SQLValue(host), .text(try row.text("id")), SQLValue(expires)])
            let view = EnrolmentView(token: token.text, expires: expires)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    /// Has the exchange sign a node's request. A token is good for one key: a node that lost the answer may ask again with the same
    /// key within the token's hour, nobody else may.
    func enrolNode(_ request: Enrol) async throws -> IdentityView {
        guard let token = EnrolmentToken(request.token) else {
            throw Refusal("enrolment.token", .forbidden, "This is not an enrolment token of this datacenter.")
        }
        let now = time.now()
        let key = try CertificateAuthority.keyFingerprint(csrPEM: request.csr)
        let host = try await database.write { transaction -> HostID in
            let row = try transaction.queryOne(
                "SELECT host, expires, key_hash FROM node_enrolments WHERE hash = $1", [.text(token.secretHash)])
            guard let row else { throw Refusal("enrolment.token", .forbidden, "This enrolment token is not known here.") }
            guard try row.optionalText("key_hash") ?? key == key else {
                throw Refusal("enrolment.used", .forbidden, "This enrolment token was used by another node.", nearest: "a new token")
            }
            let expires = try row.instant("expires")
            guard now < expires else {
                throw Refusal("enrolment.expired", .forbidden, "This enrolment token expired at \(expires).", nearest: "a new token")
            }
            try transaction.execute(
                "UPDATE node_enrolments SET used = COALESCE(used, $2), key_hash = $3 WHERE hash = $1",
                [.text(token.secretHash), SQLValue(now), .text(key)])
            return try row.id("host")
        }
        let answer = try await identity.exchange.call(ExchangeAPI.signNode, body: SignNode(host: host, csr: request.csr))
        return atThisAddress(answer)
    }

    func renewNode(_ request: RenewIdentity, host: HostID) async throws -> IdentityView {
        let answer = try await identity.exchange.call(ExchangeAPI.signNode, body: SignNode(host: host, csr: request.csr))
        return atThisAddress(answer)
    }

    /// Nodes talk to their connect, not to the exchange.
    private func atThisAddress(_ identity: IdentityView) -> IdentityView {
        var identity = identity
        identity.peerAddress = peerAddress
        identity.peerName = IdentityName.dns(role: .connect, id: self.identity.record.id, exchange: identity.exchange)
        return identity
    }

    var peerAddress: String { configuration.advertisedPeerAddress ?? "\(configuration.host):\(configuration.peerPort)" }
}
