/// How many instances each party has in each domain of a level. The first domains, which for pods are mostly all, have their counts side
/// by side for each party, so that a decision touches one place; the others are in a hash table.
struct PartyCounts: Sendable {
    /// By party and, within that, by domain.
    private var counts = FlatArray<Int32>()
    /// Domains that have a place for each party: a power of two, at most `most`.
    private var width = 1
    private var others = FlatTable()

    private static let most = 64

    /// Bytes held.
    var footprint: Int { counts.footprint + others.footprint }

    /// There is a domain of this number.
    mutating func join(_ domain: Int) {
        guard domain >= width, width < Self.most else { return }
        let old = (counts: counts, width: width)
        while width <= domain, width < Self.most { width *= 2 }
        counts = FlatArray(repeating: 0, count: old.counts.count / old.width * width)
        for place in 0..<old.counts.count { counts[place / old.width * width + place % old.width] = old.counts[place] }
    }

    @inline(__always) func count(_ party: Int32, in domain: Int) -> Int32 {
        guard domain < width else { return max(0, others[Self.key(domain, party)]) }
        let place = Int(party) &* width &+ domain
        return place < counts.count ? counts[place] : 0
    }

    /// Counts one more; returns the new count.
    @inline(__always) mutating func increment(_ party: Int32, in domain: Int) -> Int32 {
        guard domain < width else { return others.increment(Self.key(domain, party)) }
        let place = Int(party) &* width &+ domain
        if place >= counts.count { counts.append(repeating: 0, count: (Int(party) &+ 1) &* width &- counts.count) }
        let count = counts[place] &+ 1
        counts[place] = count
        return count
    }

    /// Counts one less; returns the new count.
    @inline(__always) mutating func decrement(_ party: Int32, in domain: Int) -> Int32 {
        guard domain < width else { return others.decrement(Self.key(domain, party)) }
        let place = Int(party) &* width &+ domain
        let count = counts[place] &- 1
        precondition(count >= 0, "counted below zero")
        counts[place] = count
        return count
    }

    @inline(__always) private static func key(_ domain: Int, _ party: Int32) -> UInt64 {
        UInt64(domain) << 32 | UInt64(UInt32(bitPattern: party))
    }
}
