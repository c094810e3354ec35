/// Values side by side in memory of their own, grown by doubling, without reference counts or bounds checks: for `BookState`,
/// which alone frees it.
struct FlatPool<Element: BitwiseCopyable>: BitwiseCopyable {
    private(set) var base: UnsafeMutablePointer<Element>
    /// Half words, so that what a ladder needs fits half a cache line.
    private var used: Int32 = 0
    private var capacity: Int32

    var count: Int { Int(used) }

    init(capacity: Int) {
        self.capacity = Int32(max(4, capacity))
        base = .allocate(capacity: max(4, capacity))
    }

    /// A copy with memory of its own.
    init(copying other: FlatPool) {
        capacity = other.capacity
        used = other.used
        base = .allocate(capacity: Int(capacity))
        base.initialize(from: other.base, count: count)
    }

    func free() { base.deallocate() }

    mutating func append(_ element: Element) { insert(element, at: count) }

    mutating func insert(_ element: Element, at position: Int) {
        if used == capacity { grow() }
        (base + position + 1).update(from: base + position, count: count - position)
        base[position] = element
        used += 1
    }

    mutating func remove(at position: Int) {
        used -= 1
        (base + position).update(from: base + position + 1, count: count - position)
    }

    private mutating func grow() {
        capacity *= 2
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: Int(capacity))
        larger.initialize(from: base, count: count)
        base.deallocate()
        base = larger
    }
}
