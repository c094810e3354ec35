/// The instances that live, in a queue for each step of age. All in a step came into it in order of their start and leave it in that
/// order, so only the first of each queue needs to be looked at.
struct LivingByAge: Sendable {
    private struct Entry: Sendable {
        var start: Int64
        var kind: Int32
        /// -1: unused.
        var step: Int32
        var previous: Int32
        var next: Int32
    }

    private var entries: ContiguousArray<Entry> = []
    private var unused: ContiguousArray<Int32> = []
    private var heads: ContiguousArray<Int32>
    private var tails: ContiguousArray<Int32>

    init(steps: Int) {
        heads = ContiguousArray(repeating: -1, count: steps)
        tails = heads
    }

    var footprint: Int { entries.capacity * MemoryLayout<Entry>.stride + unused.capacity * 4 }

    func start(of slot: Int32) -> Int64 { entries[Int(slot)].start }
    func kind(of slot: Int32) -> LifetimeClass { LifetimeClass(number: Int(entries[Int(slot)].kind)) }
    func step(of slot: Int32) -> Int { Int(entries[Int(slot)].step) }

    /// The one that has been in a step for longest.
    func first(in step: Int) -> Int32? { heads[step] < 0 ? nil : heads[step] }

    /// All slots in use, ascending.
    func living() -> [Int32] { entries.indices.filter { entries[$0].step >= 0 }.map(Int32.init) }

    mutating func insert(kind: LifetimeClass, start: Int64) -> Int32 {
        let entry = Entry(start: start, kind: Int32(kind.number), step: 0, previous: -1, next: -1)
        let slot: Int32
        if let again = unused.popLast() {
            slot = again
            entries[Int(slot)] = entry
        } else {
            slot = Int32(entries.count)
            entries.append(entry)
        }
        link(slot, to: 0)
        return slot
    }

    mutating func move(_ slot: Int32, to step: Int) {
        unlink(slot)
        link(slot, to: step)
    }

    mutating func remove(_ slot: Int32) {
        unlink(slot)
        entries[Int(slot)].step = -1
        unused.append(slot)
    }

    private mutating func link(_ slot: Int32, to step: Int) {
        let last = tails[step]
        entries[Int(slot)].step = Int32(step)
        entries[Int(slot)].previous = last
        entries[Int(slot)].next = -1
        if last >= 0 { entries[Int(last)].next = slot } else { heads[step] = slot }
        tails[step] = slot
    }

    private mutating func unlink(_ slot: Int32) {
        let entry = entries[Int(slot)]
        let step = Int(entry.step)
        if entry.previous >= 0 { entries[Int(entry.previous)].next = entry.next } else { heads[step] = entry.next }
        if entry.next >= 0 { entries[Int(entry.next)].previous = entry.previous } else { tails[step] = entry.previous }
    }
}
