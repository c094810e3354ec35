import Fleet
public import Primitives

/// The load of one run, after the protocol of the FGD paper's simulator (Weng et al., USENIX ATC 2023, artifact
/// `hkust-adsl/kubernetes-scheduler-simulator`): all pods of the list in random order, then more of them drawn at random with
/// replacement until the GPUs asked for come to a share of those there are; and the hosts in random order, which decides ties.
///
/// The simulator draws with Go's generator, this with `SeededGenerator`: the same distribution, not the same numbers for a seed.
public struct OpenbArrivals: Hashable, Sendable {
    /// Indices of pods, as they arrive.
    public var pods: [Int]
    /// Indices of nodes, in the order in which ties go.
    public var nodes: [Int]

    /// - Parameter percent: GPUs asked for, of those there are. As in the simulator the last draw is the one that would pass this, a
    ///   pod of several GPUs counted as one of them; a list that already asks for more has pods removed at random.
    public init(_ trace: OpenbTrace, percent: Int64, using generator: inout SeededGenerator) {
        let most = trace.milliGPU * percent / 100
        pods = Self.shuffled(Array(trace.pods.indices), using: &generator)
        var wanted = trace.pods.reduce(0) { $0 + $1.shape.milliGPU }
        if wanted > most {
            while wanted > most {
                let gone = pods.remove(at: Int.random(in: pods.indices, using: &generator))
                wanted -= trace.pods[gone].shape.milliGPU
            }
        } else {
            while trace.pods.contains(where: { $0.shape.gpus > 0 }) {
                let drawn = Int.random(in: trace.pods.indices, using: &generator)
                guard wanted + trace.pods[drawn].shape.milliEach <= most else { break }
                wanted += trace.pods[drawn].shape.milliGPU
                pods.append(drawn)
            }
        }
        nodes = Self.shuffled(Array(trace.nodes.indices), using: &generator)
    }

    /// Fisher and Yates's, written out so that a seed gives the same order with every version of the standard library.
    private static func shuffled(_ values: [Int], using generator: inout SeededGenerator) -> [Int] {
        var values = values
        for last in stride(from: values.count - 1, to: 0, by: -1) {
            values.swapAt(last, Int.random(in: 0...last, using: &generator))
        }
        return values
    }
}
