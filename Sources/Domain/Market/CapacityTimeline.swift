import Primitives

/// How many lots forwards take up at each moment: a step function, kept as the changes at its steps.
///
/// There are as many steps as distinct starts and ends of what is on offer and sold, so at most twice the number of listed periods and
/// those in delivery: about 200.
struct CapacityTimeline: Hashable, Sendable {
    struct Step: Hashable, Sendable {
        var at: Instant
        var change: Int64
    }

    /// By time; none is zero.
    private(set) var steps: [Step] = []
    /// The most lots at any moment.
    private(set) var peak: Int64 = 0

    /// Lots below zero give back.
    mutating func add(_ lots: Int64, during period: Period) {
        change(at: period.start, by: lots)
        change(at: period.end, by: -lots)
        var used: Int64 = 0
        peak = 0
        for step in steps {
            used += step.change
            precondition(used >= 0, "nothing is given back twice")
            peak = max(peak, used)
        }
        precondition(used == 0, "what begins ends")
    }

    private mutating func change(at moment: Instant, by lots: Int64) {
        let place = steps.firstIndex { $0.at >= moment } ?? steps.count
        if place < steps.count, steps[place].at == moment {
            steps[place].change += lots
            if steps[place].change == 0 { steps.remove(at: place) }
        } else if lots != 0 {
            steps.insert(Step(at: moment, change: lots), at: place)
        }
    }

    /// The stretch of a period in which the most is taken up (the first of such), and how much that is.
    func busiest(in period: Period) -> (lots: Int64, stretch: Period) {
        var busiest = (lots: Int64(0), stretch: period)
        forEachStretch { lots, stretch in
            guard let shared = stretch.intersection(period), lots > busiest.lots else { return }
            busiest = (lots, shared)
        }
        return busiest
    }

    func peak(in period: Period) -> Int64 { busiest(in: period).lots }

    /// The first stretch, within a period if given, in which more than this is taken up.
    func firstStretch(above limit: Int64, in period: Period? = nil) -> Period? {
        var found: Period?
        forEachStretch { lots, stretch in
            guard found == nil, lots > limit else { return }
            found = period.map { stretch.intersection($0) } ?? stretch
        }
        return found
    }

    private func forEachStretch(_ body: (Int64, Period) -> Void) {
        var used: Int64 = 0
        for (step, next) in zip(steps, steps.dropFirst()) {
            used += step.change
            body(used, Period(start: step.at, end: next.at))
        }
    }
}
