import Primitives

/// Identifiers as small numbers: 0, 1, 2, … in order of first use.
struct IDInterner<Kind: IDKind>: Sendable {
    private var numbers = FlatTable()
    private(set) var count: Int32 = 0

    /// Nil: never seen.
    @inline(__always) func find(_ id: ID<Kind>) -> Int32? {
        let known = numbers[id.bits]
        return known < 0 ? nil : known
    }

    mutating func intern(_ id: ID<Kind>) -> Int32 {
        let known = numbers[id.bits]
        if known >= 0 { return known }
        numbers.set(id.bits, count)
        count += 1
        return count - 1
    }
}
