package import Primitives

/// One run of one instance as the journal knows it.
package struct MeteredRun: Sendable, Hashable {
    /// When the run's hypervisor process was started; tells one run from another.
    package var executed: Instant
    /// Everything before this moment is in the journal.
    package var meteredTo: Instant
    /// The run has ended and all of it is in the journal.
    package var isClosed: Bool
    package var terms: MeterTerms
}

/// What a stretch of time is metered as.
package struct MeterTerms: Sendable, Hashable {
    package var contract: ContractID
    package var resources: Resources

    package init(contract: ContractID, resources: Resources) {
        self.contract = contract
        self.resources = resources
    }
}

/// A run as it is seen: begun, and perhaps ended.
package struct SeenRun: Sendable, Hashable {
    package var executed: Instant
    package var ended: Instant?

    package init(executed: Instant, ended: Instant?) {
        self.executed = executed
        self.ended = ended
    }
}

package struct MeterStretch: Sendable, Hashable {
    package var period: Period
    package var terms: MeterTerms

    package init(period: Period, terms: MeterTerms) {
        self.period = period
        self.terms = terms
    }
}

/// Where the kernel's record of a process must stand in for the driver's, a run's beginning may differ by this much.
private let sameRun = Span.seconds(2)

/// What is to be added to the journal so that it has everything that can be said now, and the run after that.
///
/// Stretches of one instance follow on each other: none overlaps another, and there is no hole while a run lasts, whoever was
/// watching. A stretch ends at the latest at the next multiple of `interval`; a running machine is metered up to the last one.
/// - Parameter room: the largest number of stretches to make; the rest comes with the next call.
package func cutMeter(_ known: MeteredRun?, _ seen: SeenRun?, _ terms: MeterTerms, now: Instant, interval: Span, room: Int) -> (
    run: MeteredRun?, stretches: [MeterStretch]
) {
    guard let seen, var run = continued(known, seen, terms) else { return (known, []) }
    var stretches: [MeterStretch] = []
    if run.terms != terms {
        // What has run so far ran under the old terms.
        append(&stretches, &run, to: min(now, seen.ended ?? now), interval, room)
        if stretches.count >= room { return (run, stretches) }
        run.terms = terms
    }
    append(&stretches, &run, to: seen.ended ?? now.floored(to: interval), interval, room)
    if let ended = seen.ended, run.meteredTo >= ended { run.isClosed = true }
    return (run, stretches)
}

/// The run to go on with, new or known; nil when `seen` says nothing new.
private func continued(_ known: MeteredRun?, _ seen: SeenRun, _ terms: MeterTerms) -> MeteredRun? {
    guard let known else { return MeteredRun(executed: seen.executed, meteredTo: seen.executed, isClosed: false, terms: terms) }
    if seen.executed + sameRun < known.executed { return nil }
    if known.isClosed {
        if seen.executed == known.executed { return nil }
        if let ended = seen.ended, ended <= known.meteredTo { return nil }
    } else if seen.executed <= known.executed + sameRun {
        return known
    }
    // Never before what is metered already, whatever a clock may say.
    return MeteredRun(executed: seen.executed, meteredTo: max(seen.executed, known.meteredTo), isClosed: false, terms: terms)
}

private func append(_ stretches: inout [MeterStretch], _ run: inout MeteredRun, to end: Instant, _ interval: Span, _ room: Int) {
    while run.meteredTo < end, stretches.count < room {
        let next = min(end, run.meteredTo.floored(to: interval) + interval)
        stretches.append(MeterStretch(period: Period(start: run.meteredTo, end: next), terms: run.terms))
        run.meteredTo = next
    }
}
