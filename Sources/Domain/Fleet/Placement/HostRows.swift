/// Rows of bits, one bit for each host. A question about all hosts at once is a few rows combined, 64 hosts at a step.
struct HostRows: Sendable {
    private var words: ContiguousArray<UInt64> = []
    /// Words in a row.
    private(set) var stride = 1
    private(set) var count = 0

    var footprint: Int { words.capacity * 8 }

    /// Adds an empty row and returns its number.
    mutating func add() -> Int32 {
        words.append(contentsOf: repeatElement(0, count: stride))
        count += 1
        return Int32(count - 1)
    }

    /// Makes room for so many hosts.
    mutating func reserve(hosts: Int) {
        let needed = (hosts + 63) / 64
        guard needed > stride else { return }
        let wider = max(needed, stride * 2)
        var moved = ContiguousArray<UInt64>(repeating: 0, count: wider * count)
        for row in 0..<count {
            for word in 0..<stride { moved[row * wider + word] = words[row * stride + word] }
        }
        words = moved
        stride = wider
    }

    @inline(__always) func has(_ row: Int32, _ host: Int) -> Bool { words[Int(row) &* stride &+ host >> 6] >> UInt64(host & 63) & 1 == 1 }

    @inline(__always) mutating func set(_ row: Int32, _ host: Int) { words[Int(row) &* stride &+ host >> 6] |= 1 << UInt64(host & 63) }

    @inline(__always) mutating func clear(_ row: Int32, _ host: Int) { words[Int(row) &* stride &+ host >> 6] &= ~(1 << UInt64(host & 63)) }

    mutating func set(_ row: Int32, _ host: Int, to value: Bool) { if value { set(row, host) } else { clear(row, host) } }

    // MARK: With a mask of as many words as a row has

    func copy(_ row: Int32, to mask: inout HostMask) { mask.combine(words, Int(row) * stride) { _, b in b } }
    func keep(_ row: Int32, in mask: inout HostMask) { mask.combine(words, Int(row) * stride) { a, b in a & b } }
    func remove(_ row: Int32, from mask: inout HostMask) { mask.combine(words, Int(row) * stride) { a, b in a & ~b } }
    func add(_ row: Int32, to mask: inout HostMask) { mask.combine(words, Int(row) * stride) { a, b in a | b } }
    /// Keeps what is in all of five rows.
    func keep(_ five: (Int32, Int32, Int32, Int32, Int32), in mask: inout HostMask) {
        let starts = (Int(five.0) * stride, Int(five.1) * stride, Int(five.2) * stride, Int(five.3) * stride, Int(five.4) * stride)
        words.withUnsafeBufferPointer { words in
            mask.words.withUnsafeMutableBufferPointer { mask in
                for index in 0..<mask.count {
                    let first = words[starts.0 &+ index] & words[starts.1 &+ index] & words[starts.2 &+ index]
                    mask[index] &= first & words[starts.3 &+ index] & words[starts.4 &+ index]
                }
            }
        }
    }
    /// Keeps what is in one of two rows.
    func keep(_ row: Int32, or other: Int32, in mask: inout HostMask) {
        mask.combine(words, Int(row) * stride, Int(other) * stride) { a, b, c in a & (b | c) }
    }
    /// Removes what is in the first row and not in the second.
    func remove(_ row: Int32, except other: Int32, from mask: inout HostMask) {
        mask.combine(words, Int(row) * stride, Int(other) * stride) { a, b, c in a & (~b | c) }
    }
    /// The hosts of a mask that are in one row and in another, and which words of the result are not zero.
    func intersect(
        _ mask: HostMask, _ row: Int32, within other: Int32, to result: inout HostMask, _ summary: inout ContiguousArray<UInt64>
    ) { intersect(mask, row, other, flip: 0, &result, &summary) }

    /// The hosts of a mask that are in one row and not in another.
    func intersect(
        _ mask: HostMask, _ row: Int32, without other: Int32, to result: inout HostMask, _ summary: inout ContiguousArray<UInt64>
    ) { intersect(mask, row, other, flip: ~0, &result, &summary) }

    private func intersect(
        _ mask: HostMask, _ row: Int32, _ other: Int32, flip: UInt64, _ result: inout HostMask, _ summary: inout ContiguousArray<UInt64>
    ) {
        let (first, second) = (Int(row) * stride, Int(other) * stride)
        result.words.withUnsafeMutableBufferPointer { result in
            mask.words.withUnsafeBufferPointer { mask in
                words.withUnsafeBufferPointer { words in
                    for index in 0..<result.count {
                        result[index] = mask[index] & words[first &+ index] & (words[second &+ index] ^ flip)
                    }
                }
            }
            for part in summary.indices {
                var bits: UInt64 = 0
                for index in (part * 64)..<min(result.count, part * 64 + 64) {
                    bits |= (result[index] == 0 ? 0 : 1) << UInt64(index & 63)
                }
                summary[part] = bits
            }
        }
    }
}

/// A set of hosts that a question is worked out in.
struct HostMask: Sendable {
    var words: ContiguousArray<UInt64>

    init(stride: Int) { words = ContiguousArray(repeating: 0, count: stride) }

    static let none = HostMask(stride: 0)

    @inline(__always) mutating func set(_ host: Int) { words[host >> 6] |= 1 << UInt64(host & 63) }
    @inline(__always) mutating func clear(_ host: Int) { words[host >> 6] &= ~(1 << UInt64(host & 63)) }
    @inline(__always) func has(_ host: Int) -> Bool { words[host >> 6] >> UInt64(host & 63) & 1 == 1 }

    mutating func clear() { for word in words.indices { words[word] = 0 } }

    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    mutating func keep(_ other: HostMask) { combine(other.words, 0) { a, b in a & b } }

    /// The lowest host in the set from `host` on.
    func next(from host: Int) -> Int? {
        var word = host >> 6
        guard word < words.count else { return nil }
        var bits = words[word] & (~0 << UInt64(host & 63))
        while bits == 0 {
            word += 1
            guard word < words.count else { return nil }
            bits = words[word]
        }
        return word << 6 + bits.trailingZeroBitCount
    }

    @inline(__always) fileprivate mutating func combine(
        _ rows: ContiguousArray<UInt64>, _ start: Int, _ operation: (UInt64, UInt64) -> UInt64
    ) {
        rows.withUnsafeBufferPointer { rows in
            words.withUnsafeMutableBufferPointer { words in
                for index in 0..<words.count { words[index] = operation(words[index], rows[start &+ index]) }
            }
        }
    }

    @inline(__always) fileprivate mutating func combine(
        _ rows: ContiguousArray<UInt64>, _ first: Int, _ second: Int, _ operation: (UInt64, UInt64, UInt64) -> UInt64
    ) {
        rows.withUnsafeBufferPointer { rows in
            words.withUnsafeMutableBufferPointer { words in
                for index in 0..<words.count {
                    words[index] = operation(words[index], rows[first &+ index], rows[second &+ index])
                }
            }
        }
    }
}
