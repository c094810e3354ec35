/// What is free on one host, down to its GPUs and NUMA cells. Small enough to copy: what-if questions take one and change it.
struct HostRoom: Sendable {
    /// Processor, memory, disk, IOPS, network, milli-GPU; whole GPUs; the largest free share of one GPU.
    var free: SIMD8<Int32>
    /// Thousandths free of each GPU; 0 where there is none.
    var gpus: SIMD16<Int16>
    /// Processor and memory of each NUMA cell that instances bound to it have left; -1 where there is none.
    var cellCPU: SIMD8<Int32>
    var cellMemory: SIMD8<Int32>

    static let wholeGPUs = 6
    static let largestShare = 7

    /// Whether an amount fits, but for NUMA.
    @inline(__always) func holds(_ need: SIMD8<Int32>) -> Bool { all(need .<= free) }

    /// The NUMA cell that is left with the least processor, then the first.
    func cell(for need: SIMD8<Int32>) -> Int? {
        var best: Int?
        for cell in 0..<PlacementHost.mostCells where cellCPU[cell] >= need[0] && cellMemory[cell] >= need[1] {
            if let best, cellCPU[best] <= cellCPU[cell] { continue }
            best = cell
        }
        return best
    }

    /// The GPUs to take, as bits: for a share the one with the least free that is enough, so that whole ones stay whole; else the first
    /// whole ones. 0: none wanted.
    func gpuBits(for need: SIMD8<Int32>) -> UInt16 {
        if need[Self.wholeGPUs] > 0 { return wholeGPUBits(Int(need[Self.wholeGPUs])) }
        let share = Int16(truncatingIfNeeded: need[Self.largestShare])
        guard share > 0 else { return 0 }
        var best = -1
        for gpu in 0..<PlacementHost.mostGPUs where gpus[gpu] >= share && (best < 0 || gpus[gpu] < gpus[best]) { best = gpu }
        precondition(best >= 0, "no GPU has that much free")
        return 1 << UInt16(best)
    }

    private func wholeGPUBits(_ count: Int) -> UInt16 {
        var bits: UInt16 = 0
        for gpu in 0..<PlacementHost.mostGPUs where gpus[gpu] == 1_000 && bits.nonzeroBitCount < count { bits |= 1 << UInt16(gpu) }
        precondition(bits.nonzeroBitCount == count, "not enough whole GPUs")
        return bits
    }

    /// Takes (`sign` 1) or gives back (-1) an amount, on these GPUs and this cell.
    @inline(__always) mutating func take(_ need: SIMD8<Int32>, gpus bits: UInt16, cell: Int8, sign: Int32) {
        let (whole, share) = (free[Self.wholeGPUs], free[Self.largestShare])
        free &-= need &* SIMD8(repeating: sign)
        free[Self.wholeGPUs] = whole
        free[Self.largestShare] = share
        if bits != 0 { takeGPUs(need, bits, sign) }
        if cell >= 0 {
            cellCPU[Int(cell)] -= need[0] * sign
            cellMemory[Int(cell)] -= need[1] * sign
        }
    }

    private mutating func takeGPUs(_ need: SIMD8<Int32>, _ bits: UInt16, _ sign: Int32) {
        let each = need[Self.wholeGPUs] > 0 ? 1_000 : need[Self.largestShare]
        for gpu in 0..<PlacementHost.mostGPUs where bits >> UInt16(gpu) & 1 == 1 { gpus[gpu] -= Int16(each * sign) }
        countGPUs()
    }

    mutating func countGPUs() {
        var whole: Int32 = 0
        for gpu in 0..<PlacementHost.mostGPUs where gpus[gpu] == 1_000 { whole += 1 }
        free[Self.wholeGPUs] = whole
        free[Self.largestShare] = Int32(gpus.max())
    }

    /// Whether nothing is below zero, where it could be after a change on these GPUs and this cell.
    @inline(__always) func isSound(gpus bits: UInt16, cell: Int8) -> Bool {
        guard all(free .>= 0), bits == 0 || all(gpus .>= 0) && all(gpus .<= 1_000) else { return false }
        return cell < 0 || cellCPU[Int(cell)] >= 0 && cellMemory[Int(cell)] >= 0
    }

    var isNonNegative: Bool {
        all(free .>= 0) && all(gpus .>= 0) && all(gpus .<= 1_000) && all(cellCPU .>= -1) && all(cellMemory .>= -1)
    }
}

extension HostRoom {
    /// Of a host that is not there.
    static let nothing = HostRoom(free: .zero, gpus: .zero, cellCPU: .zero, cellMemory: .zero)

    /// A host with nothing on it.
    init(empty host: PlacementHost) {
        let amounts = host.capacity.lanes
        free = amounts
        free[5] = Int32(host.gpuCount) * 1_000
        gpus = .zero
        for gpu in 0..<host.gpuCount { gpus[gpu] = 1_000 }
        cellCPU = SIMD8(repeating: -1)
        cellMemory = SIMD8(repeating: -1)
        for (index, cell) in host.cells.enumerated() {
            cellCPU[index] = Int32(cell.milliCPU)
            cellMemory[index] = Int32(cell.memoryMiB)
        }
        if host.cells.isEmpty { (cellCPU[0], cellMemory[0]) = (amounts[0], amounts[1]) }
        countGPUs()
    }
}
