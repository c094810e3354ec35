/// Plain values side by side from the start of a cache line on, for what every decision touches: no bounds checks outside of debug
/// builds. A copy is the same memory until one of the two changes.
///
/// Sendable, as memory that more than one holds is never written to.
struct FlatArray<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
    // Freed with the last that holds it.
    private final class Memory {
        let base: UnsafeMutablePointer<Element>
        let capacity: Int

        init(capacity: Int) {
            self.capacity = capacity
            base = UnsafeMutableRawPointer.allocate(byteCount: max(1, capacity) * MemoryLayout<Element>.stride, alignment: 64)
                .bindMemory(to: Element.self, capacity: max(1, capacity))
        }

        deinit { base.deallocate() }
    }

    private var memory: Memory
    /// For reading. Those who write ask `owned`.
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0

    init(capacity: Int = 0) {
        memory = Memory(capacity: capacity)
        base = memory.base
    }

    init(repeating element: Element, count: Int) {
        self.init(capacity: count)
        base.initialize(repeating: element, count: count)
        self.count = count
    }

    /// Bytes held.
    var footprint: Int { memory.capacity * MemoryLayout<Element>.stride }

    subscript(index: Int) -> Element {
        @inline(__always) get {
            assert(index >= 0 && index < count)
            return base[index]
        }
        @inline(__always) _modify {
            assert(index >= 0 && index < count)
            yield &owned[index]
        }
    }

    /// The elements, to be changed: nobody else holds them. Valid until the next copy or append.
    var owned: UnsafeMutablePointer<Element> {
        @inline(__always) mutating get {
            if !isKnownUniquelyReferenced(&memory) { move(to: memory.capacity) }
            return base
        }
    }

    @inline(__always) mutating func append(_ element: Element) {
        if count == memory.capacity { move(to: max(8, count * 2)) }
        owned[count] = element
        count += 1
    }

    @inline(__always) mutating func popLast() -> Element? {
        guard count > 0 else { return nil }
        count -= 1
        return base[count]
    }

    mutating func append(repeating element: Element, count more: Int) {
        if count + more > memory.capacity { move(to: max(count + more, memory.capacity * 2)) }
        (owned + count).initialize(repeating: element, count: more)
        count += more
    }

    /// Forgets all elements but the first ones.
    mutating func truncate(to fewer: Int) { count = min(count, fewer) }

    /// Forgets the elements and keeps the memory.
    @inline(__always) mutating func removeAll() { count = 0 }

    @inline(never) private mutating func move(to capacity: Int) {
        let larger = Memory(capacity: capacity)
        larger.base.initialize(from: base, count: count)
        memory = larger
        base = larger.base
    }
}
