import Foundation
import Glibc

/// Unix stream sockets by path, however long the path is.
enum UnixSocket {
    enum Connection {
        case success(Int32)
        case failure(Int32)
    }

    /// O_PATH of open(2) on Linux, which Glibc's module leaves out.
    private static let pathOnly: Int32 = 0o10000000

    /// A non-blocking connection attempt. A socket address holds 107 bytes of path, so the socket is reached through its directory.
    static func connect(_ path: String) -> Connection {
        let cut = path.lastIndex(of: "/") ?? path.startIndex
        let directory = open(String(path[..<cut]), pathOnly | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return .failure(errno) }
        defer { close(directory) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return .failure(errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array("/proc/self/fd/\(directory)\(path[cut...])".utf8.prefix(107))
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let number = errno
            close(descriptor)
            return .failure(number)
        }
        return .success(descriptor)
    }

    /// The process that called listen on the other end; 0 when the kernel does not say.
    static func peer(_ descriptor: Int32) -> Int32 {
        // struct ucred of socket(7): pid, uid, gid, 32 bits each.
        var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return 0 }
        return credentials.0
    }

    /// Messages are small against the socket's buffer: one that does not fit means that the other side has stopped reading.
    static func send(_ descriptor: Int32, _ bytes: Data) -> Bool {
        bytes.withUnsafeBytes { buffer in
            Glibc.send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) == buffer.count
        }
    }
}
