public import Primitives

// The policy `gpuFragmentation`: the host and the GPUs where least of what is usable for GPU instances is lost.
extension PlacementEngine {
    /// What free GPUs are measured by: the shapes that come, and how often. Renew it now and then from what came of late.
    public mutating func setGPUWorkload(_ workload: GPUWorkload) {
        gpu.setWorkload(workload)
        for (number, host) in hosts.enumerated() where host != nil {
            gpu.describe(number, model: host?.gpuModel)
            gpu.measure(number, gpuRoom(number))
        }
    }

    /// How much of the free GPUs of a host a usual instance could not use, in thousandths of a GPU. Nil: no such host.
    public func gpuFragmentation(of id: HostID) -> Int64? {
        guard let number = numbers[id].map(Int.init) else { return nil }
        let total = max(gpu.workload.totalWeight, 1)
        return gpu.workload.fragmentation(of: gpuRoom(number), access: gpu.access[number]) / total
    }

    func gpuRoom(_ host: Int) -> GPURoom {
        let room = rooms[host]
        return GPURoom(milliCPU: Int64(room.free[0]), memoryMiB: Int64(room.free[1]), gpus: room.gpus)
    }

    /// Compares the first hosts of a mask that have room, in the order in which GPU hosts are filled. Each one passed over has to be
    /// saved by the next, see `GPUWorkload.step`.
    func searchGPUs(_ mask: HostMask, _ need: PlacementNeed, _ context: ScoringContext) -> Choice? {
        let workload = gpu.workload
        let (total, step) = (max(workload.totalWeight, 1), workload.step)
        var best: (host: Int, cost: Int64)?
        var passed: Int64 = 0
        for number in gpu.order {
            let host = Int(number)
            guard mask.has(host), hasRoom(need, host) else { continue }
            let locality = localityCost(host, context) * total / 1_000_000
            let cost = gpuLoss(need, host).loss + passed * step + locality
            if cost < best?.cost ?? .max { best = (host, cost) }
            passed += 1
            if passed == GPUWorkload.breadth { break }
        }
        return best.map { Choice(host: $0.host, cost: $0.cost * 1_000_000 / total) }
    }

    func gpuLoss(_ need: PlacementNeed, _ host: Int) -> (gpus: UInt16, loss: Int64) {
        gpu.workload.usabilityLoss(placing: need.gpuNeed, in: gpuRoom(host), before: gpu.usability[host], access: gpu.access[host])
    }
}

extension PlacementNeed {
    var gpuNeed: GPUWorkload.Need {
        let (whole, share) = (amounts[HostRoom.wholeGPUs], amounts[HostRoom.largestShare])
        return GPUWorkload.Need(
            milliCPU: Int64(amounts[0]), memoryMiB: Int64(amounts[1]), gpus: whole > 0 ? Int(whole) : share > 0 ? 1 : 0,
            milliEach: whole > 0 ? 1_000 : Int64(share))
    }
}
