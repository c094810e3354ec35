extension GPUWorkload {
    /// How much of a host's free GPUs a usual instance could not use, on average (Weng et al., "Beware of Fragmentation", USENIX ATC
    /// 2023, section 3, the measure F_n(M) of a host n for a workload M): for a shape that cannot run here all that is free, for one that can the free shares too small for it,
    /// weighted by how often the shape comes. Shapes that want no GPU can use none. Memory is not part of the measure.
    /// - Returns: thousandths of a GPU × `totalWeight`.
    /// - Parameter access: which shapes the host's model is for, from `access(to:)`.
    public func fragmentation(of room: GPURoom, access: UInt64 = .max) -> Int64 {
        let free = room.milliGPU
        guard free > 0 else { return 0 }
        var sum: Int64 = 0
        for index in shapes.indices {
            let shape = shapes[index]
            let canRun = shape.gpus > 0 && access >> UInt64(index) & 1 == 1 && room.milliCPU >= shape.milliCPU && room.hasGPUs(shape)
            sum += weights[index] * (canRun ? Self.tooSmall(for: shape, in: room) : free)
        }
        return sum
    }

    private static func tooSmall(for shape: GPUShape, in room: GPURoom) -> Int64 {
        var sum: Int64 = 0
        for gpu in 0..<GPURoom.mostGPUs where Int64(room.gpus[gpu]) < shape.milliEach { sum += Int64(room.gpus[gpu]) }
        return sum
    }

    /// By how much a placement would make fragmentation fall; negative: rise. A share goes to the GPU where it falls most, the first of
    /// equals; whole GPUs are the first ones.
    /// - Parameter before: the fragmentation of `room`.
    public func fragmentationFall(placing shape: GPUShape, in room: GPURoom, before: Int64, access: UInt64 = .max) -> (
        gpus: UInt16, fall: Int64
    ) {
        guard shape.isShare else {
            let bits = room.wholeGPUBits(shape.gpus)
            return (bits, before - fragmentation(of: room.with(shape, on: bits), access: access))
        }
        var best: (gpus: UInt16, fall: Int64)?
        for gpu in 0..<GPURoom.mostGPUs where Int64(room.gpus[gpu]) >= shape.milliEach {
            let bits: UInt16 = 1 << UInt16(gpu)
            let fall = before - fragmentation(of: room.with(shape, on: bits), access: access)
            if fall > best?.fall ?? .min { best = (bits, fall) }
        }
        guard let best else { preconditionFailure("no GPU has that much free") }
        return best
    }
}

extension GPURoom {
    /// What is left when a shape is placed.
    func with(_ shape: GPUShape, on gpus: UInt16) -> GPURoom {
        var room = self
        room.take(shape, gpus: gpus)
        return room
    }
}
