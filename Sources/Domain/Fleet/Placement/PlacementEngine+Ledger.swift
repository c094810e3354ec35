import Primitives

// What enters and leaves hosts, and the indexes that follow.
extension PlacementEngine {
    /// Where exactly something goes.
    struct Spot {
        var host: Int
        var gpus: UInt16
        var cell: Int8
    }

    /// Enters an allocation. The spot has room for it.
    @discardableResult
    mutating func enter(_ request: PlacementRequest, _ need: PlacementNeed, at spot: Spot, reservedUntil: Instant? = nil) -> Int {
        var flags: AllocationRecord.Flags = .live
        if request.interruptible { flags.insert(.interruptible) }
        if reservedUntil != nil { flags.insert(.reserved) }
        if !request.groups.isEmpty { flags.insert(.grouped) }
        let record = AllocationRecord(
            instance: request.instance.bits, contract: request.contract?.bits ?? 0,
            predictedEnd: request.predictedEnd?.microseconds ?? .max, host: Int32(spot.host), need: need.amounts, party: need.party,
            tenancy: tenancies.intern(need.circles), network: request.network.map { networks.intern($0) } ?? -1,
            priority: request.priority, gpus: spot.gpus, cell: spot.cell, flags: flags)
        return enter(record, request.groups, request.outlook ?? .unknown, reservedUntil: reservedUntil)
    }

    @discardableResult
    mutating func enter(
        _ record: AllocationRecord, _ wanted: [PlacementGroup], _ outlook: LifetimeOutlook, reservedUntil: Instant?
    ) -> Int {
        let host = Int(record.host)
        let head = table.heads[host]
        let sole = head >= 0 ? table[Int(head)].party : -1
        let slot = table.insert(record)
        lifetimes.enter(slot, host, outlook, isFirst: head < 0)
        tenancy.enter(party: record.party, circles: tenancies[record.tenancy], places: tenancyPlaces[host], &rows, sole: sole)
        if !wanted.isEmpty { groups.enter(slot, wanted, places: places[host]) }
        if record.network >= 0 { _ = networkPods.increment(networkKey(record.network, glances[host].pod)) }
        if let reservedUntil { expiries.push(reservedUntil, InstanceID(bits: record.instance)) }
        change(record, sign: 1)
        return slot
    }

    /// Takes an allocation away again, and says what it was.
    @discardableResult
    mutating func exit(_ slot: Int) -> AllocationRecord {
        let record = table[slot]
        let host = Int(record.host)
        table.remove(slot)
        lifetimes.exit(slot, host)
        let head = table.heads[host]
        tenancy.exit(
            party: record.party, circles: tenancies[record.tenancy], places: tenancyPlaces[host], &rows,
            sole: head >= 0 ? table[Int(head)].party : -1)
        if record.flags.contains(.reserved) { expiries.remove(InstanceID(bits: record.instance)) }
        if record.flags.contains(.grouped) { groups.exit(slot, places: places[host]) }
        if record.network >= 0 { _ = networkPods.decrement(networkKey(record.network, glances[host].pod)) }
        change(record, sign: -1)
        return record
    }

    /// Changes what is free on a host, and what is said about it.
    @inline(__always) private mutating func change(_ record: AllocationRecord, sign: Int32) {
        let host = Int(record.host)
        rooms[host].take(record.need, gpus: record.gpus, cell: record.cell, sign: sign)
        precondition(rooms[host].isSound(gpus: record.gpus, cell: record.cell), "more is allocated on a host than it has")
        if record.flags.contains(.interruptible) { reclaimable[host] &+= record.need &* SIMD8(repeating: sign) }
        let count = table.counts[host]
        if count == (sign > 0 ? 1 : 0) {
            rows.set(occupied, host, to: sign > 0)
            rackLoads[Int(places[host][PlacementLevel.rack.index])] += sign
        }
        refresh(host, devices: record.gpus != 0 || record.cell >= 0)
    }

    /// Gives an allocation other amounts where it is. There is room for them.
    mutating func changeAmounts(_ slot: Int, _ amounts: SIMD8<Int32>) {
        let record = table[slot]
        let host = Int(record.host)
        rooms[host].take(record.need, gpus: record.gpus, cell: record.cell, sign: -1)
        rooms[host].take(amounts, gpus: record.gpus, cell: record.cell, sign: 1)
        precondition(rooms[host].isSound(gpus: record.gpus, cell: record.cell), "more is allocated on a host than it has")
        if record.flags.contains(.interruptible) { reclaimable[host] &+= amounts &- record.need }
        table.update(slot) { $0.need = amounts }
        refresh(host, devices: record.gpus != 0 || record.cell >= 0)
    }

    /// Brings the levels and the fullness of a host up to date with its room.
    /// - Parameter devices: its GPUs and NUMA cells may have changed, too.
    mutating func refresh(_ host: Int, devices: Bool) {
        let free = rooms[host].free
        glances[host].free = free
        glances[host].scale = scales[host]
        glances[host].count = table.counts[host]
        for family in 0..<5 { levels.update(host, family, free[family], &rows) }
        if devices {
            levels.update(host, 5, free[HostRoom.wholeGPUs], &rows)
            levels.update(host, 6, free[HostRoom.largestShare], &rows)
            levels.update(host, 7, rooms[host].cellCPU.max(), &rows)
            levels.update(host, 8, rooms[host].cellMemory.max(), &rows)
        }
        if rows.has(withGPUs, host) { gpu.measure(host, gpuRoom(host)) }
        fullness.move(host, to: scales[host].fullnessClass(free))
    }

    func networkKey(_ network: Int32, _ pod: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: network)) << 32 | UInt64(UInt32(bitPattern: pod))
    }
}
