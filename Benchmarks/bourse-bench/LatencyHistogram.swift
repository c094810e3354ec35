/// Counts of latencies in microseconds, each kept to three significant digits whatever its size (a high dynamic range histogram):
/// 2,048 linear steps for each doubling.
struct LatencyHistogram: Sendable {
    private static let steps = 2_048
    private static let half = steps / 2
    /// Up to 2^36 µs, 19 hours.
    private var counts = [Int](repeating: 0, count: (36 - 10) * half + steps)
    private(set) var count = 0
    private(set) var largest = 0

    init() {}

    mutating func add(_ latency: Duration) {
        let (seconds, attoseconds) = latency.components
        let microseconds = Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
        counts[min(Self.bucket(of: microseconds), counts.count - 1)] += 1
        count += 1
        largest = max(largest, microseconds)
    }

    mutating func add(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        largest = max(largest, other.largest)
    }

    private static func bucket(of value: Int) -> Int {
        guard value >= steps else { return max(0, value) }
        let doublings = Int.bitWidth - value.leadingZeroBitCount - 11
        return doublings * half + (value >> doublings)
    }

    /// The largest value that counts as one in the bucket.
    private static func top(of bucket: Int) -> Int {
        guard bucket >= steps else { return bucket }
        let doublings = bucket / half - 1
        return ((bucket - doublings * half + 1) << doublings) - 1
    }

    /// Microseconds that this share of all latencies, in percent, did not exceed.
    func percentile(_ percent: Double) -> Int {
        let wanted = max(1, Int((Double(count) * percent / 100).rounded(.up)))
        var seen = 0
        for (bucket, number) in counts.enumerated() where number > 0 {
            seen += number
            if seen >= wanted { return min(Self.top(of: bucket), largest) }
        }
        return largest
    }

    /// One line for each step towards the slowest.
    var lines: [String] {
        [50, 75, 90, 95, 99, 99.9, 99.99, 100].map { percent in
            let value = percentile(percent)
            return "    \(percent)%".padded(to: 14) + "\(value / 1_000).\(String(value % 1_000 + 1_000).dropFirst()) ms"
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
