/// A 64-bit digest of state that is the same in every run and on every machine, to compare two states cheaply.
///
/// Each word goes through the finalizer of SplitMix64 (see `SeededGenerator`). Not for security: it is easy to make collisions on purpose.
public struct StateHash: Hashable, Sendable {
    public private(set) var value: UInt64 = 0x6A09_E667_F3BC_C908

    public init() {}

    public mutating func combine(_ word: UInt64) {
        var z = (value ^ word) &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        value = z ^ (z >> 31)
    }

    public mutating func combine(_ number: Int64) { combine(UInt64(bitPattern: number)) }
    public mutating func combine(_ flag: Bool) { combine(flag ? 1 : 0 as UInt64) }
    public mutating func combine(_ text: String) {
        combine(UInt64(text.utf8.count))
        for byte in text.utf8 { combine(UInt64(byte)) }
    }

    /// Feeds each item, after their number, so that neighbouring lists cannot trade items unnoticed.
    public mutating func combine<Items: Collection>(_ items: Items, _ feed: (inout StateHash, Items.Element) -> Void) {
        combine(UInt64(items.count))
        for item in items { feed(&self, item) }
    }

    public mutating func combine<Value>(_ value: Value?, _ feed: (inout StateHash, Value) -> Void) {
        combine(value != nil)
        if let value { feed(&self, value) }
    }
}
