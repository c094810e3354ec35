import Foundation

/// One HTTP/1.1 connection to a server on this machine, on a blocking socket, for a benchmark that measures the server and not its
/// client. Requests go out as bytes made before; of an answer only the status and the length are read.
///
/// `@unchecked`: used by one thread at a time.
final class PlainClient: @unchecked Sendable {
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard descriptor >= 0, status == 0 else { throw BenchError(text: "no connection to port \(port): errno \(errno)") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    static func request(_ method: String, _ path: String, token: String, body: Data) -> [UInt8] {
        let head = [
            "\(method) \(path) HTTP/1.1", "host: 127.0.0.1", "authorization: Bearer \(token)", "content-type: application/json",
            "content-length: \(body.count)", "", "",
        ].joined(separator: "\r\n")
        return Array(head.utf8) + Array(body)
    }

    /// Sends a request and waits for the whole answer. Returns its status.
    func send(_ request: [UInt8]) throws -> Int {
        guard write(descriptor, request, request.count) == request.count else { throw BenchError(text: "cannot send: errno \(errno)") }
        var count = 0
        while true {
            let got = buffer.withUnsafeMutableBytes { bytes in
                bytes.baseAddress.map { read(descriptor, $0 + count, bytes.count - count) } ?? 0
            }
            guard got > 0 else { throw BenchError(text: "the server has closed the connection") }
            count += got
            if let answer = Self.whole(buffer[0..<count]) { return answer }
        }
    }

    /// The status, once head and body are there.
    private static func whole(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard let end = bytes.indices.dropLast(3).first(where: { bytes[$0] == 13 && bytes[$0 + 2] == 13 }) else { return nil }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let length = lines.first { $0.lowercased().hasPrefix("content-length:") }.flatMap { Int($0.dropFirst(15).drop { $0 == " " }) }
        guard let length, bytes.count >= end + 4 + length else { return nil }
        return lines.first.flatMap { Int($0.split(separator: " ")[1]) }
    }
}
