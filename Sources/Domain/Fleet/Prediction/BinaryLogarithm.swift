/// Logarithms and powers of two in whole numbers, so that a score is the same on every machine.
///
/// A share of one is given in 2⁻²⁰, its negative logarithm in 256ths.
package enum BinaryLogarithm {
    static let one: Int64 = 1 << 20

    /// 2^(−i/256) in 2⁻²⁰.
    private static let powers: ContiguousArray<Int32> = {
        var powers: ContiguousArray<Int32> = []
        var value: Int64 = 1 << 30
        for _ in 0..<256 {
            powers.append(Int32((value + 512) >> 10))
            // 2^(−1/256) in 2⁻³⁰.
            value = (value * 1_070_838_486 + (1 << 29)) >> 30
        }
        return powers
    }()

    /// −log₂ of a share, by search in the powers. Shares below 2⁻²⁰ count as that.
    static func negative(of share: Int64) -> Int32 {
        var share = min(one, max(1, share))
        var whole: Int32 = 0
        while share <= one / 2 {
            share <<= 1
            whole += 1
        }
        var (low, high) = (0, 255)
        while low < high {
            let middle = (low + high + 1) / 2
            if Int64(powers[middle]) >= share { low = middle } else { high = middle - 1 }
        }
        return whole << 8 + Int32(low)
    }

    /// Eight powers at once.
    @inline(__always) package static func shares(_ negative: SIMD8<Int32>) -> SIMD8<Int32> {
        powers.withUnsafeBufferPointer { powers in
            var shares = SIMD8<Int32>.zero
            for lane in 0..<8 { shares[lane] = powers[Int(negative[lane] & 255)] }
            return shares &>> pointwiseMin(negative &>> 8, SIMD8(repeating: 31))
        }
    }
}
