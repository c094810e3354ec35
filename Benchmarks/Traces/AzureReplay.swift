public import Fleet
import HeapModule
public import Primitives

/// Replays a trace through the placement engine and the lifetime predictor: as many hosts as are needed, all alike and empty at first.
///
/// In each interval those that have ended leave first, then arrivals come in the order of the file, and then hosts are counted. An
/// instance ends at the upper edge of its bin after its interval's start, and not before the next interval. What is predicted at an
/// arrival rests on nothing but what came before it: the shapes, the sizes of their batches, and who had ended.
public struct AzureReplay: Sendable {
    public struct Outcome: Hashable, Sendable {
        /// Sums over the intervals: hosts in use, and the fewest that could hold as much processor and memory.
        public var hostIntervals: Int64 = 0
        public var volumeIntervals: Int64 = 0
        public var intervals: Int64 = 0
        public var mostHosts: Int64 = 0
        /// The host of each arrival, in order, by when it first came into use.
        public var hosts: [Int32] = []

        /// Hosts for each host of the volume.
        public var ratio: Double { Double(hostIntervals) / Double(max(1, volumeIntervals)) }
    }

    /// 64 processors and 256 GiB.
    public static let host = Resources(milliCPU: 64_000, memoryMiB: 256 * 1_024)

    private let policy: PlacementPolicy
    private let capacity: Resources
    private var engine = PlacementEngine()
    private var predictor = LifetimePredictor()
    private var ends: Heap<End> = []
    private var loads: [Int32] = []
    private var inUse: Int64 = 0
    private var volume = Resources.zero
    private var outcome = Outcome()

    public init(_ policy: PlacementPolicy, host: Resources = AzureReplay.host) {
        self.policy = policy
        capacity = host
        engine.setPolicy(policy, of: Self.pod)
    }

    /// - Throws: when an instance is larger than a host.
    public static func run(
        _ trace: AzureTrace, _ policy: PlacementPolicy, host: Resources = AzureReplay.host
    ) throws(Refusal) -> Outcome {
        var replay = AzureReplay(policy, host: host)
        var next = 0
        for time in trace.intervals {
            replay.leave(trace, at: time)
            while next < trace.arrivals.count, trace.arrivals[next].time == time {
                try replay.arrive(trace.arrivals[next], number: next)
                next += 1
            }
            replay.count()
        }
        return replay.outcome
    }

    private mutating func leave(_ trace: AzureTrace, at time: Int64) {
        let now = Instant(seconds: time)
        let follows = policy == .lifetimeAligned
        if follows { for change in predictor.advance(to: now) { engine.expect(change.outlook, of: change.instance) } }
        while let end = ends.min, end.time <= time {
            let number = ends.removeMin().number
            if follows { predictor.end(Self.instance(number)) }
            engine.release(Self.instance(number))
            let host = Int(outcome.hosts[number])
            loads[host] -= 1
            if loads[host] == 0 { inUse -= 1 }
            volume = volume - trace.arrivals[number].resources
        }
    }

    private mutating func arrive(_ arrival: AzureTrace.Arrival, number: Int) throws(Refusal) {
        if inUse == loads.count { try addHost() }
        var request = PlacementRequest(instance: Self.instance(number), party: ParticipantID(bits: 1), resources: arrival.resources)
        if policy == .lifetimeAligned {
            request.outlook = predictor.start(request.instance, arrival.resources, batch: arrival.batch)
        }
        let decision = try engine.place(request, at: Instant(seconds: arrival.time))
        let host = Int(decision.host.bits)
        if loads[host] == 0 { inUse += 1 }
        loads[host] += 1
        volume += arrival.resources
        outcome.hosts.append(Int32(host))
        if let lifetime = arrival.lifetime { ends.insert(End(time: arrival.time + max(lifetime, AzureTrace.interval), number: number)) }
    }

    private mutating func addHost() throws(Refusal) {
        try engine.add(PlacementHost(id: HostID(bits: UInt64(loads.count)), zone: "a", pod: Self.pod, rack: "1", capacity: capacity))
        loads.append(0)
    }

    private mutating func count() {
        outcome.intervals += 1
        outcome.hostIntervals += inUse
        outcome.volumeIntervals += volume.lots(of: capacity) ?? 0
        outcome.mostHosts = max(outcome.mostHosts, inUse)
    }

    private static let pod = PodID(bits: 1)
    private static func instance(_ number: Int) -> InstanceID { InstanceID(bits: UInt64(number) + 1) }
}

/// Who ends when; those of one time in the order of their numbers.
private struct End: Comparable, Sendable {
    let time: Int64
    let number: Int

    static func < (a: End, b: End) -> Bool { (a.time, a.number) < (b.time, b.number) }
}
