import Synchronization

/// The running numbers behind `Database.statistics`.
final class Counters: Sendable {
    private let state = Mutex(StoreStatistics())

    var value: StoreStatistics { state.withLock { $0 } }

    func count(_ change: (inout StoreStatistics) -> Void) { state.withLock { change(&$0) } }
}
