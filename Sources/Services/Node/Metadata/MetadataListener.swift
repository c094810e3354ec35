import CloudAPI
import Drivers
import Foundation
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Primitives
import ServiceKit
import Synchronization

/// Serves metadata to the guests, whom it knows by the address they come from: the packet filter lets no guest use another's.
final class MetadataListener: Sendable {
    private let channel: any Channel
    let port: Int

    private init(_ channel: any Channel, port: Int) {
        self.channel = channel
        self.port = port
    }

    /// Listens on the gateway address of the host's own network, in the guests' network namespace.
    static func open(_ core: NodeCore) async throws -> MetadataListener {
        let configuration = core.configuration
        let listener = try await open(
            core,
            at: MetadataPlace(
                address: configuration.metadataHost ?? core.network.address.description, port: configuration.metadataPort,
                namespace: configuration.namespace), for: nil)
        core.facts.setMetadata(port: listener.port)
        return listener
    }

    /// - Parameter network: the tenant's network whose guests come there; nil is the host's own.
    static func open(_ core: NodeCore, at place: MetadataPlace, for network: NetworkID?) async throws -> MetadataListener {
        let socket = try await ListeningSocket.open(address: place.address, port: place.port, namespace: place.namespace)
        let service = MetadataService(tokens: try await MetadataTokens.load(from: core.database))
        let connections = ConnectionCount()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandlers([
                        IdleStateHandler(allTimeout: .seconds(30)),
                        MetadataHandler(core: core, service: service, connections: connections, network: network),
                    ])
                }
            }
        let channel = try await bootstrap.withBoundSocket(socket).get()
        return MetadataListener(channel, port: channel.localAddress?.port ?? place.port)
    }

    func close() async { try? await channel.close() }
}

/// How many connections each guest has open.
private final class ConnectionCount: Sendable {
    private let counts = Mutex<[String: Int]>([:])
    static let mostPerGuest = 64

    func enter(_ address: String) -> Bool {
        counts.withLock { counts in
            counts[address, default: 0] += 1
            return counts[address, default: 0] <= Self.mostPerGuest
        }
    }

    func leave(_ address: String) {
        counts.withLock { counts in
            let left = counts[address, default: 1] - 1
            counts[address] = left > 0 ? left : nil
        }
    }
}

/// One connection of a guest.
private final class MetadataHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let core: NodeCore
    private let service: MetadataService
    private let connections: ConnectionCount
    private let network: NetworkID?
    private var guest = ""
    private var head: HTTPRequestHead?
    private var bodyBytes = 0

    private static let longestTarget = 2_048, largestBody = 4_096

    init(core: NodeCore, service: MetadataService, connections: ConnectionCount, network: NetworkID?) {
        self.core = core
        self.service = service
        self.connections = connections
        self.network = network
    }

    func channelActive(context: ChannelHandlerContext) {
        guest = context.channel.remoteAddress?.ipAddress ?? ""
        if !connections.enter(guest) { context.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        connections.leave(guest)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            (self.head, bodyBytes) = (head, 0)
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > Self.largestBody { context.close(promise: nil) }
        case .end:
            guard let head else { return }
            self.head = nil
            respond(context, to: head)
        }
    }

    private func respond(_ context: ChannelHandlerContext, to head: HTTPRequestHead) {
        let answer: MetadataAnswer
        if head.uri.utf8.count > Self.longestTarget {
            answer = .plain(414)
        } else {
            var headers: [String: String] = [:]
            for (name, value) in head.headers { headers[name.lowercased()] = value }
            answer = service.answer(
                MetadataRequest(method: head.method.rawValue, target: head.uri, headers: headers),
                from: core.metadataSubject(guest, on: network), at: core.time.now())
        }
        core.metrics.count("bourse_node_metadata_requests", ["status": "\(answer.status)"])
        // With a hop limit of one the token dies in whatever the guest might forward it to. The connection ends with it.
        let closes = answer.isToken || !head.isKeepAlive
        if answer.isToken, let provider = context.channel as? any SocketOptionProvider {
            _ = provider.unsafeSetSocketOption(level: .ip, name: .init(rawValue: CInt(IP_TTL)), value: CInt(1))
        }
        write(context, answer, head, closes: closes)
    }

    private func write(_ context: ChannelHandlerContext, _ answer: MetadataAnswer, _ head: HTTPRequestHead, closes: Bool) {
        var headers = HTTPHeaders([
            ("Content-Type", "text/plain"), ("Content-Length", "\(answer.body.count)"), ("Server", "EC2ws"),
            ("connection", closes ? "close" : "keep-alive"),
        ])
        for (name, value) in answer.headers { headers.add(name: name, value: value) }
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .init(statusCode: answer.status), headers: headers))),
            promise: nil)
        if head.method != .HEAD, !answer.body.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
        }
        let done = context.eventLoop.makePromise(of: Void.self)
        if closes {
            let channel = context.channel
            done.futureResult.whenComplete { _ in channel.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: done)
    }
}

extension NodeCore {
    /// Who has an address on a network, with what it is told about its place.
    func metadataSubject(_ address: String, on tenant: NetworkID?) -> MetadataSubject? {
        guard let intent = board.holder(of: address, on: tenant), let facts = facts.values else { return nil }
        let addresses = tenant == nil ? network : tenant.flatMap { networks[$0] }.flatMap { IPv4Prefix($0.intent.cidr) }
        guard let addresses else { return nil }
        let pending = board[intent.instance]?.machine.executed ?? time.now()
        return MetadataSubject(intent: intent, region: facts.region, zone: facts.zone, network: addresses, pending: pending)
    }
}
