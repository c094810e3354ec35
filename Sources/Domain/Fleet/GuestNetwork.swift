/// The IPv4 network of one host's guests, e.g. `10.77.0.1/16`: the address is the gateway's.
public struct GuestNetwork: Hashable, Sendable {
    public let gateway: UInt32
    public let prefix: Int

    /// Nil unless `text` is an IPv4 address and a prefix length of 8 to 29.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let prefix = Int(parts[1]), (8...29).contains(prefix) else { return nil }
        let octets = parts[0].split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt32($0) }
        guard octets.count == 4, octets.allSatisfy({ $0 < 256 }) else { return nil }
        gateway = octets.reduce(0) { $0 << 8 | $1 }
        self.prefix = prefix
    }

    /// The lowest address not in use, starting at the tenth; nil when the network is full.
    public func firstFree(excluding used: Set<UInt32>) -> UInt32? {
        let size = UInt32(1) << UInt32(32 - prefix)
        let base = gateway & ~(size - 1)
        for offset in stride(from: min(10, size - 2), to: size - 1, by: 1) {
            let address = base + offset
            if address != gateway, !used.contains(address) { return address }
        }
        return nil
    }

    /// Whether a guest may have this address here.
    public func contains(_ address: UInt32) -> Bool {
        let size = UInt32(1) << UInt32(32 - prefix)
        let base = gateway & ~(size - 1)
        return address > base && address < base + (size - 1) && address != gateway
    }

    /// E.g. `10.77.0.0/16`.
    public var text: String { Self.text(gateway & ~((UInt32(1) << UInt32(32 - prefix)) - 1)) + "/\(prefix)" }

    public static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { String((address >> $0) & 255) }.joined(separator: ".")
    }

    public static func address(_ text: String) -> UInt32? { GuestNetwork(text + "/24")?.gateway }

    /// A locally administered unicast MAC address of 40 bits. Of random ones: who chooses an instance's identifier does not choose its
    /// address on a network that it shares with others.
    public static func macAddress(_ bits: UInt64) -> String {
        let octets = [0x02] + (0..<5).map { UInt8(truncatingIfNeeded: bits >> UInt64($0 * 8)) }
        return octets.map { octet in
            let text = String(octet, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined(separator: ":")
    }
}
