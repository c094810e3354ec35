import Primitives

/// What the engine keeps about hosts with GPUs, by host number.
struct GPUIndex: Sendable {
    private(set) var workload = GPUWorkload.standard
    /// Usability of what is free, kept up to date so that a decision works out only what would come of it.
    private(set) var usability: ContiguousArray<Int64> = []
    /// Which of the workload's shapes may run on the host's model.
    private(set) var access: ContiguousArray<UInt64> = []
    /// Hosts of pods that follow `gpuFragmentation`, in the order in which they are filled.
    private(set) var order: ContiguousArray<Int32> = []
    /// Hosts came or went, or a pod follows another policy, since the order was made.
    var isStale = true

    mutating func setWorkload(_ workload: GPUWorkload) { self.workload = workload }

    mutating func describe(_ host: Int, model: String?) {
        while access.count <= host {
            access.append(0)
            usability.append(0)
        }
        access[host] = workload.access(to: model)
        isStale = true
    }

    mutating func measure(_ host: Int, _ room: GPURoom) { usability[host] = workload.usability(of: room, access: access[host]) }

    /// Mixes hosts of different hardware in equal parts from first to last: filled in this order, the instances that come find all
    /// kinds of hosts open. In an order sorted by hardware those with few processors for a GPU would be left with GPUs that nobody can
    /// use.
    mutating func mix(_ hosts: ContiguousArray<PlacementHost?>, _ policyOfPod: [PodID: PlacementPolicy]) {
        isStale = false
        var counts: [Hardware: Int] = [:]
        var members: [(host: Int32, hardware: Hardware, rank: Int)] = []
        for (number, host) in hosts.enumerated() {
            guard let host, policyOfPod[host.pod] == .gpuFragmentation else { continue }
            let hardware = Hardware(host)
            members.append((Int32(number), hardware, counts[hardware, default: 0]))
            counts[hardware, default: 0] += 1
        }
        // Sorted by (rank + 1/2) / count; compared by cross multiplication. Sorting by number first makes ties deterministic.
        let keyed = members.map { (host: $0.host, place: 2 * $0.rank + 1, of: counts[$0.hardware, default: 1]) }
        order = ContiguousArray(
            keyed.sorted { a, b in
                let (left, right) = (a.place * b.of, b.place * a.of)
                return left == right ? a.host < b.host : left < right
            }.map(\.host))
    }

    private struct Hardware: Hashable {
        var milliCPU: Int64
        var memoryMiB: Int64
        var gpus: Int
        var model: String?

        init(_ host: PlacementHost) {
            (milliCPU, memoryMiB, gpus, model) = (host.capacity.milliCPU, host.capacity.memoryMiB, host.gpuCount, host.gpuModel)
        }
    }
}
