public import Primitives

// Hosts join, change and leave.
extension PlacementEngine {
    /// Adds a host with nothing on it.
    public mutating func add(_ host: PlacementHost) throws(Refusal) {
        try Self.check(host)
        guard numbers[host.id] == nil else {
            throw Refusal(
                "placement.host-known", .conflict, "Host \(host.id) is there already.", facts: ["host": .text(host.id.description)],
                nearest: "a change of the host")
        }
        let number = unusedNumbers.popLast().map(Int.init) ?? hosts.count
        makeRoom(number)
        numbers[host.id] = Int32(number)
        hosts[number] = host
        ids[number] = host.id.bits
        rooms[number] = HostRoom(empty: host)
        reclaimable[number] = .zero
        tenancy.join(number, &rows)
        fullness.join(number, 0)
        describe(number)
        refresh(number, devices: true)
    }

    /// Takes a host away.
    public mutating func remove(_ id: HostID) throws(Refusal) {
        let number = try self.number(id)
        guard tenancy.tenants.count(number) == 0 else {
            throw Refusal(
                "placement.host-occupied", .conflict, "Host \(id) has \(counted(tenancy.tenants.count(number), "allocation")).",
                facts: ["host": .text(id.description), "allocations": .number(Int64(tenancy.tenants.count(number)))],
                nearest: "the same once the host is drained")
        }
        rooms[number] = .nothing
        refresh(number, devices: true)
        fullness.leave(number)
        undescribe(number)
        tenancy.leave(number, &rows)
        gpu.describe(number, model: nil)
        hosts[number] = nil
        numbers[id] = nil
        unusedNumbers.append(Int32(number))
    }

    public mutating func setState(_ state: Host.State, of id: HostID) throws(Refusal) {
        let number = try self.number(id)
        hosts[number]?.state = state
        rows.set(up, number, to: state == .up)
    }

    /// Says that an image is at hand on a host, or no longer.
    public mutating func setImage(_ image: ImageID, cached: Bool, on id: HostID) throws(Refusal) {
        let number = try self.number(id)
        if cached {
            hosts[number]?.images.insert(image)
            images.set(image, number, &rows)
        } else {
            hosts[number]?.images.remove(image)
            if let row = images.row(image) { rows.clear(row, number) }
        }
    }

    /// Changes what a host is and has. What is on it stays, and must fit what it is to have; where it stands may change only while
    /// nothing is on it.
    public mutating func update(_ host: PlacementHost) throws(Refusal) {
        let number = try self.number(host.id)
        try Self.check(host)
        guard let old = hosts[number] else { preconditionFailure("a host without description") }
        let stays = PlacementLevel.allCases.allSatisfy { old.domain($0) == host.domain($0) } && old.pool == host.pool
        guard stays || tenancy.tenants.count(number) == 0 else {
            throw Refusal(
                "placement.host-moved", .conflict,
                "Host \(host.id) has \(counted(tenancy.tenants.count(number), "allocation")) and cannot be moved elsewhere.",
                facts: ["host": .text(host.id.description), "allocations": .number(Int64(tenancy.tenants.count(number)))],
                nearest: "the same once the host is drained")
        }
        rooms[number] = try refilled(host, number)
        undescribe(number)
        hosts[number] = host
        describe(number)
        refresh(number, devices: true)
    }

    /// The room that is left when what is on a host lies on its new form.
    private func refilled(_ host: PlacementHost, _ number: Int) throws(Refusal) -> HostRoom {
        var room = HostRoom(empty: host)
        forEachAllocation(on: number) { _, record in room.take(record.need, gpus: record.gpus, cell: record.cell, sign: 1) }
        guard room.isNonNegative else {
            let used = HostRoom(empty: host).free &- room.free
            let held = Resources(lanes: used)
            let short = held.shortfalls(against: host.capacity).first
            throw Refusal(
                "placement.host-capacity", .conflict,
                "Host \(host.id) has more allocated than it would have\(short.map { ": \($0.needed) \($0.name) of \($0.available)" } ?? " on its GPUs or NUMA cells").",
                facts: ["host": .text(host.id.description)], nearest: "the same once enough of it is drained")
        }
        return room
    }

    func number(_ id: HostID) throws(Refusal) -> Int {
        guard let number = numbers[id] else {
            throw Refusal(
                "placement.host-unknown", .notFound, "There is no host \(id).", facts: ["host": .text(id.description)],
                nearest: "one of `bourse host list`")
        }
        return Int(number)
    }

