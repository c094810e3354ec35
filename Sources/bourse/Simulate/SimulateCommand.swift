import ArgumentParser
import Drivers
import Fleet
import Foundation
import Primitives

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Rehearse a datacenter: how much one connect holds, and how it behaves when parts fail.",
        discussion: """
            With --instances it fills --hosts hosts in virtual time and says how that went. With --through-connect too, a real connect \
            with SQLite on disk runs in a process of its own, and every host is a session over mutual TLS. Without --instances it runs \
            histories full of faults, one for each seed, and checks what came of them.
            """,
        subcommands: [Run.self, Serve.self], defaultSubcommand: Run.self)

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Simulate a fleet.", shouldDisplay: false)

        @Option(help: "Hosts; 10,000 when a fleet is filled, 6 when it is to fail.") var hosts: Int?
        @Option(help: "Launches with which the fleet is filled.") var instances: Int?
        @Option(help: "What instances are made of, and in what proportion: unit classes general, compute, memory.")
        var mix = "general=6,compute=3,memory=1"
        @Option(help: "vCPU promised for each hardware thread, in thousandths.") var cpuOversubscription: Int64 = 8_000
        @Option(help: "Seed of the first history; the same seed is the same history.") var seed: UInt64 = 1
        @Option(help: "How many histories with faults.") var seeds: UInt64 = 200
        @Option(help: "Faults in each.") var faults = 20
        @Flag(help: "Through a real connect and the real node protocol.") var throughConnect = false
        @Option(help: "With --through-connect: buyers that launch at the same time.") var buyers = 64
        @Option(help: "With --through-connect: instances that run already before.") var running = 0
        @Option(name: .shortAndLong, help: "text or json") var output = "text"

        func validate() throws {
            try Self.check("--hosts", Int64(hosts ?? 1), in: 1...100_000)
            try Self.check("--instances", Int64(instances ?? 1), in: 1...10_000_000)
            try Self.check("--cpu-oversubscription", cpuOversubscription, in: 1...1_000_000)
            try Self.check("--seeds", Int64(clamping: seeds), in: 1...100_000_000)
            try Self.check("--seed", Int64(clamping: seed), in: 0...(1 << 62))
            try Self.check("--faults", Int64(faults), in: 0...100_000)
            try Self.check("--buyers", Int64(buyers), in: 1...10_000)
            try Self.check("--running", Int64(running), in: 0...10_000_000)
        }

        private static func check(_ option: String, _ value: Int64, in range: ClosedRange<Int64>) throws {
            guard !range.contains(value) else { return }
            throw ValidationError("\(option) is \(value); it may be \(range.lowerBound) to \(range.upperBound).")
        }

        func run() async throws {
            guard ["text", "json"].contains(output) else { throw ValidationError("'\(output)' is neither text nor json.") }
            guard let instances else { return try rehearseFaults() }
            let shapes = try Mix(mix).shapes
            guard throughConnect else { return show(size(instances, shapes)) }
            show(
                try await ProtocolRehearsal(
                    hosts: hosts ?? 10_000, instances: instances, running: running, shapes: shapes, buyers: buyers, seed: seed
                ).run())
        }

        // MARK: In virtual time

        private func size(_ instances: Int, _ shapes: [SimulationPlan.Shape]) -> [Figure] {
            let hardware = SimulateCommand.hardware
            let promised = Oversubscription(cpu: cpuOversubscription, memory: 1_000, disk: 2_000).promised(of: hardware)
            let plan = SimulationPlan.sizing(hosts: hosts ?? 10_000, instances: instances, shapes: shapes, promised: promised)
            var simulation = FleetSimulation(plan, seed: seed)
            let begun = ContinuousClock.now
            let outcome = simulation.run()
            let took = (ContinuousClock.now - begun).components
            let seconds = Double(took.seconds) + Double(took.attoseconds) / 1e18
            var figures = [
                Figure("hosts", Double(plan.hosts)), Figure("launched", Double(outcome.launched)),
                Figure("running", Double(outcome.running)), Figure("events_per_s", Double(outcome.events) / seconds),
                Figure("launches_per_s", Double(outcome.launched) / seconds),
                Figure("converge_lag_p50_s", Double(outcome.lag(percent: 50).microseconds) / 1e6),
                Figure("converge_lag_p99_s", Double(outcome.lag(percent: 99).microseconds) / 1e6),
                Figure("problems", Double(outcome.problems.count)), Figure("resident_mib", ResidentMemory.mebibytes(of: getpid())),
            ]
            figures += outcome.utilisation.sorted { $0.key < $1.key }.map { Figure("utilisation.\($0.key)_percent", Double($0.value) / 10) }
            figures += outcome.refused.sorted { $0.key < $1.key }.map { Figure("refused.\($0.key)", Double($0.value)) }
            return figures
        }

        private func rehearseFaults() throws {
            var plan = SimulationPlan()
            plan.hosts = hosts ?? plan.hosts
            plan.faults = faults
            var (launched, running, messages, failed) = (0, 0, 0, 0)
            for seed in seed..<(seed + seeds) {
                var simulation = FleetSimulation(plan, seed: seed)
                let outcome = simulation.run()
                (launched, running, messages) = (launched + outcome.launched, running + outcome.running, messages + outcome.messages)
                guard !outcome.problems.isEmpty else { continue }
                failed += 1
                guard failed == 1, let example = FleetSimulation.shrink(plan, seed: seed) else { continue }
                print("seed \(seed) goes wrong with these \(example.acts.count) of \(plan.commands + plan.faults) acts:")
                for line in example.acts + example.problems.map({ "→ " + $0 }) { print("  " + line) }
            }
            show([
                Figure("histories", Double(seeds)), Figure("gone_wrong", Double(failed)), Figure("launched", Double(launched)),
                Figure("running_at_the_end", Double(running)), Figure("messages", Double(messages)),
            ])
            if failed > 0 { throw ExitCode.failure }
        }

        private func show(_ figures: [Figure]) {
            if output == "json" {
                let object = Dictionary(figures.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
                let data = try? JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
                return print(String(decoding: data ?? Data(), as: UTF8.self))
            }
            let width = figures.map(\.name.count).max() ?? 0
            for figure in figures {
                let value = String(
                    format: abs(figure.value) < 100 && figure.value != figure.value.rounded() ? "%.3f" : "%.0f", figure.value)
                print(figure.name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + value)
            }
        }
    }

    struct Figure {
        var name: String
        var value: Double
        init(_ name: String, _ value: Double) {
            self.name = name
            self.value = value
        }
    }
}

/// Sizes of instances: 1, 2 and 4 lots of some unit classes.
private struct Mix {
    let shapes: [SimulationPlan.Shape]

    private static let lots = [
        "general": Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480),
        "compute": Resources(milliCPU: 1_000, memoryMiB: 2_048, diskMiB: 20_480),
        "memory": Resources(milliCPU: 1_000, memoryMiB: 8_192, diskMiB: 20_480),
    ]

    init(_ text: String) throws {
        shapes = try text.split(separator: ",").flatMap { part in
            let words = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard words.count == 2, let lot = Self.lots[words[0]], let weight = Int(words[1]), (1...1_000_000).contains(weight) else {
                throw ValidationError("'\(part)' is not a unit class and a proportion from 1 to 1000000, such as general=6.")
            }
            return [(1, 4), (2, 2), (4, 1)].map { SimulationPlan.Shape(lot * Int64($0.0), weight: weight * $0.1) }
        }
        guard !shapes.isEmpty else { throw ValidationError("The mix is empty.") }
    }
}
