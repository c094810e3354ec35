import NIOCore
import Store
import Synchronization

/// What waits to be sent to one reader of a stream. Bounded: who reads too slowly is dropped.
final class StreamReader: Sendable {
    private struct State {
        var pending: [ByteBuffer] = []
        /// Of the changes that wait. A snapshot is as large as the book, so it does not count.
        var bytes = 0
        var pushes: Int64 = 0
        var isEnded = false
        var isDropped = false
    }

    private let limit: Int
    private let state = Mutex(State())
    private let arrivals = ChangeSignal()
    private let drop = ChangeSignal()

    init(limit: Int) { self.limit = limit }

    /// False when the reader has to be forgotten: it reads too slowly, or has ended.
    func push(_ event: ByteBuffer, counts: Bool = true) -> Bool {
        let (pushes, isOver) = state.withLock { state -> (Int64, Bool) in
            guard !state.isEnded else { return (state.pushes, false) }
            state.pending.append(event)
            state.pushes += 1
            if counts { state.bytes += event.readableBytes }
            return (state.pushes, state.bytes > limit)
        }
        arrivals.advance(to: pushes)
        if isOver { end(dropping: true) }
        return !isOver && !state.withLock { $0.isEnded }
    }

    /// Nothing more comes. What waits is still sent, unless the reader is dropped.
    func end(dropping: Bool = false) {
        let pushes = state.withLock { state -> Int64 in
            guard !state.isEnded else { return state.pushes }
            (state.isEnded, state.isDropped) = (true, dropping)
            if dropping { state.pending = [] }
            state.pushes += 1
            return state.pushes
        }
        arrivals.advance(to: pushes)
        drop.advance(to: 1)
    }

    var isDropped: Bool { state.withLock { $0.isDropped } }

    /// What waits, at once or as soon as something does; empty when nothing came within the time, nil when nothing comes any more.
    func next(within limit: Duration) async -> [ByteBuffer]? {
        if let found = take() { return found }
        let seen = state.withLock { $0.pushes }
        // Something may have come between the two looks.
        if let found = take() { return found }
        await arrivals.wait(after: seen, timeout: limit)
        return take() ?? (isOver ? nil : [])
    }

    /// Waits until the reader is dropped or ended.
    func untilEnd() async {
        while !Task.isCancelled, !state.withLock({ $0.isEnded }) { await drop.wait(after: 0, timeout: .seconds(3_600)) }
    }

    private var isOver: Bool { state.withLock { $0.isEnded && $0.pending.isEmpty } }

    private func take() -> [ByteBuffer]? {
        state.withLock { state in
            guard !state.pending.isEmpty else { return nil }
            defer { (state.pending, state.bytes) = ([], 0) }
            return state.pending
        }
    }
}
