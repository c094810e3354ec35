public import Foundation
import NIOCore
import NIOPosix
public import NIOSSL

/// One HTTP/1.1 connection with TLS, for one request at a time: for callers that hold thousands of connections, or that measure a
/// server and not its client. Requests go out as bytes made before; of an answer only status and body are read.
public final class PeerConnection: Sendable {
    private let channel: any Channel

    private init(_ channel: any Channel) { self.channel = channel }

    /// - Parameter serverName: the name the server's certificate is checked against.
    public static func open(host: String, port: Int, serverName: String, context: NIOSSLContext) async throws -> PeerConnection {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(10))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: serverName))
                    try channel.pipeline.syncOperations.addHandler(AnswerReader())
                }
            }
            .connect(host: host, port: port).get()
        return PeerConnection(channel)
    }

    /// The bytes of a request. `path` is used as it is.
    public static func request(_ method: String, _ path: String, host: String, body: Data = Data(), idempotencyKey: String? = nil)
        -> [UInt8]
    {
        var lines = ["\(method) \(path) HTTP/1.1", "host: \(host)", "accept: application/json"]
        if method != "GET" { lines += ["content-type: application/json", "content-length: \(body.count)"] }
        if let idempotencyKey { lines.append("idempotency-key: \(idempotencyKey)") }
        return Array((lines + ["", ""]).joined(separator: "\r\n").utf8) + Array(body)
    }

    /// Sends a request and waits for the whole answer.
    public func send(_ request: [UInt8]) async throws -> (status: Int, body: Data) {
        let answer = channel.eventLoop.makePromise(of: (status: Int, body: Data).self)
        channel.writeAndFlush(Asked(bytes: ByteBuffer(bytes: request), answer: answer), promise: nil)
        return try await answer.futureResult.get()
    }

    public func close() { channel.close(promise: nil) }
}

/// A request on its way, with who waits for the answer.
private struct Asked: Sendable {
    let bytes: ByteBuffer
    let answer: EventLoopPromise<(status: Int, body: Data)>
}

/// Writes requests and cuts answers out of the bytes that come in.
private final class AnswerReader: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Asked
    typealias OutboundOut = ByteBuffer

    private var buffer = ByteBuffer()
    private var waiting: EventLoopPromise<(status: Int, body: Data)>?
    private var isClosed = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let asked = unwrapOutboundIn(data)
        guard !isClosed, waiting == nil else { return asked.answer.fail(ClientError.unreachable("the connection is closed or in use")) }
        waiting = asked.answer
        context.write(wrapOutboundOut(asked.bytes), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        buffer.writeBuffer(&bytes)
        guard let answer = takeAnswer() else { return }
        buffer.discardReadBytes()
        waiting?.succeed(answer)
        waiting = nil
    }

    private func takeAnswer() -> (status: Int, body: Data)? {
        let view = buffer.readableBytesView
        guard let end = view.firstRange(of: [13, 10, 13, 10]) else { return nil }
        let head = String(decoding: view[..<end.lowerBound], as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        let length = lines.first { $0.lowercased().hasPrefix("content-length:") }.flatMap { Int($0.dropFirst(15).drop { $0 == " " }) } ?? 0
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count > 1, let status = Int(words[1]), view.endIndex - end.upperBound >= length else { return nil }
        buffer.moveReaderIndex(forwardBy: end.upperBound - view.startIndex)
        return (status, Data(buffer.readBytes(length: length) ?? []))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ClientError.unreachable("the other side closed the connection"))
        context.fireChannelInactive()
    }

    private func fail(_ error: any Error) {
        isClosed = true
        waiting?.fail(error)
        waiting = nil
    }
}
