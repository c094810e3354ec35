/// The shapes that a fleet's GPU instances usually have, and how often: what free GPUs are measured by.
///
/// The measures are exact in integers, so that the same fleet gives the same decision everywhere. Weights are counts of arrivals.
public struct GPUWorkload: Sendable {
    /// The commonest first.
    public let shapes: [GPUShape]
    /// How often each came.
    public let weights: [Int64]
    public let totalWeight: Int64
    let copies: GPUCopies

    /// More shapes than this are not told apart; the rarest go.
    public static let mostShapes = 64

    /// - Parameter counted: shapes and how often each came, at least once. Of shapes in equal numbers the larger goes first.
    public init(_ counted: [(shape: GPUShape, count: Int64)]) {
        precondition(counted.allSatisfy { $0.count > 0 }, "each shape came at least once")
        let kept = counted.sorted { ($0.count, $0.shape) > ($1.count, $1.shape) }.prefix(Self.mostShapes)
        shapes = kept.map(\.shape)
        weights = kept.map(\.count)
        totalWeight = weights.reduce(0, +)
        copies = GPUCopies(shapes: shapes, weights: weights)
    }

    /// The commonest shapes that together make up 95 % of what came (Weng et al., "Beware of Fragmentation", USENIX ATC 2023, section 3; the
    /// threshold is that of the simulator published with it).
    public init(typicalOf arrivals: some Sequence<GPUShape>) {
        var counts: [GPUShape: Int64] = [:]
        for shape in arrivals { counts[shape, default: 0] += 1 }
        let ranked = counts.map { (shape: $0.key, count: $0.value) }.sorted { ($0.count, $0.shape) > ($1.count, $1.shape) }
        let total = ranked.reduce(0) { $0 + $1.count }
        var kept: [(shape: GPUShape, count: Int64)] = []
        var sum: Int64 = 0
        for entry in ranked where sum * 100 < total * 95 {
            kept.append(entry)
            sum += entry.count
        }
        self.init(kept)
    }

    /// What to go by before anything came: whole GPUs and halves, each with 8 processors and 32 GiB for a GPU.
    public static let standard = GPUWorkload(
        [(1, 1_000, 8), (1, 500, 4), (2, 1_000, 2), (4, 1_000, 1), (8, 1_000, 1)].map { (gpus: Int, each: Int64, count: Int64) in
            let milli = Int64(gpus) * each
            return (GPUShape(milliCPU: 8 * milli, memoryMiB: 32_768 * milli / 1_000, gpus: gpus, milliEach: each), count)
        })

    /// Which shapes may run on a model of GPU, as bits in the order of `shapes`.
    public func access(to model: String?) -> UInt64 {
        shapes.enumerated().reduce(0) { $0 | ($1.element.accepts(model: model) ? 1 << UInt64($1.offset) : 0) }
    }
}
