public import Primitives

/// What a simulated fleet is like, and what is to happen to it.
public struct SimulationPlan: Hashable, Sendable {
    /// A size of instance and how often it is asked for, relative to the others.
    public struct Shape: Hashable, Sendable {
        public var resources: Resources
        public var weight: Int

        public init(_ resources: Resources, weight: Int) {
            self.resources = resources
            self.weight = weight
        }
    }

    public var hosts = 6
    /// Of each host, after oversubscription.
    public var promised = Resources(milliCPU: 8_000, memoryMiB: 32_768, diskMiB: 200_000)
    public var contracts = 3
    /// Of each contract.
    public var volume = Resources(milliCPU: 24_000, memoryMiB: 98_304, diskMiB: 600_000)
    public var shapes = [
        Shape(Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480), weight: 6),
        Shape(Resources(milliCPU: 2_000, memoryMiB: 4_096, diskMiB: 20_480), weight: 3),
        Shape(Resources(milliCPU: 4_000, memoryMiB: 16_384, diskMiB: 40_960), weight: 1),
    ]
    /// How many commands users give, over how long; of a hundred, so many are launches, the others act on what is there.
    public var commands = 60
    public var span = Span.minutes(10)
    public var launchesPerHundred = 50
    /// How many faults strike in that time: crashes of hosts, agents and connect, partitions, guests that switch themselves off.
    public var faults = 20
    /// Messages that are lost, and that come twice, of a thousand. Each takes a time of its own, so they overtake each other.
    public var lostPerThousand = 30
    public var doubledPerThousand = 30
    public var latency = Span.milliseconds(1)...Span.milliseconds(400)
    /// How long a step of a host's driver takes, and how many of a thousand fail.
    public var stepTime = Span.milliseconds(50)...Span.seconds(3)
    public var failedStepsPerThousand = 60
    /// Hosts of a thousand on which every step takes twenty times as long.
    public var slowPerThousand = 100
    /// After the last command the world heals; then so long until everything must be settled.
    public var settling = Span.minutes(25)

    public init() {}

    /// A fleet of a size, in which nothing fails, that users fill.
    public static func sizing(hosts: Int, instances: Int, shapes: [Shape], promised: Resources) -> SimulationPlan {
        var plan = SimulationPlan()
        (plan.hosts, plan.commands, plan.shapes, plan.promised) = (hosts, instances, shapes, promised)
        plan.contracts = 64
        plan.volume = promised * Int64(max(1, hosts))
        plan.launchesPerHundred = 100
        plan.span = .seconds(max(60, Int64(instances) / 2_000))
        (plan.faults, plan.lostPerThousand, plan.doubledPerThousand, plan.failedStepsPerThousand) = (0, 0, 0, 0)
        plan.slowPerThousand = 10
        plan.settling = .minutes(5)
        return plan
    }
}

/// What users do, and what befalls the fleet, at a moment.
struct SimulatedAct: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case launch(shape: Int, contract: Int)
        case stop(Int), start(Int), reboot(Int), terminate(Int)
        /// The host loses power and comes back after a time; its machines are gone, its disks are not.
        case hostCrash(Int, Span)
        /// The agent ends and is started again; machines run on.
        case agentCrash(Int, Span)
        case connectCrash(Span)
        /// Nothing passes between a host and connect.
        case partition(Int, Span)
        case guestSwitchesOff(Int)
    }

    var at: Instant
    var kind: Kind

    /// All that happens in a plan, from a seed. What acts on an instance names it by a number that is taken modulo those there are.
    static func acts(of plan: SimulationPlan, seed: UInt64) -> [SimulatedAct] {
        var generator = SeededGenerator(seed: seed)
        let weights = plan.shapes.map(\.weight).reduce(0, +)
        let commands = (0..<plan.commands).map { _ in
            SimulatedAct(at: moment(plan, &generator), kind: command(plan, weights, &generator))
        }
        let faults = (0..<plan.faults).map { _ in SimulatedAct(at: moment(plan, &generator), kind: fault(plan, &generator)) }
        return (commands + faults).sorted { $0.at < $1.at }
    }

    private static func moment(_ plan: SimulationPlan, _ generator: inout SeededGenerator) -> Instant {
        Instant(microseconds: Int64.random(in: 0...plan.span.microseconds, using: &generator))
    }

    private static func command(_ plan: SimulationPlan, _ weights: Int, _ generator: inout SeededGenerator) -> Kind {
        if Int.random(in: 0..<100, using: &generator) < plan.launchesPerHundred {
            var draw = Int.random(in: 0..<max(1, weights), using: &generator)
            let shape = plan.shapes.firstIndex { shape in
                draw -= shape.weight
                return draw < 0
            }
            return .launch(shape: shape ?? 0, contract: Int.random(in: 0..<plan.contracts, using: &generator))
        }
        let target = Int.random(in: 0..<1_000_000, using: &generator)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<3: return .stop(target)
        case 3..<6: return .start(target)
        case 6: return .reboot(target)
        default: return .terminate(target)
        }
    }

    private static func fault(_ plan: SimulationPlan, _ generator: inout SeededGenerator) -> Kind {
        let host = Int.random(in: 0..<plan.hosts, using: &generator)
        let length = Span.milliseconds(Int64.random(in: 10...90_000, using: &generator))
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<2: return .hostCrash(host, length)
        case 2..<4: return .agentCrash(host, length)
        case 4..<5: return .connectCrash(length)
        case 5..<8: return .partition(host, length)
        default: return .guestSwitchesOff(Int.random(in: 0..<1_000_000, using: &generator))
        }
    }
}
