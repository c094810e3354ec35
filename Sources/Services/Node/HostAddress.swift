import Glibc

/// The address of this host that others on the way to a peer see.
enum HostAddress {
    /// - Parameter peer: `host:port`; only a numeric IPv4 address is looked at.
    static func towards(_ peer: String) -> String? {
        guard let colon = peer.lastIndex(of: ":") else { return nil }
        var there = sockaddr_in()
        there.sin_family = sa_family_t(AF_INET)
        there.sin_port = UInt16(9).bigEndian
        guard inet_pton(AF_INET, String(peer[..<colon]), &there.sin_addr) == 1 else { return nil }
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Nothing is sent: the kernel only looks for the way.
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let connected = withUnsafePointer(to: &there) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) }
        }
        var here = sockaddr_in()
        var size = length
        let named = withUnsafeMutablePointer(to: &here) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
        guard connected == 0, named == 0, inet_ntop(AF_INET, &here.sin_addr, &text, socklen_t(text.count)) != nil else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
