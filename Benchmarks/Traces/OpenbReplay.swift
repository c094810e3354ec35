public import Fleet
public import Primitives

/// A load of the openb trace, placed by the engine under `gpuFragmentation`, one arrival after the other; nothing ends.
public struct OpenbReplay: Sendable {
    /// What came of it.
    public struct Outcome: Hashable, Sendable {
        public var arrivals = 0
        public var refused = 0
        /// Allocated, in thousandths.
        public var milliGPU: Int64 = 0
        public var milliCPU: Int64 = 0

        public init() {}

        public mutating func take(_ shape: GPUShape) {
            milliGPU += shape.milliGPU
            milliCPU += shape.milliCPU
        }
    }

    private var engine = PlacementEngine()
    private static let pod = PodID(bits: 1)

    /// - Parameter nodes: indices in the order of joining.
    public init(_ trace: OpenbTrace, nodes: [Int], workload: GPUWorkload) throws(Refusal) {
        engine.setPolicy(.gpuFragmentation, of: Self.pod)
        for (number, node) in nodes.enumerated() { try engine.add(Self.host(trace.nodes[node], HostID(bits: UInt64(number) + 1))) }
        engine.setGPUWorkload(workload)
    }

    public mutating func run(_ trace: OpenbTrace, pods: [Int]) throws(Refusal) -> Outcome {
        var outcome = Outcome()
        // Nothing ends: what was refused once will be refused again.
        var refused: Set<GPUShape> = []
        for pod in pods {
            outcome.arrivals += 1
            let shape = trace.pods[pod].shape
            guard !refused.contains(shape) else {
                outcome.refused += 1
                continue
            }
            do {
                _ = try engine.place(Self.request(shape, InstanceID(bits: UInt64(outcome.arrivals))), at: Instant(microseconds: 0))
                outcome.take(shape)
            } catch {
                guard error.category == .capacity else { throw error }
                refused.insert(shape)
                outcome.refused += 1
            }
        }
        return outcome
    }

    private static func host(_ node: OpenbTrace.Node, _ id: HostID) -> PlacementHost {
        var host = PlacementHost(
            id: id, zone: "openb", pod: pod, rack: "openb",
            capacity: Resources(milliCPU: node.milliCPU, memoryMiB: node.memoryMiB, milliGPU: Int64(node.gpus) * 1_000))
        host.gpuCount = node.gpus
        host.gpuModel = node.model
        return host
    }

    private static func request(_ shape: GPUShape, _ instance: InstanceID) -> PlacementRequest {
        var request = PlacementRequest(
            instance: instance, party: ParticipantID(bits: 1), resources: Resources(milliCPU: shape.milliCPU, memoryMiB: shape.memoryMiB))
        if shape.gpus > 0 { request.gpu = .init(models: shape.models, count: shape.gpus, milliEach: shape.milliEach) }
        return request
    }
}
