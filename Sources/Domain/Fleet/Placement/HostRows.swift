/// Rows of bits, one bit for each host. A question about all hosts at once is a few rows combined, 64 hosts at a step.
struct HostRows: Sendable {
    private var words = FlatArray<UInt64>()
    /// Words in a row, a multiple of `grain`.
    private(set) var stride = HostRows.grain
    private(set) var count = 0

    /// Words in a cache line.
    static let grain = 8
    /// The row of no host, for what nothing is known of.
    static let nobody: Int32 = 0

    init() { _ = add() }

    var footprint: Int { words.footprint }

    /// Adds an empty row and returns its number.
    mutating func add() -> Int32 {
        words.append(repeating: 0, count: stride)
        count += 1
        return Int32(count - 1)
    }

    /// Makes room for so many hosts.
    mutating func reserve(hosts: Int) {
        let needed = (hosts + 64 * Self.grain - 1) / (64 * Self.grain) * Self.grain
        guard needed > stride else { return }
        let wider = max(needed, stride * 2)
        var moved = FlatArray<UInt64>(repeating: 0, count: wider * count)
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

    /// Sets or clears a host in so many rows that follow each other.
    @inline(__always) mutating func set(_ rows: Range<Int32>, _ host: Int, to value: Bool) {
        let (bit, words) = (1 << UInt64(host & 63) as UInt64, words.owned + host >> 6)
        for row in rows {
            let at = Int(row) &* stride
            words[at] = value ? words[at] | bit : words[at] & ~bit
        }
    }

    // MARK: With a mask of as many words as a row has

    func copy(_ row: Int32, to mask: inout HostMask) { mask.words.owned.update(from: words.base + Int(row) * stride, count: stride) }

    func add(_ row: Int32, to mask: inout HostMask) {
        let (from, to) = (words.base + Int(row) * stride, mask.words.owned)
        for word in 0..<stride { to[word] |= from[word] }
    }

    /// Leaves the hosts of which everything holds that a question asks.
    func keep(_ query: RowQuery, in mask: inout HostMask) {
        let to = UnsafeMutableRawPointer(mask.words.owned)
        narrow(UnsafeRawPointer(to), query, to: to)
    }

    /// The hosts of a row of which everything holds that a question asks.
    func find(_ query: RowQuery, in row: Int32, to mask: inout HostMask) {
        narrow(line(row), query, to: UnsafeMutableRawPointer(mask.words.owned))
    }

    @inline(__always) private func line(_ row: Int32) -> UnsafeRawPointer { UnsafeRawPointer(words.base + Int(row) &* stride) }

    /// Four rows at a time, so that what is left is seldom stored and nothing is looked up within a pass; the last one counts again where
    /// there are fewer.
    private func narrow(_ source: UnsafeRawPointer, _ query: RowQuery, to: UnsafeMutableRawPointer) {
        let last = query.rows.count &- 1
        var from = source
        var index = 0
        repeat {
            let (a, b) = (last < 0 ? from : line(query.rows.base[index]), last < 0 ? from : line(query.rows.base[min(index &+ 1, last)]))
            let (c, d) = (
                last < 0 ? b : line(query.rows.base[min(index &+ 2, last)]), last < 0 ? b : line(query.rows.base[min(index &+ 3, last)])
            )
            for offset in Swift.stride(from: 0, to: stride &* 8, by: 64) {
                let left =
                    from.load(fromByteOffset: offset, as: SIMD8<UInt64>.self) & a.load(fromByteOffset: offset, as: SIMD8<UInt64>.self)
                    & b.load(fromByteOffset: offset, as: SIMD8<UInt64>.self) & c.load(fromByteOffset: offset, as: SIMD8<UInt64>.self)
                    & d.load(fromByteOffset: offset, as: SIMD8<UInt64>.self)
                to.storeBytes(of: left, toByteOffset: offset, as: SIMD8<UInt64>.self)
            }
            from = UnsafeRawPointer(to)
            index &+= 4
        } while index <= last
        for index in 0..<query.exclusions.count {
            let (out, but) = (line(query.exclusions.base[index].row), line(query.exclusions.base[index].exception))
            for offset in Swift.stride(from: 0, to: stride &* 8, by: 64) {
                let gone =
                    out.load(fromByteOffset: offset, as: SIMD8<UInt64>.self) & ~but.load(fromByteOffset: offset, as: SIMD8<UInt64>.self)
                let left = to.load(fromByteOffset: offset, as: SIMD8<UInt64>.self) & ~gone
                to.storeBytes(of: left, toByteOffset: offset, as: SIMD8<UInt64>.self)
            }
        }
    }

    /// Takes the hosts of a row out of a mask.
    func remove(_ row: Int32, from mask: inout HostMask) {
        let (out, to) = (words.base + Int(row) * stride, mask.words.owned)
        for word in 0..<stride { to[word] &= ~out[word] }
    }

    /// The hosts of a mask that are in one row and in another; flipped, not in the other.
    func intersect(_ mask: HostMask, _ row: Int32, _ other: Int32, flipped: Bool, to result: inout HostMask) {
        let (row, other) = (words.base + Int(row) * stride, words.base + Int(other) * stride)
        let (from, to, flip) = (mask.words.base, result.words.owned, flipped ? ~0 : 0 as UInt64)
        for word in 0..<stride { to[word] = from[word] & row[word] & (other[word] ^ flip) }
    }
}

/// A question to all hosts: each is to be in every one of some rows, and in none of others but for those in the exception of that row.
struct RowQuery: Sendable {
    struct Exclusion: BitwiseCopyable {
        var row: Int32
        var exception: Int32
    }

