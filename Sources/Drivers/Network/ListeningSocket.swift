import Foundation
import Glibc
package import Primitives
import SystemPackage

/// TCP sockets bound in a network namespace.
package enum ListeningSocket {
    /// A socket bound to the address, not listening yet. Made on a thread of its own: a thread that enters a namespace stays there.
    package static func open(address: String, port: Int, namespace: String?) async throws(Refusal) -> Int32 {
        let result: Result<Int32, Refusal> = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    returning: Result { () throws(Refusal) -> Int32 in
                        if let namespace { try enter(namespace) }
                        return try bind(address, port)
                    })
            }
        }
        return try result.get()
    }

    private static func enter(_ namespace: String) throws(Refusal) {
        let path = "/run/netns/\(namespace)"
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Files.problem("open", path, Errno(rawValue: errno)) }
        defer { close(descriptor) }
        // Glibc's module leaves setns(2) out, which is a GNU extension.
        typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
        let newNetwork: Int32 = 0x4000_0000
        guard let symbol = dlsym(nil, "setns"), unsafeBitCast(symbol, to: SetNamespace.self)(descriptor, newNetwork) == 0 else {
            throw Files.problem("enter", path, Errno(rawValue: errno))
        }
    }

    private static func bind(_ address: String, _ port: Int) throws(Refusal) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Files.problem("open", "a socket", Errno(rawValue: errno)) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = in_port_t(UInt16(truncatingIfNeeded: port).bigEndian)
        name.sin_addr.s_addr = (IPv4Address(address)?.bits ?? 0).bigEndian
        let bound = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, name.sin_addr.s_addr != 0 else {
            let problem = Errno(rawValue: errno)
            close(descriptor)
            throw Files.problem("listen on", "\(address):\(port)", problem)
        }
        return descriptor
    }
}
