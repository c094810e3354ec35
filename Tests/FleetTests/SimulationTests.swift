import Fleet
import Primitives
import Testing

/// A fleet in which everything fails: it settles, nothing is lost or doubled, and what is allocated is what is there.
@Suite struct SimulationTests {
    @Test(arguments: 0..<8 as Range<UInt64>) func whateverFailsItSettles(_ block: UInt64) {
        for seed in (block * 40)..<(block * 40 + 40) {
            var simulation = FleetSimulation(SimulationPlan(), seed: seed)
            let outcome = simulation.run()
            #expect(outcome.problems == [], "seed \(seed)")
        }
    }

    /// Worse than that, on few hosts that are soon full.
    @Test(arguments: 0..<4 as Range<UInt64>) func evenWhenMostThingsFail(_ block: UInt64) {
        var plan = SimulationPlan()
        (plan.hosts, plan.faults, plan.commands) = (2, 60, 120)
        (plan.lostPerThousand, plan.doubledPerThousand, plan.failedStepsPerThousand, plan.slowPerThousand) = (300, 200, 300, 400)
        plan.settling = .minutes(45)
        for seed in (block * 20)..<(block * 20 + 20) {
            var simulation = FleetSimulation(plan, seed: seed)
            let outcome = simulation.run()
            #expect(outcome.problems == [], "seed \(seed)")
        }
    }

    @Test func theSameSeedIsTheSameHistory() {
        var (first, second) = (FleetSimulation(SimulationPlan(), seed: 5), FleetSimulation(SimulationPlan(), seed: 5))
        #expect(first.run() == second.run())
        var other = FleetSimulation(SimulationPlan(), seed: 6)
        #expect(first.run() != other.run())
    }

    /// The auditors see what does not settle: no time is left for it here.
    @Test func whatDoesNotSettleIsFoundAndShrunk() throws {
        var plan = SimulationPlan()
        plan.settling = .zero
        let seed = try #require((0..<50 as Range<UInt64>).first { FleetSimulation.shrink(plan, seed: $0) != nil })
        let found = try #require(FleetSimulation.shrink(plan, seed: seed))
        #expect(found.acts.count <= 3 && !found.problems.isEmpty)
    }
}