    private static func check(_ host: PlacementHost) throws(Refusal) {
        let amounts = host.capacity.components
        guard amounts.allSatisfy({ (0...Int64(Int32.max)).contains($0.amount) }) else {
            throw Refusal(
                "placement.host-invalid", .invalid, "Host \(host.id) has an amount below 0 or above \(Int32.max).",
                nearest: "amounts from 0 to \(Int32.max)")
        }
        guard host.cells.count <= PlacementHost.mostCells, (0...PlacementHost.mostGPUs).contains(host.gpuCount) else {
            throw Refusal(
                "placement.host-invalid", .invalid,
                "Host \(host.id) has \(host.cells.count) NUMA cells and \(host.gpuCount) GPUs; \(PlacementHost.mostCells) and \(PlacementHost.mostGPUs) are the most.",
                facts: ["cells": .number(Int64(host.cells.count)), "gpus": .number(Int64(host.gpuCount))],
                nearest: "at most \(PlacementHost.mostCells) NUMA cells and \(PlacementHost.mostGPUs) GPUs")
        }
        let inRange = host.cells.allSatisfy {
            (0...Int64(Int32.max)).contains($0.milliCPU) && (0...Int64(Int32.max)).contains($0.memoryMiB)
        }
        guard inRange else {
            throw Refusal(
                "placement.host-invalid", .invalid, "Host \(host.id) has a NUMA cell below 0 or above \(Int32.max).",
                nearest: "amounts from 0 to \(Int32.max)")
        }
    }

    private mutating func makeRoom(_ number: Int) {
        rows.reserve(hosts: number + 1)
        fullness.resize(rows.stride)
        rooms.join(number)
        lifetimes.join(number)
        guard hosts.count <= number else { return }
        hosts.append(nil)
        ids.append(0)
        reclaimable.append(.zero)
        places.append(SIMD8(repeating: -1))
        tenancyPlaces.append(SIMD4(repeating: -1))
    }

    /// Puts a host into the rows of what it is.
    private mutating func describe(_ number: Int) {
        guard let host = hosts[number] else { return }
        rows.set(present, number)
        rows.set(up, number, to: host.state == .up)
        rows.set(tunnels, number, to: host.hasTunnel)
        zones.set(host.zone, number, &rows)
        var tenancyPlace = SIMD4(0, pods.intern(host.pod, &rows), -1, Int32(number))
        pods.set(host.pod, number, &rows)
        kinds.set(host.kind, number, &rows)
        profiles.set(host.profile, number, &rows)
        storages.set(host.storage, number, &rows)
        jurisdictions.set(host.jurisdiction, number, &rows)
        ratios.set(host.ratios, number, &rows)
        policies.set(policyOfPod[host.pod] ?? .packing, number, &rows)
        gpu.describe(number, model: host.gpuModel)
        if let pool = host.pool {
            pools.set(pool, number, &rows)
            rows.set(inPools, number)
            tenancyPlace[2] = pools.intern(pool, &rows)
            tenancy.join(level: 2, domain: pools.count - 1)
        }
        if let party = host.dedicatedTo {
            rows.set(dedicated, number)
            dedications.set(party, number, &rows)
        }
        if host.gpuCount > 0 {
            rows.set(withGPUs, number)
            gpuModels.set(host.gpuModel ?? "", number, &rows)
        }
        for image in host.images { images.set(image, number, &rows) }
        tenancy.join(level: 1, domain: pods.count - 1)
        tenancyPlaces[number] = tenancyPlace
        joinDomains(number, host)
    }

    private mutating func joinDomains(_ number: Int, _ host: PlacementHost) {
        var place = SIMD8<Int32>(repeating: -1)
        place[PlacementLevel.host.index] = Int32(number)
        for level in PlacementLevel.allCases where level != .host {
            domains[level.index].join(number, host.domain(level))
            place[level.index] = domains[level.index].of[number]
        }
        places[number] = place
        let scale = HostScale(capacity: host.capacity.lanes)
        rooms.describe(number, scale: scale, pod: place[PlacementLevel.pod.index])
        fullness.admit(scale)
        while rackLoads.count < domains[PlacementLevel.rack.index].count { rackLoads.append(0) }
        if tenancy.tenants.count(number) > 0 { rackLoads[Int(place[PlacementLevel.rack.index])] += 1 }
    }

    private mutating func undescribe(_ number: Int) {
        for row in [present, up, withGPUs, inPools, dedicated, tunnels] { rows.clear(row, number) }
        zones.clear(number, &rows)
        pods.clear(number, &rows)
        pools.clear(number, &rows)
        kinds.clear(number, &rows)
        profiles.clear(number, &rows)
        storages.clear(number, &rows)
        jurisdictions.clear(number, &rows)
        ratios.clear(number, &rows)
        policies.clear(number, &rows)
        dedications.clear(number, &rows)
        gpuModels.clear(number, &rows)
        images.clear(number, &rows)
        if tenancy.tenants.count(number) > 0 { rackLoads[Int(places[number][PlacementLevel.rack.index])] -= 1 }
        for level in PlacementLevel.allCases where level != .host { domains[level.index].leave(number) }
    }

    /// What a pod prefers; `.packing` when nothing is said.
    public mutating func setPolicy(_ policy: PlacementPolicy, of pod: PodID) {
        policyOfPod[pod] = policy
        gpu.isStale = true
        for (number, host) in hosts.enumerated() where host?.pod == pod {
            policies.clear(number, &rows)
            policies.set(policy, number, &rows)
        }
    }

    /// The shapes that what is left over on a host should stay usable for; at most 4.
    public mutating func setStandardShapes(_ shapes: [Resources]) {
        self.shapes = ContiguousArray(shapes.prefix(4).map(StandardShape.init))
    }
}
