import Primitives

/// Hosts by number, with what lies on each.
struct HostTable: Sendable {
    struct Load: Hashable, Sendable {
        /// By instances and volumes.
        var allocated = Resources.zero
        var instances: Int64 = 0
        /// What of it volumes hold.
        var heldByVolumes = Resources.zero
        var volumes: Int64 = 0
        /// Of its own network.
        var addresses: Set<UInt32> = []
        /// Instances that have an address; more than there are addresses only when two have the same.
        var addressed = 0
        var settled = SetDigest()
    }

    private(set) var entries: ContiguousArray<Occupancy.HostEntry> = []
    private(set) var loads: ContiguousArray<Load> = []
    private var numbers: [HostID: Int] = [:]

    var count: Int { entries.count }
    var ids: [HostID] { entries.map(\.id) }

    func index(of id: HostID) -> Int? { numbers[id] }

    func placeable(_ index: Int) -> Host {
        let entry = entries[index]
        return Host(id: entry.id, zone: entry.zone, state: entry.state, promised: entry.promised, allocated: loads[index].allocated)
    }

    mutating func set(_ entry: Occupancy.HostEntry) {
        if let known = numbers[entry.id] {
            entries[known] = entry
        } else {
            numbers[entry.id] = entries.count
            entries.append(entry)
            loads.append(Load())
        }
    }

    mutating func count(_ volume: Occupancy.VolumeHolding, at index: Int, adding: Bool) {
        if adding { loads[index].allocated += volume.resources } else { loads[index].allocated -= volume.resources }
        if adding { loads[index].heldByVolumes += volume.resources } else { loads[index].heldByVolumes -= volume.resources }
        loads[index].volumes += adding ? 1 : -1
    }

    mutating func count(_ instance: InstanceID, _ holding: Occupancy.Holding, at index: Int, adding: Bool) {
        let taken = holding.allocated
        if adding { loads[index].allocated += taken } else { loads[index].allocated -= taken }
        loads[index].instances += adding ? 1 : -1
        if let address = holding.address, holding.network == nil {
            loads[index].addressed += adding ? 1 : -1
            if adding { loads[index].addresses.insert(address) } else { loads[index].addresses.remove(address) }
        }
        if holding.state == .running || holding.state == .stopped {
            let generation = UInt64(bitPattern: holding.generation)
            let state: UInt64 = holding.state == .running ? 1 : 2
            if adding {
                loads[index].settled.insert(instance.bits, generation, state)
            } else {
                loads[index].settled.remove(instance.bits, generation, state)
            }
        }
    }
}
