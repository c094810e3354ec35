/// Names as small numbers: 0, 1, 2, … in order of first use.
struct Interner<Key: Hashable & Sendable>: Sendable {
    private var numbers: [Key: Int32] = [:]
    private(set) var keys: ContiguousArray<Key> = []

    /// So few are looked through sooner than hashed.
    private static var few: Int { 4 }

    var count: Int { keys.count }

    subscript(number: Int32) -> Key { keys[Int(number)] }

    /// Nil: never seen.
    func find(_ key: Key) -> Int32? {
        guard keys.count <= Self.few else { return numbers[key] }
        return keys.firstIndex(of: key).map { Int32($0) }
    }

    mutating func intern(_ key: Key) -> Int32 {
        if let known = find(key) { return known }
        let number = Int32(keys.count)
        numbers[key] = number
        keys.append(key)
        return number
    }
}
