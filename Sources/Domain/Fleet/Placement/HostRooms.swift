/// What is free on each host: what every decision looks at in one cache line, and GPUs and NUMA cells by themselves.
struct HostRooms: Sendable {
    private(set) var glances = FlatArray<HostGlance>()
    private var devices = FlatArray<HostDevices>()

    var footprint: Int { glances.footprint + devices.footprint }

    mutating func join(_ host: Int) {
        while glances.count <= host {
            glances.append(HostGlance())
            devices.append(HostDevices())
        }
    }

    subscript(host: Int) -> HostRoom {
        @inline(__always) get {
            let devices = devices[host]
            return HostRoom(free: glances[host].free, gpus: devices.gpus, cellCPU: devices.cellCPU, cellMemory: devices.cellMemory)
        }
        set {
            glances[host].free = newValue.free
            devices[host] = HostDevices(gpus: newValue.gpus, cellCPU: newValue.cellCPU, cellMemory: newValue.cellMemory)
        }
    }

    /// Takes (`sign` 1) or gives back (-1) an amount, on these GPUs and this cell.
    @inline(__always) mutating func take(_ need: SIMD8<Int32>, gpus: UInt16, cell: Int8, sign: Int32, on host: Int) {
        let isSound: Bool
        if gpus == 0, cell < 0 {
            let free = glances[host].free &- need &* SIMD8(repeating: sign)
            glances[host].free = free
            isSound = all(free .>= 0)
        } else {
            var room = self[host]
            room.take(need, gpus: gpus, cell: cell, sign: sign)
            self[host] = room
            isSound = room.isSound(gpus: gpus, cell: cell)
        }
        precondition(isSound, "more is allocated on a host than it has")
    }

    mutating func describe(_ host: Int, scale: HostScale, pod: Int32) { (glances[host].scale, glances[host].pod) = (scale, pod) }

    @inline(__always) mutating func note(_ host: Int, count: Int32, levels: SIMD16<UInt8>) {
        let glances = glances.owned
        (glances[host].count, glances[host].levels) = (count, levels)
    }
}

/// What most decisions look at on a host: one cache line.
struct HostGlance: Sendable, BitwiseCopyable {
    var free: SIMD8<Int32> = .zero
    var scale = HostScale(capacity: .zero)
    /// How many allocations there are.
    var count: Int32 = 0
    /// Number of the pod, as a domain.
    var pod: Int32 = -1
    /// By family of `CapacityLevels`.
    var levels: SIMD16<UInt8> = .zero
}

private struct HostDevices: Sendable, BitwiseCopyable {
    var gpus: SIMD16<Int16> = .zero
    var cellCPU: SIMD8<Int32> = .zero
    var cellMemory: SIMD8<Int32> = .zero
}
