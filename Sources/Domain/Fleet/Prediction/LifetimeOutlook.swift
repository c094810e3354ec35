/// How likely an instance, or all of a host's, will be gone at eight times from now, from a quarter of an hour to two and a half days.
///
/// Kept as negative binary logarithms in 256ths: those of independent instances add up to their host's, exactly, and can be taken away
/// again.
public struct LifetimeOutlook: Hashable, Sendable {
    /// Seconds from now.
    public static let horizons: [Int64] = [900, 1_980, 4_356, 9_583, 21_083, 46_382, 102_041, 224_489]

    package var gone: SIMD8<Int32>

    init(gone: SIMD8<Int32>) { self.gone = gone }

    /// - Parameter shares: for each horizon the likelihood to be gone by then, in millionths.
    public init(goneMillionths shares: [Int64]) {
        precondition(shares.count == Self.horizons.count)
        gone = .zero
        for (lane, share) in shares.enumerated() {
            gone[lane] = BinaryLogarithm.negative(of: share * BinaryLogarithm.one / 1_000_000)
        }
    }

    /// Of an instance nobody knows anything about: half are gone by the time they are an hour old, two thirds at two hours.
    public static let unknown = LifetimeOutlook(goneMillionths: horizons.map { $0 * 1_000_000 / ($0 + 3_600) })

    /// How brief it is expected to be, by the likelihood to be gone in six hours (21,083 s): 0 from 95 % on, 1 from 90 %, 2 from 75 %,
    /// and 3 below.
    public var grade: Int8 { gone[4] <= Self.limits.0 ? 0 : gone[4] <= Self.limits.1 ? 1 : gone[4] <= Self.limits.2 ? 2 : Self.longest }
    /// The grade of those that may stay, and of those nobody knows anything about.
    public static let longest: Int8 = 3
    /// −log₂ of 0.95, 0.9 and 0.75 in 256ths.
    private static let limits: (Int32, Int32, Int32) = (18, 38, 106)

    /// What each horizon counts when this instance comes to a host: the time up to it from the one before, as far as the instance is
    /// expected to be there still. They add up to 2²⁰.
    package var weights: SIMD8<Int32> {
        let gone = BinaryLogarithm.shares(self.gone)
        var expected = SIMD8<Int64>.zero
        for lane in 0..<8 { expected[lane] = Self.lengths[lane] * (BinaryLogarithm.one - Int64(gone[lane])) }
        let total = max(1, expected.wrappedSum() >> 4)
        var weights = SIMD8<Int32>.zero
        for lane in 0..<8 { weights[lane] = Int32((expected[lane] << 16) / total) }
        return weights
    }

    /// Weights of an instance nobody knows anything about.
    static let unknownWeights = unknown.weights

    /// Seconds from each horizon's predecessor.
    private static let lengths: SIMD8<Int64> = [900, 1_080, 2_376, 5_227, 11_500, 25_299, 55_659, 122_448]
}
