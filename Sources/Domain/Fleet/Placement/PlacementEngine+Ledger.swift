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
            need: need.amounts, instance: request.instance.bits, host: Int32(spot.host), party: need.party,
            tenancy: need.circles == Self.shared ? 0 : tenancies.intern(need.circles), network: -1,
            priority: request.priority, gpus: spot.gpus, cell: spot.cell, flags: flags)
        return enter(record, request.groups, request.outlook, network: request.network, reservedUntil: reservedUntil)
    }

    /// Circles of those who share everything.
    static let shared = SIMD4<Int32>(repeating: -1)

    @discardableResult
    mutating func enter(
        _ wish: AllocationRecord, _ wanted: [PlacementGroup], _ outlook: LifetimeOutlook?, network: NetworkID?, reservedUntil: Instant?
    ) -> Int {
        var record = wish
        let host = Int(record.host)
        record.network = network.map { networks.enter($0, rooms.glances[host].pod) } ?? -1
        let slot = table.insert(record)
        lifetimes.enter(slot, host, outlook, isFirst: tenancy.tenants.count(host) == 0)
        tenancy.enter(
            slot, party: record.party, isInterruptible: record.flags.contains(.interruptible), circles: tenancies[record.tenancy],
            places: tenancyPlaces[host], &rows)
        if !wanted.isEmpty { groups.enter(slot, wanted, places: places[host]) }
        if let reservedUntil { expiries.push(reservedUntil, InstanceID(bits: record.instance)) }
        change(record, sign: 1)
        return slot
    }

    /// Takes an allocation away again, and says what it was.
    @discardableResult
    mutating func exit(_ slot: Int) -> AllocationRecord {
        let record = table[slot]
        let host = Int(record.host)
        // What is far away in memory is asked for first, so that it comes while the rest is done.
        if record.network >= 0 { networks.exit(record.network, rooms.glances[host].pod) }
        table.remove(slot)
        lifetimes.exit(slot, host)
        tenancy.exit(slot, party: record.party, circles: tenancies[record.tenancy], places: tenancyPlaces[host], &rows)
        if record.flags.contains(.reserved) { expiries.remove(InstanceID(bits: record.instance)) }
        if record.flags.contains(.grouped) { groups.exit(slot, places: places[host]) }
        change(record, sign: -1)
        return record
    }

    /// Changes what is free on a host, and what is said about it.
    @inline(__always) private mutating func change(_ record: AllocationRecord, sign: Int32) {
        let host = Int(record.host)
        rooms.take(record.need, gpus: record.gpus, cell: record.cell, sign: sign, on: host)
        if record.flags.contains(.interruptible) { reclaimable[host] &+= record.need &* SIMD8(repeating: sign) }
        let count = tenancy.tenants.count(host)
        if count == (sign > 0 ? 1 : 0) {
            rackLoads[Int(places[host][PlacementLevel.rack.index])] += sign
        }
        refresh(host, devices: record.gpus != 0 || record.cell >= 0)
    }

    /// Gives an allocation other amounts where it is. There is room for them.
    mutating func changeAmounts(_ slot: Int, _ amounts: SIMD8<Int32>) {
        let record = table[slot]
        let host = Int(record.host)
        rooms.take(record.need, gpus: record.gpus, cell: record.cell, sign: -1, on: host)
        rooms.take(amounts, gpus: record.gpus, cell: record.cell, sign: 1, on: host)
        if record.flags.contains(.interruptible) { reclaimable[host] &+= amounts &- record.need }
        table.update(slot) { $0.need = amounts }
        refresh(host, devices: record.gpus != 0 || record.cell >= 0)
    }

    /// Brings the levels and the fullness of a host up to date with its room.
    /// - Parameter devices: its GPUs and NUMA cells may have changed, too.
    mutating func refresh(_ host: Int, devices: Bool) {
        let glance = rooms.glances[host]
        var kept = glance.levels
        for family in 0..<5 { kept[family] = levels.move(host, from: kept[family], family, glance.free[family], &rows) }
        if devices {
            let room = rooms[host]
            kept[5] = levels.move(host, from: kept[5], 5, room.free[HostRoom.wholeGPUs], &rows)
            kept[6] = levels.move(host, from: kept[6], 6, room.free[HostRoom.largestShare], &rows)
            kept[7] = levels.move(host, from: kept[7], 7, room.cellCPU.max(), &rows)
            kept[8] = levels.move(host, from: kept[8], 8, room.cellMemory.max(), &rows)
        }
        rooms.note(host, count: Int32(truncatingIfNeeded: tenancy.tenants.count(host)), levels: kept)
        if rows.has(withGPUs, host) { gpu.measure(host, gpuRoom(host)) }
        fullness.move(host, to: glance.scale.fullnessClass(glance.free))
    }
}
