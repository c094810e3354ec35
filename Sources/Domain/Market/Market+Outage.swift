import Primitives

// An exchange that was away gives everybody the time it was away.

extension Market {
    /// Deadlines to confirm and to report that were running move on by as long as nobody could meet them; stretches that ended meanwhile
    /// are reported from now on. Disputes last long enough as they are, and what was paid ahead is what it was.
    mutating func resume(after outage: Period, _ step: inout Step) throws(Refusal) {
        guard outage.start < outage.end, outage.end <= step.at, outage.start >= clock else {
            throw Refusal(
                "market.outage", .invalid, "An outage is after the last command, at \(clock), and before now, \(step.at).",
                nearest: "\(clock) to \(step.at)")
        }
        resumed = outage.end
        for var contract in contracts.values.sorted(by: { $0.number < $1.number }) {
            let open = deliveries[contract.id] ?? []
            for var delivery in open where delivery.state == .waiting {
                delivery.due = delivery.due + outage.length
                keep(delivery, of: contract)
                step.changes.append(.delivery(delivery))
            }
            guard contract.confirmationDue != nil else { continue }
            contract.confirmation.deadline = contract.confirmation.deadline + outage.length
            store(contract, .postponed, &step)
        }
    }
}
