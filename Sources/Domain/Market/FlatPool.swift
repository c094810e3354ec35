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
        base = Self.memory(max(4, capacity))
    }

    /// A copy with memory of its own.
    init(copying other: FlatPool) {
        capacity = other.capacity
        used = other.used
        base = Self.memory(Int(capacity))
        base.initialize(from: other.base, count: count)
    }

    func free() { base.deallocate() }

    mutating func append(_ element: Element) {
        if used == capacity { grow(to: count + 1) }
        base[count] = element
        used += 1
    }

    /// Moves what is at `position` and behind it; what is to be there instead is for the caller to write.
    mutating func makeRoom(for more: Int, at position: Int) {
        if count + more > Int(capacity) { grow(to: count + more) }
        (base + position + more).update(from: base + position, count: count - position)
        used += Int32(truncatingIfNeeded: more)
    }

    mutating func removeLast(_ fewer: Int = 1) { used -= Int32(truncatingIfNeeded: fewer) }

    private mutating func grow(to needed: Int) {
        repeat { capacity *= 2 } while Int(capacity) < needed
        let larger = Self.memory(Int(capacity))
        larger.initialize(from: base, count: count)
        base.deallocate()
        base = larger
    }

    /// At the start of a cache line, so that an element that divides one lies in one.
    private static func memory(_ capacity: Int) -> UnsafeMutablePointer<Element> {
        UnsafeMutableRawPointer.allocate(byteCount: capacity * MemoryLayout<Element>.stride, alignment: 64).bindMemory(
            to: Element.self, capacity: capacity)
    }
}
