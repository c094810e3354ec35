import CloudAPI
import CloudClient
import Logging
import PKI
import Primitives
import ServiceKit

extension ProgramIdentity {
    /// A node enrols as other programs do, only at its connect, which has the exchange sign the request.
    static func ofNode(_ configuration: NodeConfiguration, time: any TimeSource, logger: Logger) async throws -> ProgramIdentity {
        let identity = try await loadOrEnrol(
            directory: configuration.dataDirectory + "/identity", exchangeURL: configuration.connectURL,
            token: configuration.enrolmentToken,
            names: [], time: time, logger: logger)
        guard identity.record.role == .node else {
            throw Refusal(
                "identity.role", .invalid, "This identity is that of a \(identity.record.role.rawValue), not of a node.",
                nearest: "a token made for a node, and an empty data directory")
        }
        return identity
    }
}

extension NodeCore {
    /// A new certificate well before the old one ends.
    func renewIdentityIfDue() async throws {
        guard identity.tls.credential.needsRenewal(now: time.now()) else { return }
        let answer = try await identity.exchange.call(
            ConnectAPI.renewNode, body: RenewIdentity(csr: try identity.tls.credential.csrPEM(), names: []))
        try identity.install(chain: answer.chain)
        logger.info("the node's certificate was renewed")
    }
}
