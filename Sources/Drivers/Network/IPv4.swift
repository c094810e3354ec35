package import Primitives

/// An IPv4 address; text is dotted decimal.
public struct IPv4Address: Sendable, Hashable, Comparable, LosslessStringConvertible, Codable {
    public var bits: UInt32

    public init(bits: UInt32) { self.bits = bits }

    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt8(part),
                part.utf8.count == 1 || part.utf8.first != 48
            else { return nil }
            bits = bits << 8 | UInt32(number)
        }
        self.bits = bits
    }

    public var description: String { "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)" }

    public static func < (a: Self, b: Self) -> Bool { a.bits < b.bits }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let address = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not an IPv4 address such as 10.77.0.12")
        }
        self = address
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// An address with the length of its network's prefix, e.g. `10.77.0.1/16`.
public struct IPv4Prefix: Sendable, Hashable, LosslessStringConvertible {
    public var address: IPv4Address
    public var length: Int

    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(String(parts[0])), let length = Int(parts[1]), (8...30).contains(length) else {
            return nil
        }
        self.address = address
        self.length = length
    }

    init(address: IPv4Address, length: Int) {
        precondition((8...30).contains(length), "a prefix of machines has 8 to 30 bits")
        self.address = address
        self.length = length
    }

    public var description: String { "\(address)/\(length)" }
    public var mask: IPv4Address { IPv4Address(bits: ~0 << UInt32(32 - length)) }
    public var network: IPv4Address { IPv4Address(bits: address.bits & mask.bits) }
    public var broadcast: IPv4Address { IPv4Address(bits: address.bits | ~mask.bits) }

    /// True for addresses a machine can have: in the network, not its first or last, not `address` itself.
    public func canAssign(_ other: IPv4Address) -> Bool {
        other.bits & mask.bits == network.bits && other != network && other != broadcast && other != address
    }

    /// One of the two has the other in it.
    func overlaps(_ other: IPv4Prefix) -> Bool {
        let mask: UInt32 = ~0 << UInt32(32 - min(length, other.length))
        return address.bits & mask == other.address.bits & mask
    }
}

extension IPv4Prefix: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let prefix = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not a network such as 10.1.0.0/24")
        }
        self = prefix
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension NetworkPort {
    /// These texts become part of scripts for other programs: whatever does not look right is refused.
    func validate(in network: IPv4Prefix) throws(Refusal) {
        guard network.canAssign(address) else {
            throw Refusal(
                "network.address", .invalid, "\(address) cannot be given to a machine in \(network)",
                facts: ["address": .text("\(address)"), "network": .text("\(network)")])
        }
        let pairs = macAddress.split(separator: ":", omittingEmptySubsequences: false)
        let digits = pairs.allSatisfy { $0.utf8.count == 2 && $0.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) } }
        guard pairs.count == 6, digits, let first = UInt8(pairs[0], radix: 16), first & 1 == 0 else {
            throw Refusal("network.mac", .invalid, "'\(macAddress.prefix(40))' is not a unicast MAC address", nearest: "02:00:00:00:00:01")
        }
        guard macAddress != Device.gatewayMAC(network.address) else {
            throw Refusal("network.mac", .invalid, "'\(macAddress)' is the gateway's MAC address", nearest: "02:00:00:00:00:01")
        }
        let name = hostName.utf8
        let letters = name.allSatisfy { (48...57).contains($0) || (97...122).contains($0) || (65...90).contains($0) || $0 == 45 }
        guard (1...63).contains(name.count), letters, name.first != 45, name.last != 45 else {
            throw Refusal(
                "network.hostname", .invalid, "'\(hostName.prefix(80))' is not a host name of letters, digits and dashes",
                nearest: "ip-10-77-0-12")
        }
        try validateOwner()
    }

    private func validateOwner() throws(Refusal) {
        guard let owner else { return }
        let digits = owner.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        guard owner.utf8.count == 16, digits, owner.utf8.contains(where: { $0 != 48 }) else {
            throw Refusal(
                "network.owner", .invalid, "'\(owner.prefix(40))' does not name an owner", nearest: "16 hexadecimal digits, not all zero")
        }
    }

    package var deviceName: String { Self.deviceName(instance) }

    package static func deviceName(_ instance: InstanceID) -> String { Device.name("t", instance.bits) }
}

enum Device {
    /// Device names hold 15 characters: a letter and the 64 bits of what it is for in base 32.
    static func name(_ letter: Character, _ bits: UInt64) -> String {
        let digits = String(bits, radix: 32)
        return "\(letter)" + String(repeating: "0", count: 13 - digits.utf8.count) + digits
    }

    /// A gateway has the same on every host.
    static func gatewayMAC(_ gateway: IPv4Address) -> String {
        let bits = gateway.bits
        let bytes: [UInt32] = [0x02, 0xb0, bits >> 24 & 255, bits >> 16 & 255, bits >> 8 & 255, bits & 255]
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
