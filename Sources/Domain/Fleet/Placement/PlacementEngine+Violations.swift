import Primitives

// For auditors: everything kept up to date step by step, worked out again from the allocations and compared.
extension PlacementEngine {
    /// What is wrong, one sentence each; empty: nothing.
    public func violations() -> [String] {
        var found: [String] = []
        var rackLoads = [Int32](repeating: 0, count: rackLoads.count)
        var seen = 0
        for number in hosts.indices {
            guard let host = hosts[number] else { continue }
            if tenancy.tenants.count(number) > 0 { rackLoads[Int(places[number][PlacementLevel.rack.index])] += 1 }
            seen += tenancy.tenants.count(number)
            check(host, number, &found)
            checkTenancy(host, number, &found)
        }
        if seen != table.count { found.append("hosts have \(seen) allocations, the table \(table.count)") }
        if !rackLoads.indices.allSatisfy({ rackLoads[$0] == self.rackLoads[$0] }) { found.append("racks are counted wrongly") }
        checkGroups(&found)
        return found
    }

    private func check(_ host: PlacementHost, _ number: Int, _ found: inout [String]) {
        var room = HostRoom(empty: host)
        var reclaimed = SIMD8<Int32>.zero
        var count = 0
        var interruptible = 0
        tenancy.tenants.forEachInterruptible(on: number) { _ in interruptible += 1 }
        forEachAllocation(on: number) { _, record in
            room.take(record.need, gpus: record.gpus, cell: record.cell, sign: 1)
            if record.flags.contains(.interruptible) {
                reclaimed &+= record.need
                interruptible -= 1
            }
            count += 1
        }
        if !room.isNonNegative { found.append("host \(host.id) has more allocated than it has") }
        let kept = rooms[number]
        if room.free != kept.free || room.gpus != kept.gpus || room.cellCPU != kept.cellCPU || room.cellMemory != kept.cellMemory {
            found.append("host \(host.id): what is free is not capacity less allocations")
        }
        if reclaimed != reclaimable[number] || interruptible != 0 {
            found.append("host \(host.id): what is interruptible is counted wrongly")
        }
        if count != Int(rooms.glances[number].count) || rooms.glances[number].pod != places[number][PlacementLevel.pod.index] {
            found.append("host \(host.id): its allocations are counted wrongly")
        }
        let values =
            (0..<5).map { kept.free[$0] }
            + [kept.free[HostRoom.wholeGPUs], kept.free[HostRoom.largestShare], kept.cellCPU.max(), kept.cellMemory.max()]
        for (family, value) in values.enumerated() where !levels.isRight(number, family, value, rows) {
            found.append("host \(host.id): level of family \(family) is wrong")
        }
        let right = rooms.glances[number].scale.fullnessClass(kept.free)
        if fullness.classOf(number) != right || !fullness.contains(number, in: Int(right)) {
            found.append("host \(host.id): its fullness is wrong")
        }
        if host.gpuCount > 0, gpu.usability[number] != gpu.workload.usability(of: gpuRoom(number), access: gpu.access[number]) {
            found.append("host \(host.id): its usability for GPU instances is wrong")
        }
        if rows.has(up, number) != (host.state == .up) { found.append("host \(host.id): its state is wrong") }
    }

    /// Everyone on a host is in every circle that is in force there.
    private func checkTenancy(_ host: PlacementHost, _ number: Int, _ found: inout [String]) {
        var parties: Set<Int32> = []
        var circles: Set<Int32> = []
        forEachAllocation(on: number) { _, record in
            parties.insert(record.party)
            let circle = tenancies[record.tenancy][TenancyLedger.host]
            if circle >= 0 { circles.insert(circle) }
        }
        for circle in circles where !parties.isSubset(of: tenancy.circles[circle]) {
            found.append("host \(host.id) is shared with somebody who is not allowed there")
        }
        if rows.has(tenancy.closed, number) == circles.isEmpty || rows.has(tenancy.occupied, number) == parties.isEmpty {
            found.append("host \(host.id): its tenancy is kept wrongly")
        }
    }

    private func checkGroups(_ found: inout [String]) {
        var members: [UInt64: Int32] = [:]
        for slot in 0..<table.records.count where table[slot].flags.contains(.live) {
            for number in groups.groups(of: slot) { members[groups.groups[Int(number)].id, default: 0] += 1 }
        }
        for (id, count) in members.sorted(by: { $0.key < $1.key }) where groups.find(id)?.members != count {
            found.append("group \(id) has \(count) members and counts \(groups.find(id)?.members ?? 0)")
        }
        if members.count != groups.count { found.append("\(groups.count) groups are kept, \(members.count) have members") }
    }
}
