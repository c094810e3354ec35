public import Primitives

/// The addresses of one tenant's network: a block of private IPv4 addresses.
///
/// As in EC2, the first four and the last one are nobody's: the network itself, the gateway, two for later use, and the broadcast address.
public struct AddressRange: Hashable, Sendable {
    public let base: UInt32
    /// 16 to 28.
    public let prefix: Int

    public static let prefixes = 16...28
    /// RFC 1918, and the shared addresses of RFC 6598.
    public static let privateBlocks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
    private static let reservedAtStart: UInt32 = 4
    private static let reservedAtEnd: UInt32 = 1

    /// Refuses what is no block of private addresses between /16 and /28.
    public init(_ text: String) throws(Refusal) {
        guard let (address, prefix) = Self.parse(text) else {
            throw Self.refusal("'\(text)' is not a block of IPv4 addresses.", text, nearest: "10.1.0.0/24")
        }
        guard Self.prefixes.contains(prefix) else {
            let allowed = min(max(prefix, Self.prefixes.lowerBound), Self.prefixes.upperBound)
            throw Self.refusal(
                "A network has a prefix of 16 to 28 bits, not \(prefix).", text,
                nearest: GuestNetwork.text(address & Self.mask(allowed)) + "/\(allowed)")
        }
        let base = address & Self.mask(prefix)
        let isPrivate = Self.privateBlocks.contains { block in
            guard let (start, bits) = Self.parse(block) else { return false }
            return base & Self.mask(bits) == start
        }
        guard isPrivate else {
            throw Self.refusal(
                "\(text) is not private; a network lies in \(Self.privateBlocks.joined(separator: ", ")).", text,
                nearest: "10.1.0.0/\(prefix)")
        }
        guard base == address else {
            throw Self.refusal(
                "\(text) does not begin where a block of \(1 << (32 - prefix)) addresses begins.", text,
                nearest: GuestNetwork.text(base) + "/\(prefix)")
        }
        (self.base, self.prefix) = (base, prefix)
    }

    private static func parse(_ text: String) -> (UInt32, Int)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = GuestNetwork.address(String(parts[0])), let prefix = Int(parts[1]),
            (0...32).contains(prefix), parts[1] == "\(prefix)"
        else { return nil }
        return (address, prefix)
    }

    private static func mask(_ prefix: Int) -> UInt32 { prefix == 0 ? 0 : ~UInt32(0) << UInt32(32 - prefix) }

    private static func refusal(_ message: String, _ text: String, nearest: String) -> Refusal {
        Refusal("network.cidr", .invalid, message, facts: ["cidr": .text(text)], nearest: nearest)
    }

    /// Addresses with the reserved ones.
    public var size: UInt32 { 1 << UInt32(32 - prefix) }
    /// Addresses that instances may have.
    public var usable: Int64 { Int64(size - Self.reservedAtStart - Self.reservedAtEnd) }
    /// Router, name server and metadata service on every host.
    public var gateway: UInt32 { base + 1 }
    public var first: UInt32 { base + Self.reservedAtStart }
    public var last: UInt32 { base + (size - 1 - Self.reservedAtEnd) }
    public var text: String { GuestNetwork.text(base) + "/\(prefix)" }

    /// Whether an instance may have this address.
    public func isUsable(_ address: UInt32) -> Bool { address >= first && address <= last }
}
