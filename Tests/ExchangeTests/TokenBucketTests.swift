import Exchange
import Primitives
import Testing

@Suite struct TokenBucketTests {
    private static let second: Int64 = 1_000_000_000

    @Test func theBurstComesFirstThenTheRate() {
        var bucket = TokenBucket(rate: 4, burst: 3, at: 0)
        for _ in 0..<3 { #expect(bucket.take(at: 0) == nil) }
        #expect(bucket.take(at: 0) == Self.second / 4)
        #expect(bucket.take(at: Self.second / 4 - 1) == 1)
        #expect(bucket.take(at: Self.second / 4) == nil)
        #expect(!bucket.isFull(at: Self.second / 2))
        #expect(bucket.isFull(at: Self.second * 2))
    }

    /// Never more than the rate and one burst, and whoever waits as long as told gets a token.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func neverMoreThanTheRate(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let (rate, burst) = (Int64.random(in: 1...50, using: &random), Int64.random(in: 1...20, using: &random))
        var bucket = TokenBucket(rate: rate, burst: burst, at: 0)
        var (now, taken): (Int64, Int64) = (0, 0)
        for _ in 0..<2_000 {
            now += Int64.random(in: 0...Self.second / 10, using: &random)
            if let wait = bucket.take(at: now) {
                #expect(wait > 0 && wait <= Self.second / rate + 1)
                var other = bucket
                #expect(other.take(at: now + wait - 1) != nil && bucket.take(at: now + wait) == nil)
                now += wait
            }
            taken += 1
            #expect(Int128(taken - burst) * Int128(Self.second) <= Int128(rate) * Int128(now))
        }
    }

    @Test func aClockThatGoesBackGivesNothing() {
        var bucket = TokenBucket(rate: 1, burst: 1, at: 10 * Self.second)
        #expect(bucket.take(at: 10 * Self.second) == nil)
        #expect(bucket.take(at: 0) == Self.second)
        #expect(bucket.take(at: .max) == nil, "far later")
    }
}