    fileprivate(set) var rows = FlatArray<Int32>(capacity: 32)
    var exclusions = FlatArray<Exclusion>(capacity: 32)

    var isEmpty: Bool { rows.count == 0 && exclusions.count == 0 }

    @inline(__always) mutating func removeAll() {
        rows.removeAll()
        exclusions.removeAll()
    }

    @inline(__always) mutating func keep(_ row: Int32) { rows.append(row) }

    /// Nil: no host is in it.
    @inline(__always) mutating func keep(_ row: Int32?) { rows.append(row ?? HostRows.nobody) }

    @inline(__always) mutating func remove(_ row: Int32, except exception: Int32 = HostRows.nobody) {
        exclusions.append(Exclusion(row: row, exception: exception))
    }

    mutating func keepNobody() { rows.append(HostRows.nobody) }
}

/// A set of hosts that a question is worked out in.
struct HostMask: Sendable {
    fileprivate(set) var words: FlatArray<UInt64>

    init(stride: Int) { words = FlatArray(repeating: 0, count: stride) }

    @inline(__always) mutating func set(_ host: Int) { words[host >> 6] |= 1 << UInt64(host & 63) }
    @inline(__always) mutating func clear(_ host: Int) { words[host >> 6] &= ~(1 << UInt64(host & 63)) }
    @inline(__always) func has(_ host: Int) -> Bool { words[host >> 6] >> UInt64(host & 63) & 1 == 1 }

    mutating func set(_ hosts: ContiguousArray<Int32>) {
        let words = words.owned
        for host in hosts { words[Int(host) >> 6] |= 1 << UInt64(host & 63) }
    }

    mutating func clear(_ hosts: ContiguousArray<Int32>) {
        let words = words.owned
        for host in hosts { words[Int(host) >> 6] &= ~(1 << UInt64(host & 63)) }
    }

    mutating func clear() { words.owned.update(repeating: 0, count: words.count) }

    var stride: Int { words.count }
    @inline(__always) func word(_ index: Int) -> UInt64 { words[index] }
    var count: Int { (0..<words.count).reduce(0) { $0 + words[$1].nonzeroBitCount } }

    mutating func keep(_ other: HostMask) {
        let to = words.owned
        for word in 0..<words.count { to[word] &= other.words[word] }
    }

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
}
