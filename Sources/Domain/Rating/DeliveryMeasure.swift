public import Primitives

/// What was delivered of a contract in one stretch, as meter readings prove it: a machine that should have run is taken to have run
/// where a reading covers it, and not to have run where none does.
public struct DeliveryMeasure: Hashable, Sendable {
    /// A machine that ran, by a reading.
    public struct Run: Hashable, Sendable {
        public var instance: InstanceID
        public var period: Period
        public var lots: Int64

        public init(instance: InstanceID, period: Period, lots: Int64) {
            self.instance = instance
            self.period = period
            self.lots = lots
        }
    }

    /// A machine that should have run: from when it was first seen to run until it was told to stop, or until now.
    public struct Expected: Hashable, Sendable {
        public var instance: InstanceID
        public var period: Period
        public var lots: Int64
        /// Whoever reads its meter has been heard of since, so that readings are on their way.
        public var isHeard: Bool

        public init(instance: InstanceID, period: Period, lots: Int64, isHeard: Bool) {
            self.instance = instance
            self.period = period
            self.lots = lots
            self.isHeard = isHeard
        }
    }

    /// Shorter interruptions are those of a reboot.
    public static let shortestInterruption = Span.seconds(5)

    /// All in lot-microseconds: demanded = delivered + interrupted + silent.
    public private(set) var delivered: Int64 = 0
    /// Between two readings.
    public private(set) var interrupted: Int64 = 0
    /// After the last reading.
    public private(set) var silent: Int64 = 0
    /// No reading is on its way any more.
    public private(set) var isComplete = true

    public var demanded: Int64 { delivered + interrupted + silent }

    /// - Parameter lots: of the contract: no more than these can be missing or delivered.
    /// - Parameter lag: how far readings of a running machine are behind at most.
    public init(of stretch: Period, lots: Int64, runs: [Run], expected: [Expected], lag: Span) {
        let runs = Dictionary(grouping: runs, by: \.instance)
        for one in expected {
            guard let period = one.period.intersection(stretch), period.length > .zero else { continue }
            add(one, period, (runs[one.instance] ?? []).compactMap { $0.period.intersection(period) }, lag)
        }
        let contracted = lots * stretch.length.microseconds
        interrupted = min(interrupted, contracted)
        silent = min(silent, contracted - interrupted)
        delivered = min(delivered, contracted - interrupted - silent)
    }

    private mutating func add(_ one: Expected, _ period: Period, _ covered: [Period], _ lag: Span) {
        var reached = period.start
        var missing = Span.zero
        for piece in covered.sorted(by: { $0.start < $1.start }) where piece.end > reached {
            let hole = piece.start - reached
            if hole >= Self.shortestInterruption { missing = missing + hole }
            reached = piece.end
        }
        var tail = period.end - reached
        if tail > .zero {
            isComplete = false
            if one.isHeard, tail <= lag { tail = .zero }
        }
        interrupted += one.lots * missing.microseconds
        silent += one.lots * tail.microseconds
        delivered += one.lots * (period.length - missing - tail).microseconds
    }
}
