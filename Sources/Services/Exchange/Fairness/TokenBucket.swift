/// Lets through `rate` a second on average and `burst` at once. Whole numbers: a token is a thousand million parts, as many as
/// a second has nanoseconds.
package struct TokenBucket: Hashable, Sendable {
    package let rate: Int64
    package let burst: Int64
    private var parts: Int64
    /// When parts were last added, in nanoseconds of whatever clock the caller goes by.
    private var filled: Int64

    private static let token: Int64 = 1_000_000_000

    /// Full.
    /// - Parameters:
    ///   - rate: tokens a second, at most 1,000,000.
    ///   - burst: at most 1,000,000,000.
    package init(rate: Int64, burst: Int64, at now: Int64) {
        precondition((1...1_000_000).contains(rate) && (1...1_000_000_000).contains(burst), "a bucket holds something, and not too much")
        self.rate = rate
        self.burst = burst
        parts = burst * Self.token
        filled = now
    }

    /// Takes one token; nil, or how many nanoseconds it will be until there is one.
    package mutating func take(at now: Int64) -> Int64? {
        fill(at: now)
        guard parts >= Self.token else { return (Self.token - parts + rate - 1) / rate }
        parts -= Self.token
        return nil
    }

    /// Nothing was taken for so long that it might as well be a new one.
    package func isFull(at now: Int64) -> Bool {
        var later = self
        later.fill(at: now)
        return later.parts == burst * Self.token
    }

    private mutating func fill(at now: Int64) {
        guard now > filled else { return }
        // Where the product does not fit, the bucket is full anyhow.
        let (gained, isTooMuch) = (now - filled).multipliedReportingOverflow(by: rate)
        let room = burst * Self.token - parts
        parts += isTooMuch ? room : min(room, gained)
        filled = now
    }
}
