/// Hosts sorted into classes by how full they are, so that a walk begins with the fullest or the emptiest.
///
/// Each class is a row of bits, and a summary of the row: one bit for each of its words that is not zero. Full hosts, of which there
/// are many and which have room for little, are told apart more finely than empty ones.
struct FullnessClasses: Sendable {
    static let count = 96
    /// The fullest class that an empty host can be in.
    static let emptiest = 3

    private var rows = FlatArray<UInt64>()
    private var summaries = FlatArray<UInt64>()
    private var classes = FlatArray<UInt8>()
    private(set) var counts = ContiguousArray<Int32>(repeating: 0, count: FullnessClasses.count)
    private var stride = 0
    private var summaryStride = 0
    /// No host is larger than this by any component it has.
    private var largest = HostScale.ofNothing

    var footprint: Int { rows.footprint + summaries.footprint + classes.footprint }

    func classOf(_ host: Int) -> UInt8 { classes[host] }

    /// Makes rows of so many words.
    mutating func resize(_ words: Int) {
        guard words > stride else { return }
        let (old, oldStride) = (rows, stride)
        stride = words
        summaryStride = (words + 63) / 64
        rows = FlatArray(repeating: 0, count: Self.count * stride)
        summaries = FlatArray(repeating: 0, count: Self.count * summaryStride)
        for row in 0..<Self.count {
            for word in 0..<oldStride where old[row * oldStride + word] != 0 {
                rows[row * stride + word] = old[row * oldStride + word]
                summaries[row * summaryStride + word >> 6] |= 1 << UInt64(word & 63)
            }
        }
    }

    mutating func join(_ host: Int, _ number: UInt8) {
        while classes.count <= host { classes.append(0) }
        classes[host] = number
        insert(host, Int(number))
    }

    mutating func leave(_ host: Int) { remove(host, Int(classes[host])) }

    /// There is a host of this size.
    mutating func admit(_ scale: HostScale) { largest = largest.orLarger(scale) }

    @inline(__always) mutating func move(_ host: Int, to number: UInt8) {
        guard classes[host] != number else { return }
        remove(host, Int(classes[host]))
        classes[host] = number
        insert(host, Int(number))
    }

    private mutating func insert(_ host: Int, _ number: Int) {
        counts[number] += 1
        let (word, summary) = (rows.owned + (number &* stride &+ host >> 6), summaries.owned + (number &* summaryStride &+ host >> 12))
        word.pointee |= 1 << UInt64(host & 63)
        summary.pointee |= 1 << UInt64(host >> 6 & 63)
    }

    private mutating func remove(_ host: Int, _ number: Int) {
        counts[number] -= 1
        let (word, summary) = (rows.owned + (number &* stride &+ host >> 6), summaries.owned + (number &* summaryStride &+ host >> 12))
        word.pointee &= ~(1 << UInt64(host & 63))
        if word.pointee == 0 { summary.pointee &= ~(1 << UInt64(host >> 6 & 63)) }
    }

    /// The fullest class in which any host could have room for an amount.
    @inline(__always) func fullest(for need: SIMD8<Int32>) -> Int { Int(largest.fullnessClass(need)) }

    /// Calls for each host of a mask in one class, ascending, as long as the answer is true.
    @inline(__always) func forEach(in number: Int, _ mask: HostMask, _ body: (Int) -> Bool) {
        let (row, summary) = (rows.base + number &* stride, summaries.base + number &* summaryStride)
        for part in 0..<summaryStride {
            var words = summary[part]
            while words != 0 {
                let word = part << 6 + words.trailingZeroBitCount
                words &= words &- 1
                var bits = row[word] & mask.word(word)
                while bits != 0 {
                    guard body(word << 6 + bits.trailingZeroBitCount) else { return }
                    bits &= bits &- 1
                }
            }
        }
    }

    func contains(_ host: Int, in number: Int) -> Bool { rows[number * stride + host >> 6] >> UInt64(host & 63) & 1 == 1 }
}
