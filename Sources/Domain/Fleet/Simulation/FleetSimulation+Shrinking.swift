import Primitives

extension FleetSimulation {
    /// A history that goes wrong, as short as leaving things out makes it: what still happens in it, in words, and what goes wrong.
    public struct Counterexample: Sendable {
        public var seed: UInt64
        public var acts: [String]
        public var problems: [String]
    }

    /// Leaves out ever smaller parts of what happens for as long as it still goes wrong; nil when it does not.
    public static func shrink(_ plan: SimulationPlan, seed: UInt64) -> Counterexample? {
        var acts = SimulatedAct.acts(of: plan, seed: seed)
        guard var problems = problems(plan, acts, seed) else { return nil }
        var size = max(1, acts.count / 2)
        while true {
            var start = 0
            while start < acts.count {
                let shorter = Array(acts[..<start] + acts[min(acts.count, start + size)...])
                if let found = self.problems(plan, shorter, seed) { (acts, problems) = (shorter, found) } else { start += size }
            }
            if size == 1 { break }
            size = max(1, size / 2)
        }
        return Counterexample(seed: seed, acts: acts.map { "\($0.at.microseconds / 1_000) ms: \($0.kind)" }, problems: problems)
    }

    private static func problems(_ plan: SimulationPlan, _ acts: [SimulatedAct], _ seed: UInt64) -> [String]? {
        var simulation = FleetSimulation(plan, acts: acts, seed: seed)
        let found = simulation.run().problems
        return found.isEmpty ? nil : found
    }
}
