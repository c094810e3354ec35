import NIOCore
import NIOSSL
public import PKI
public import Primitives
import Synchronization

/// What a peer listener shows and whom it trusts. Replaced while it runs: certificates are renewed, lists of revoked ones fetched.
public final class PeerTLS: Sendable {
    private struct State {
        var credential: Credential
        var trust: TrustBundle
        var contracts: [ContractID: Credential] = [:]
        /// Read from `credential` and `trust` once: connections share keys and certificates, though no context.
        var configurations: [Bool: TLSConfiguration] = [:]
    }
    private let state: Mutex<State>
    let time: any TimeSource

    public init(credential: Credential, trust: TrustBundle, time: any TimeSource) {
        state = Mutex(State(credential: credential, trust: trust))
        self.time = time
    }

    public var credential: Credential { state.withLock { $0.credential } }
    public var trust: TrustBundle { state.withLock { $0.trust } }
    public func replace(credential: Credential) {
        state.withLock { state in
            state.credential = credential
            state.configurations = [:]
        }
    }
    public func replace(trust: TrustBundle) {
        state.withLock { state in
            state.trust = trust
            state.configurations = [:]
        }
    }

    /// The seller's certificate of a contract, shown to clients that ask for the contract by name (SNI). Nil forgets it.
    public func setContract(_ contract: ContractID, credential: Credential?) { state.withLock { $0.contracts[contract] = credential } }

    func contract(_ contract: ContractID) -> Credential? { state.withLock { $0.contracts[contract] } }

    /// A context for one connection. Never shared: a resumed TLS 1.3 session would skip the check of the client's certificate,
    /// and tickets live in the context.
    func freshContext(requiresClient: Bool) throws -> NIOSSLContext {
        let configuration = try state.withLock { state -> TLSConfiguration in
            if let known = state.configurations[requiresClient] { return known }
            let made = try makeConfiguration(requiresClient, state.credential, state.trust)
            state.configurations[requiresClient] = made
            return made
        }
        return try NIOSSLContext(configuration: configuration)
    }

    private func makeConfiguration(_ requiresClient: Bool, _ credential: Credential, _ trust: TrustBundle) throws -> TLSConfiguration {
        var configuration =
            try requiresClient
            ? serverConfiguration(credential: credential, trust: trust) : publicServerConfiguration(credential: credential)
        let exchange = trust.exchange
        configuration.sslContextCallback = { [weak self] values, promise in
            guard let name = values.serverHostname, let id = IdentityName.contract(inDNS: name, exchange: exchange),
                let own = self?.contract(id)
            else { return promise.succeed(.noChanges) }
            promise.completeWith(Result { try own.contextOverride() })
        }
        return configuration
    }
}
