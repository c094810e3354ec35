// Leftovers that stay usable. The measure of the paper (`fragmentation`) asks whether a usual instance still fits; it does not see
// that 1,000 thousandths hold two instances of 470 and not three, nor that the processors run out first. This one counts how many fit.
extension GPUWorkload {
    /// How many instances of the usual shapes a host still has room for, each shape by itself, weighted by how often it comes.
    /// - Returns: instances × `totalWeight`.
    /// - Parameter access: which shapes the host's model is for, from `access(to:)`.
    public func usability(of room: GPURoom, access: UInt64 = .max) -> Int64 {
        copies.count(cpu: room.milliCPU, memory: room.memoryMiB, gpus: copies.lanes(of: room.gpus), access: access)
    }

    /// What a placement costs in usability, on the GPUs where it costs least: of equal ones the first; whole GPUs are the first ones.
    /// - Parameter before: the usability of `room`.
    /// - Returns: the GPUs as bits, and instances × `totalWeight`.
    public func usabilityLoss(placing need: Need, in room: GPURoom, before: Int64, access: UInt64 = .max) -> (gpus: UInt16, loss: Int64) {
        let (cpu, memory) = (room.milliCPU - need.milliCPU, room.memoryMiB - need.memoryMiB)
        guard need.isShare else {
            let bits = room.wholeGPUBits(need.gpus)
            var left = room.gpus
            for gpu in 0..<GPURoom.mostGPUs where bits >> UInt16(gpu) & 1 == 1 { left[gpu] = 0 }
            return (bits, before - copies.count(cpu: cpu, memory: memory, gpus: copies.lanes(of: left), access: access))
        }
        return shareLoss(need, room.gpus, before) { copies.count(cpu: cpu, memory: memory, gpus: $0, access: access) }
    }

    @inline(__always) private func shareLoss(
        _ need: Need, _ free: SIMD16<Int16>, _ before: Int64, _ count: (GPUCopies.Lanes) -> Int64
    ) -> (gpus: UInt16, loss: Int64) {
        let share = Int16(need.milliEach)
        var best = (gpu: -1, loss: Int64.max)
        for gpu in 0..<GPURoom.mostGPUs where free[gpu] >= share {
            if (0..<gpu).contains(where: { free[$0] == free[gpu] }) { continue }
            var left = free
            left[gpu] -= share
            let loss = before - count(copies.lanes(of: left))
            if loss < best.loss { best = (gpu, loss) }
        }
        precondition(best.gpu >= 0, "no GPU has that much free")
        return (1 << UInt16(best.gpu), best.loss)
    }

    /// What is placed, in plain numbers.
    public struct Need: Hashable, Sendable {
        public var milliCPU: Int64
        public var memoryMiB: Int64
        public var gpus: Int
        public var milliEach: Int64

        public init(milliCPU: Int64, memoryMiB: Int64, gpus: Int, milliEach: Int64) {
            self.milliCPU = milliCPU
            self.memoryMiB = memoryMiB
            self.gpus = gpus
            self.milliEach = milliEach
        }

        public init(_ shape: GPUShape) {
            self.init(milliCPU: shape.milliCPU, memoryMiB: shape.memoryMiB, gpus: shape.gpus, milliEach: shape.milliEach)
        }

        var isShare: Bool { gpus == 1 && milliEach < 1_000 }
    }

    /// What is added to the loss of a host for each one passed over before it, in instances × `totalWeight`: 15 thousandths of an
    /// instance. Hosts are looked at in a fixed order, and one further on has to save that much, so that hosts fill up one after the
    /// other and the far ones stay whole. Found on the openb trace, where 9 to 20 thousandths do about as well
    /// (docs/decisions/0022-gpu-fragmentation.md).
    public var step: Int64 { totalWeight * 15 / 1_000 }

    /// How many hosts that fit are compared.
    public static let breadth = 64
}
