/// A digest of a set that does not depend on the order in which its elements came, and from which they can be taken out again: how
/// many there are, and the wrapping sum of a 64-bit mix of each. Two sides that keep one each find out by 16 bytes whether they hold
/// the same. It finds loss and error, not malice.
public struct SetDigest: Hashable, Sendable {
    public private(set) var count: Int64 = 0
    public private(set) var sum: UInt64 = 0

    public init() {}

    public mutating func insert(_ words: UInt64...) {
        count += 1
        sum &+= Self.mix(words)
    }

    public mutating func remove(_ words: UInt64...) {
        count -= 1
        sum &-= Self.mix(words)
    }

    /// The sum in 16 hexadecimal digits.
    public var text: String {
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), word after word.
    private static func mix(_ words: [UInt64]) -> UInt64 {
        words.reduce(0x9E37_79B9_7F4A_7C15) { hash, word in
            var z = (hash ^ word) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 30)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
