// Host names and addresses in certificates, in the one form in which they are compared.
import SwiftASN1
import X509

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A host name in lower case or an IP address in its shortest form.
///
/// An IPv4 address that is written as an IPv6 one is the IPv4 address.
public struct HostName: Hashable, Sendable, CustomStringConvertible {
    public let description: String
    /// Whether every machine calls itself so: loopback and unspecified addresses, and `localhost`.
    public let isEverybodys: Bool

    /// Nil for what is no name to certify.
    public init?(_ text: String) {
        switch AlternativeName.address(text) ?? AlternativeName.hostName(text.lowercased()) {
        case .dnsName(let name):
            description = name
            isEverybodys = name == "localhost" || name.hasSuffix(".localhost")
        case .ipAddress(let address):
            let octets = Self.shortest(Array(address.bytes))
            description = Self.text(octets)
            isEverybodys = Self.isEverybodys(octets)
        default: return nil
        }
    }

    private static func shortest(_ octets: [UInt8]) -> [UInt8] {
        let isMapped = octets.count == 16 && octets[..<10].allSatisfy { $0 == 0 } && octets[10] == 0xff && octets[11] == 0xff
        return isMapped ? Array(octets[12...]) : octets
    }

    private static func isEverybodys(_ octets: [UInt8]) -> Bool {
        let isLoopback = octets.count == 4 ? octets[0] == 127 : octets.dropLast().allSatisfy { $0 == 0 } && octets.last == 1
        return isLoopback || octets.allSatisfy { $0 == 0 }
    }

    private static func text(_ octets: [UInt8]) -> String {
        if octets.count == 4 { return octets.map(String.init).joined(separator: ".") }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, octets, &buffer, socklen_t(buffer.count)) != nil else { preconditionFailure("16 octets are an address") }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
