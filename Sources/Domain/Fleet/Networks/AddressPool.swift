public import Primitives

/// Which addresses of one network are taken.
///
/// A bit for each address, as far as the highest that was ever taken at the same time: a large network with few instances is small.
/// What is free next follows from what is taken alone, so that a pool made again from a table decides as the one before.
public struct AddressPool: Sendable {
    public let range: AddressRange
    public private(set) var taken: Int64 = 0
    private var words: ContiguousArray<UInt64> = []

    public init(_ range: AddressRange) { self.range = range }

    public var free: Int64 { range.usable - taken }

    public func isTaken(_ address: UInt32) -> Bool {
        guard range.isUsable(address) else { return false }
        let (word, bit) = Self.place(address - range.base)
        return word < words.count && words[word] & bit != 0
    }

    /// False: it is taken already, or none that an instance may have. Nothing has changed then.
    public mutating func take(_ address: UInt32) -> Bool {
        guard range.isUsable(address), !isTaken(address) else { return false }
        let (word, bit) = Self.place(address - range.base)
        while words.count <= word { words.append(0) }
        words[word] |= bit
        taken += 1
        return true
    }

    /// False: it was not taken.
    public mutating func release(_ address: UInt32) -> Bool {
        guard isTaken(address) else { return false }
        let (word, bit) = Self.place(address - range.base)
        words[word] &= ~bit
        while words.last == 0 { words.removeLast() }
        taken -= 1
        return true
    }

    /// The lowest that is free and not in `others`; nil: there is none.
    public func lowestFree(besides others: Set<UInt32> = []) -> UInt32? { free(from: range.first, besides: others) }

    /// The next one above that is free, else the next one below; nil: there is none.
    public func free(near address: UInt32, besides others: Set<UInt32> = []) -> UInt32? {
        let start = min(max(address, range.first), range.last)
        if let above = free(from: start, besides: others) { return above }
        var candidate = start
        while candidate > range.first {
            candidate -= 1
            if !isTaken(candidate), !others.contains(candidate) { return candidate }
        }
        return nil
    }

    /// 64 addresses at a step.
    private func free(from start: UInt32, besides others: Set<UInt32>) -> UInt32? {
        var offset = start - range.base
        let end = range.last - range.base
        while offset <= end {
            let (word, bit) = Self.place(offset)
            let open = word < words.count ? ~words[word] & ~(bit - 1) : ~(bit - 1)
            guard open != 0 else {
                offset = UInt32(word + 1) << 6
                continue
            }
            offset = UInt32(word) << 6 + UInt32(open.trailingZeroBitCount)
            guard offset <= end else { return nil }
            if !others.contains(range.base + offset) { return range.base + offset }
            offset += 1
        }
        return nil
    }

    private static func place(_ offset: UInt32) -> (word: Int, bit: UInt64) { (Int(offset >> 6), 1 << UInt64(offset & 63)) }
}

extension AddressPool: Equatable {}

extension AddressPool {
    /// The address a new instance gets: the one wished for, or the lowest that is free.
    /// - Parameter others: promised to others that come with it.
    public func choose(_ wanted: UInt32?, besides others: Set<UInt32>, of network: NetworkID) throws(Refusal) -> UInt32 {
        guard let wanted else {
            if let found = lowestFree(besides: others) { return found }
            throw Refusal(
                "network.full", .capacity,
                "Network \(network) has \(range.usable) addresses for instances in \(range.text), and all are taken.",
                facts: ["network": .text(network.description), "addresses": .number(range.usable), "free": .number(0)],
                nearest: "a network of its own with a larger block, or the same once an instance of this one is terminated")
        }
        let nearest = free(near: wanted, besides: others).map(GuestNetwork.text)
        let facts: [String: Refusal.Fact] = [
            "network": .text(network.description), "address": .text(GuestNetwork.text(wanted)), "free": .number(free),
        ]
        guard range.isUsable(wanted) else {
            throw Refusal(
                "network.address", .invalid,
                "\(GuestNetwork.text(wanted)) is none of the addresses that instances of \(range.text) may have, \(GuestNetwork.text(range.first)) to \(GuestNetwork.text(range.last)).",
                facts: facts, nearest: nearest)
        }
        guard !isTaken(wanted), !others.contains(wanted) else {
            throw Refusal(
                "network.address", .conflict, "\(GuestNetwork.text(wanted)) is another instance's in network \(network).", facts: facts,
                nearest: nearest)
        }
        return wanted
    }
}
