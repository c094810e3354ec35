import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
import NIOSSL
import NIOTLS
import PKI
import Primitives
public import ServiceLifecycle
import Synchronization

/// How a listener protects its connections.
public enum ListenerSecurity: Sendable {
    /// Plain HTTP: loopback only.
    case plain
    /// TLS with the program's identity certificate; callers authenticate with tokens.
    case server(PeerTLS)
    /// TLS 1.3 with a client certificate of this exchange required.
    case mutual(PeerTLS)

    /// For a public listener: TLS unless nobody but this machine reaches it.
    public static func open(host: String, _ tls: PeerTLS) -> ListenerSecurity { isLoopback(host) ? .plain : .server(tls) }

    static func isLoopback(_ host: String) -> Bool { ["127.0.0.1", "::1", "localhost"].contains(host) || host.hasPrefix("127.") }
}

/// The DNS names and addresses a program's certificate is to be good for. An address that stands for all of them is none.
public func certificateNames(listeningOn host: String, _ others: String?...) -> [String] {
    Set([host] + others.compactMap { $0 }).subtracting(["0.0.0.0", "::", "localhost"]).sorted()
}

/// The port a listener got, known once it listens; for port 0.
public final class BoundPort: Sendable {
    private let state = Mutex<(port: Int?, waiters: [CheckedContinuation<Int, Never>])>((nil, []))

    public init() {}

    public func value() async -> Int {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Int? in
                if state.port == nil { state.waiters.append(continuation) }
                return state.port
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    func set(_ port: Int) {
        let waiters = state.withLock { state in
            state.port = port
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: port) }
    }
}

extension ProgramRouter {
    /// A service that listens and serves these routes until it is asked to stop. Refuses plain HTTP away from loopback.
    public func listen(host: String, port: Int, security: ListenerSecurity, bound: BoundPort = BoundPort(), logger: Logger) throws
        -> any Service
    {
        if case .plain = security, !ListenerSecurity.isLoopback(host) {
            throw Refusal(
                "listener.plain", .invalid,
                "Plain HTTP is served on loopback addresses only, not on \(host): tokens would be readable on the way.",
                nearest: "127.0.0.1, or TLS")
        }
        let server: HTTPServerBuilder =
            switch security {
            case .plain: .http1(configuration: .init(idleTimeout: .seconds(90)))
            case .server(let tls): .peerTLS(tls, requiresClient: false)
            case .mutual(let tls): .peerTLS(tls, requiresClient: true)
            }
        return Application(
            router: router, server: server, configuration: .init(address: .hostname(host, port: port), reuseAddress: true),
            onServerRunning: { channel in bound.set(channel.localAddress?.port ?? port) }, logger: logger)
    }
}

extension HTTPServerBuilder {
    static func peerTLS(_ tls: PeerTLS, requiresClient: Bool) -> HTTPServerBuilder {
        .init { responder in
            PeerChannel(
                base: HTTP1Channel(responder: responder, configuration: .init(idleTimeout: .seconds(90))), tls: tls,
                requiresClient: requiresClient)
        }
    }
}

/// HTTP/1.1 over TLS whose client certificates are verified by `TrustBundle`, with the verified peer handed to each request.
struct PeerChannel: ServerChildChannel {
    typealias Value = HTTP1Channel.Value
    let base: HTTP1Channel
    let tls: PeerTLS
    let requiresClient: Bool

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let peer = ConnectionPeer()
            let context = try tls.freshContext(requiresClient: requiresClient)
            let handler =
                requiresClient
                ? NIOSSLServerHandler(context: context, customVerificationCallback: verification(of: peer, logger), configuration: .init())
                : NIOSSLServerHandler(context: context)
            try channel.pipeline.syncOperations.addHandler(handler)
            try channel.pipeline.syncOperations.addHandler(PeerHandler(peer, handshakeLimit: .seconds(10)))
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async {
        let peer = try? await value.channel.pipeline.handler(type: PeerHandler.self).map(\.peer).get()
        await ConnectionPeer.$current.withValue(peer) { await base.handle(value: value, logger: logger) }
    }

    /// Replaces all of BoringSSL's own verification.
    private func verification(
        of peer: ConnectionPeer, _ logger: Logger
    ) -> @Sendable ([NIOSSLCertificate], EventLoopPromise<NIOSSLVerificationResult>) -> Void {
        let tls = self.tls
        return { chain, promise in
            promise.completeWithTask {
                do {
                    let der = try chain.map { try $0.toDERBytes() }
                    peer.set(try await tls.trust.verify(chainDER: der, usage: .client, now: tls.time.now()))
                    return .certificateVerified
                } catch {
                    logger.notice("client certificate refused", metadata: ["reason": "\(error)"])
                    return .failed
                }
            }
        }
    }
}

/// Keeps the peer in the pipeline, and closes connections that do not finish the handshake in time.
final class PeerHandler: ChannelInboundHandler {
    typealias InboundIn = Any
    let peer: ConnectionPeer
    private let limit: TimeAmount
    private var timer: Scheduled<Void>?

    init(_ peer: ConnectionPeer, handshakeLimit: TimeAmount) {
        self.peer = peer
        limit = handshakeLimit
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent { timer?.cancel() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }
}
