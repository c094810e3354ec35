import Primitives
import Synchronization

/// Counts streams, by caller and in all.
final class StreamSeats: Sendable {
    private let limits: StreamLimits
    private let taken = Mutex<[String: Int]>([:])

    init(limits: StreamLimits) { self.limits = limits }

    /// A seat for as long as its value is kept. Refused when the caller, or everybody together, has as many as are allowed.
    func take(for caller: String) throws(Refusal) -> StreamSeat {
        let (own, all) = taken.withLock { taken in
            let found = (own: taken[caller] ?? 0, all: taken.values.reduce(0, +))
            if found.own < limits.perCaller, found.all < limits.inAll { taken[caller, default: 0] += 1 }
            return found
        }
        guard own < limits.perCaller else { throw Self.refusal(own, limits.perCaller, "of one caller") }
        guard all < limits.inAll else { throw Self.refusal(all, limits.inAll, "in all") }
        return StreamSeat(self, caller)
    }

    fileprivate func giveBack(_ caller: String) {
        taken.withLock { taken in
            let left = (taken[caller] ?? 1) - 1
            taken[caller] = left == 0 ? nil : left
        }
    }

    private static func refusal(_ open: Int, _ limit: Int, _ whose: String) -> Refusal {
        Refusal(
            "stream.too-many", .throttled, "\(open) streams \(whose) are open; \(limit) may be.",
            facts: ["open": .number(Int64(open)), "largest": .number(Int64(limit))], nearest: "one stream fewer")
    }
}

/// A place among the streams, free again when this is gone.
final class StreamSeat: Sendable {
    private let seats: StreamSeats
    private let caller: String

    fileprivate init(_ seats: StreamSeats, _ caller: String) {
        self.seats = seats
        self.caller = caller
    }

    deinit { seats.giveBack(caller) }
}
