import Foundation

/// What waits for threads that may block, up to a bound. Many may offer, many may take.
///
/// `@unchecked`: all state is guarded by `condition`.
final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
    enum Answer { case accepted, full, closed }

    private let condition = NSCondition()
    private let bound: Int
    private var elements: [Element] = []
    private var isClosed = false

    init(bound: Int) { self.bound = bound }

    var count: Int {
        condition.lock()
        defer { condition.unlock() }
        return elements.count
    }

    func offer(_ element: Element) -> Answer {
        condition.lock()
        defer { condition.unlock() }
        if isClosed { return .closed }
        if elements.count >= bound { return .full }
        elements.append(element)
        condition.signal()
        return .accepted
    }

    /// Waits for something to do and takes up to `limit` of it, oldest first. Empty once the queue is closed and drained.
    func take(upTo limit: Int) -> [Element] {
        condition.lock()
        defer { condition.unlock() }
        while elements.isEmpty, !isClosed { condition.wait() }
        let taken = Array(elements.prefix(limit))
        elements.removeFirst(taken.count)
        return taken
    }

    /// Refuses what is offered from now on; what waits is still taken.
    func close() {
        condition.lock()
        defer { condition.unlock() }
        isClosed = true
        condition.broadcast()
    }
}
