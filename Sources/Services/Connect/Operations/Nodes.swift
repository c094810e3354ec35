import CloudAPI
import CloudClient
import Fleet
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
        let (core, body, fresh) = (self, call.body, ids.next(HostID.self))
        return try await database.write { transaction in
            let (host, pod) = try core.enrollable(body, else: fresh, in: transaction)
            try transaction.execute(
                "INSERT INTO node_enrolments (hash, host, pod, expires) VALUES ($1, $2, $3, $4)",
                [.text(token.secretHash), SQLValue(host), SQLValue(pod), SQLValue(expires)])
            let view = EnrolmentView(token: token.text, expires: expires)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    /// The host that a token is made for: one that is declared, or a new one in a pod that has room for it.
    private func enrollable(
        _ wanted: CreateNodeEnrolment, else fresh: HostID, in context: any ReadContext
    ) throws -> (host: HostID, pod: PodID) {
        if let name = wanted.host {
            let row = try context.queryOne(
                """
                SELECT p.host, p.pod, o.name AS pod_name FROM host_places p JOIN pods o ON o.id = p.pod WHERE p.name = $1
                """, [.text(name)])
            guard let row, try wanted.pod == nil || wanted.pod == row.text("pod_name") else {
                throw Refusal(
                    "host.unknown", .notFound, "There is no host '\(name)'\(wanted.pod.map { " in pod \($0)" } ?? "").",
                    facts: ["host": .text(name)], nearest: "declare it, or enrol without a name")
            }
            return (try row.id("host"), try row.id("pod"))
        }
        let row = try context.queryOne(
            "SELECT id FROM pods WHERE removed IS NULL AND ($1 = '' OR name = $1) ORDER BY name LIMIT 1", [.text(wanted.pod ?? "")])
        guard let id = try row?.id("id", as: PodID.self), let pod = try Topology.Pod.load(id, in: context) else {
            throw try Refusal.unknownPod(wanted.pod ?? "", in: context)
        }
        // Declared hosts that wait for their nodes have their room already.
        let waiting = try context.count(
            "host_places p WHERE p.pod = $1 AND NOT EXISTS (SELECT 1 FROM hosts h WHERE h.id = p.host)", [SQLValue(id)])
        if waiting == 0 { try pod.admit(hosts: try context.count("host_places WHERE pod = $1", [SQLValue(id)]) + 1) }
        return (fresh, id)
    }

    /// Has the exchange sign a node's request. A token is good for one key: a node that lost the answer may ask again with the same
    /// key within the token's hour, nobody else may.
    func enrolNode(_ request: Enrol) async throws -> IdentityView {
        guard let token = EnrolmentToken(request.token) else {
            throw Refusal(
                "enrolment.token", .forbidden, "This is not an enrolment token of this datacenter.",
                nearest: "a token of `bourse host enrol`")
        }
        let now = time.now()
        let key = try CertificateAuthority.keyFingerprint(csrPEM: request.csr)
        let host = try await database.write { transaction -> HostID in
            let row = try transaction.queryOne(
                "SELECT host, expires, key_hash FROM node_enrolments WHERE hash = $1", [.text(token.secretHash)])
            guard let row else {
                throw Refusal(
                    "enrolment.token", .forbidden, "This enrolment token is not known here.", nearest: "a token of `bourse host enrol`")
            }
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
