/// The orders that rest, by their slot in the books. In parts of one size: one more order never has all the others moved, which
/// everybody would wait for.
struct OrderTable: Sendable {
    private static let partBits = 10
    private var parts: ContiguousArray<ContiguousArray<Order?>> = []

    /// Every slot there is room for.
    var slots: Range<Int> { 0..<(parts.count << Self.partBits) }

    /// A slot there is room for.
    subscript(slot: OrderBooks.Slot) -> Order? {
        get { parts[Int(slot) >> Self.partBits][Int(slot) & (1 << Self.partBits - 1)] }
        set { parts[Int(slot) >> Self.partBits][Int(slot) & (1 << Self.partBits - 1)] = newValue }
    }

    mutating func makeRoom(for slot: OrderBooks.Slot) {
        while slots.upperBound <= Int(slot) { parts.append(ContiguousArray(repeating: nil, count: 1 << Self.partBits)) }
    }

    /// The slots of the orders that satisfy a condition, in ascending order.
    func slots(where isMeant: (Order) -> Bool) -> [OrderBooks.Slot] {
        slots.lazy.map { OrderBooks.Slot($0) }.filter { self[$0].map(isMeant) ?? false }
    }
}
