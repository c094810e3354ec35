import Dispatch
import Fleet
import Primitives

/// How many placements a second the engine makes on one core: hosts are filled with live instances under all rules, then one instance
/// goes for each that comes. One decision in two hundred is for a gang.
struct PlacementBench {
    var hosts = 10_000
    var steady = 400_000
    /// Seconds on a clock.
    var seconds: () -> Double = { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    func measure() -> [String: Double] {
        var figures: [String: Double] = [:]
        let usual = run(instances: hosts * 30, seed: 1)
        figures["hosts10k_vms300k_per_s"] = usual.perSecond
        figures["fill300k_per_s"] = usual.fillPerSecond
        figures["p50_us"] = usual.microseconds(50)
        figures["p99_us"] = usual.microseconds(99)
        figures["p999_us"] = usual.microseconds(99.9)
        figures["refused_percent"] = usual.refusedPercent
        figures["engine300k_mib"] = usual.mebibytes
        figures["rebuild300k_s"] = rebuild(instances: hosts * 30, seed: 1)
        let dense = run(instances: hosts * 100, seed: 2)
        figures["vms1m_per_s"] = dense.perSecond
        figures["vms1m_p99_us"] = dense.microseconds(99)
        figures["engine1m_mib"] = dense.mebibytes
        return figures
    }

    struct Result {
        var fillPerSecond = 0.0
        var perSecond = 0.0
        /// Of single decisions, in steps of 0.1 µs.
        var tenths = [Int](repeating: 0, count: 100_000)
        var refusedPercent = 0.0
        var mebibytes = 0.0

        func microseconds(_ percent: Double) -> Double {
            let wanted = Int(Double(tenths.reduce(0, +)) * percent / 100)
            var seen = 0
            for (tenth, count) in tenths.enumerated() {
                seen += count
                if seen >= wanted { return Double(tenth + 1) / 10 }
            }
            return Double(tenths.count) / 10
        }
    }

    /// One thing to do: one placement, or a gang's.
    private typealias Step = [PlacementRequest]

    func run(instances: Int, seed: UInt64) -> Result {
        var town = PlacementTown(hosts: hosts, perHost: Int64(instances / hosts), seed: seed)
        guard var engine = try? PlacementEngine(hosts: town.hosts, allocations: []) else { return Result() }
        var result = Result()
        var live: [InstanceID] = []
        var filling = 0.0
        while live.count < instances {
            let steps = Self.steps(&town, count: min(100_000, instances - live.count))
            let start = seconds()
            for step in steps { _ = Self.place(step, &engine, &live) }
            filling += seconds() - start
        }
        result.fillPerSecond = Double(live.count) / filling
        let steps = Self.steps(&town, count: steady)
        var placed = 0
        var refused = 0
        let victims = steps.map { _ in town.number(below: Int.max) }
        let start = seconds()
        for (step, victim) in zip(steps, victims) {
            for _ in step { engine.release(Self.take(victim, from: &live)) }
            let before = seconds()
            let count = Self.place(step, &engine, &live)
            let tenth = Int((seconds() - before) * 1e7)
            result.tenths[min(tenth, result.tenths.count - 1)] += 1
            placed += count
            if count == 0 { refused += step.count }
        }
        result.perSecond = Double(placed) / (seconds() - start)
        result.refusedPercent = 100 * Double(refused) / Double(placed + refused)
        result.mebibytes = Double(engine.footprint) / 1_048_576
        return result
    }

    /// Seconds it takes to make an engine from all hosts and what is on them.
    func rebuild(instances: Int, seed: UInt64) -> Double {
        var town = PlacementTown(hosts: hosts, perHost: Int64(instances / hosts), seed: seed)
        guard var engine = try? PlacementEngine(hosts: town.hosts, allocations: []) else { return .infinity }
        var allocations: [PlacementAllocation] = []
        while allocations.count < instances {
            let request = town.next()
            guard let decision = try? engine.place(request, at: .zero) else { continue }
            allocations.append(
                PlacementAllocation(request: request, host: decision.host, gpus: decision.gpus, cell: decision.cell))
        }
        let start = seconds()
        let rebuilt = try? PlacementEngine(hosts: town.hosts, allocations: allocations)
        return rebuilt?.allocationCount == instances ? seconds() - start : .infinity
    }

    private static func steps(_ town: inout PlacementTown, count: Int) -> [Step] {
        (0..<count).map { _ in town.number(below: 200) == 0 ? town.gang() : [town.next()] }
    }

    private static func take(_ number: Int, from live: inout [InstanceID]) -> InstanceID {
        live.swapAt(number % live.count, live.count - 1)
        return live.removeLast()
    }

    /// How many were placed.
    private static func place(_ step: Step, _ engine: inout PlacementEngine, _ live: inout [InstanceID]) -> Int {
        do {
            if step.count == 1 {
                live.append(try engine.place(step[0], at: .zero).instance)
                return 1
            }
            let decisions = try engine.place(gang: step, at: .zero)
            live += decisions.map(\.instance)
            return decisions.count
        } catch {
            return 0
        }
    }
}
