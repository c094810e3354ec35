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
        guard let head = AnswerHead(buffer.readableBytesView), buffer.readableBytes >= head.bytes + head.bodyBytes else { return nil }
        buffer.moveReaderIndex(forwardBy: head.bytes)
        return (head.status, Data(buffer.readBytes(length: head.bodyBytes) ?? []))
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

/// What is read of the head of an answer, in one pass over its bytes.
private struct AnswerHead {
    let status: Int
    /// Up to where the body begins.
    let bytes: Int
    let bodyBytes: Int

    /// Nil while it is not whole.
    init?(_ view: ByteBufferView) {
        let answer: (Int, Int, Int)? = view.withUnsafeBytes { bytes in
            var (start, status, length) = (0, 0, 0)
            for index in bytes.indices where bytes[index] == 10 {
                let line = UnsafeRawBufferPointer(rebasing: bytes[start..<index])
                // A line feed, or a carriage return before it, ends the head.
                if line.count <= 1 { return (status, index + 1, length) }
                if start == 0 { status = Self.number(line, from: 9) } else if Self.isLength(line) { length = Self.number(line, from: 15) }
                start = index + 1
            }
            return nil
        }
        guard let answer else { return nil }
        (status, bytes, bodyBytes) = answer
    }

    private static let name = Array("content-length:".utf8)

    private static func isLength(_ line: UnsafeRawBufferPointer) -> Bool {
        line.count > name.count && zip(line, name).allSatisfy { $0 | 0x20 == $1 }
    }

    /// The digits from there on, after spaces.
    private static func number(_ line: UnsafeRawBufferPointer, from start: Int) -> Int {
        var number = 0
        for byte in line.dropFirst(start).drop(while: { $0 == 32 }) {
            guard (48...57).contains(byte), number < 1 << 40 else { break }
            number = number * 10 + Int(byte) - 48
        }
        return number
    }
}
