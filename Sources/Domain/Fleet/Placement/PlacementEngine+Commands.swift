public import Primitives

// What changes allocations. A refusal changes nothing.
extension PlacementEngine {
    /// Places an instance.
    /// - Throws: `placement.capacity` when no host keeps all rules and has room, with the rules that hosts fell to and the nearest change
    ///   that would fit; others when the request itself is wrong.
    public mutating func place(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> PlacementDecision {
        try place(request, at: now, reservedUntil: nil)
    }

    /// Holds room for an instance until `end`. It counts like an instance; `confirm` makes it one.
    public mutating func reserve(_ request: PlacementRequest, until end: Instant, at now: Instant) throws(Refusal) -> PlacementDecision {
        guard end > now else { throw Self.past(end, now) }
        return try place(request, at: now, reservedUntil: end)
    }

    mutating func place(
        _ request: PlacementRequest, at now: Instant, reservedUntil: Instant?
    ) throws(Refusal) -> PlacementDecision {
        try checkNew(request.instance)
        let need = try prepare(request)
        guard let choice = choose(request, need, at: now) else { throw noRoom(request, need, at: now) }
        return commit(request, need, choice, reservedUntil: reservedUntil)
    }

    func checkNew(_ instance: InstanceID) throws(Refusal) {
        guard table.find(instance.bits) == nil else {
            throw Refusal(
                "placement.placed", .conflict, "Instance \(instance) is placed already.",
                facts: ["instance": .text(instance.description)], nearest: "a move or a resize")
        }
    }

    static func past(_ end: Instant, _ now: Instant) -> Refusal {
        Refusal("placement.reservation-past", .invalid, "A reservation until \(end) has ended at \(now).", nearest: "a later end")
    }

    /// Where a request would go. Changes nothing that can be seen.
    public mutating func find(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> HostID {
        let need = try prepare(request)
        guard let choice = choose(request, need, at: now) else { throw noRoom(request, need, at: now) }
        return hostID(choice.host)
    }

    /// Where a request would go, and what it would have there. Changes nothing that can be seen; its identifier is not looked at.
    public mutating func propose(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> PlacementDecision {
        let need = try prepare(request)
        guard let choice = choose(request, need, at: now) else { throw noRoom(request, need, at: now) }
        return decision(request, choice, at: spot(need, on: choice.host))
    }

    mutating func commit(
        _ request: PlacementRequest, _ need: PlacementNeed, _ choice: Choice, reservedUntil: Instant? = nil
    ) -> PlacementDecision {
        let spot = spot(need, on: choice.host)
        enter(request, need, at: spot, reservedUntil: reservedUntil)
        return decision(request, choice, at: spot)
    }

    /// Which GPUs and which cell of a host that has room are taken.
    @inline(__always) private func spot(_ need: PlacementNeed, on host: Int) -> Spot {
        var spot = Spot(host: host, gpus: need.wantsGPU ? gpuBits(host, need) : 0, cell: -1)
        if need.numa {
            guard let cell = rooms[host].cell(for: need.amounts) else { preconditionFailure("no NUMA cell has room") }
            spot.cell = Int8(cell)
        }
        return spot
    }

    @inline(__always) private func decision(_ request: PlacementRequest, _ choice: Choice, at spot: Spot) -> PlacementDecision {
        PlacementDecision(
            instance: request.instance, host: hostID(choice.host),
            gpus: spot.gpus == 0 ? [] : (0..<16).filter { spot.gpus >> UInt16($0) & 1 == 1 }, cell: spot.cell < 0 ? nil : Int(spot.cell),
            cost: choice.cost)
    }

    /// Which GPUs of a host a request takes.
    func gpuBits(_ host: Int, _ need: PlacementNeed) -> UInt16 {
        guard let pod = hosts[host]?.pod, policyOfPod[pod] == .gpuFragmentation else { return rooms[host].gpuBits(for: need.amounts) }
        return gpuLoss(need, host).gpus
    }

    /// Gives back what an instance or reservation holds. False: there was none.
    @discardableResult
    public mutating func release(_ instance: InstanceID) -> Bool {
        guard let slot = table.find(instance.bits) else { return false }
        exit(slot)
        return true
    }

    // MARK: Reservations

    /// Makes a reservation an instance.
    public mutating func confirm(_ instance: InstanceID) throws(Refusal) {
        guard let slot = table.find(instance.bits), table[slot].flags.contains(.reserved) else {
            throw Refusal(
                "placement.reservation-unknown", .notFound, "There is no reservation for \(instance).",
                facts: ["instance": .text(instance.description)], nearest: "a new placement")
        }
        table.update(slot) { $0.flags.remove(.reserved) }
        expiries.remove(instance)
    }

    /// Gives back the reservations that end at `now` or before, and says which, in the order in which they ended.
    public mutating func expire(at now: Instant) -> [InstanceID] {
        var gone: [InstanceID] = []
        while let entry = expiries.pop(dueAt: now) {
            guard expiries.end(of: entry.instance) == entry.end else { continue }
            release(entry.instance)
            gone.append(entry.instance)
        }
        return gone
    }

    // MARK: What is there already

    /// Enters what runs somewhere, without asking rules other than capacity.
    public mutating func restore(_ allocation: PlacementAllocation) throws(Refusal) {
        let number = try number(allocation.host)
        try checkNew(allocation.request.instance)
        let need = try prepare(allocation.request)
        guard let spot = spot(for: allocation, need, number) else {
            let rule = lacks(need, rooms[number])?.rawValue ?? "its GPUs or NUMA cell"
            throw Refusal(
                "placement.overfull", .conflict,
                "Host \(allocation.host) has no room for \(allocation.request.instance), which is there: \(rule).",
                facts: ["host": .text(allocation.host.description), "instance": .text(allocation.request.instance.description)],
                nearest: "the same once the host has the room that is held on it")
        }
        enter(allocation.request, need, at: spot, reservedUntil: allocation.reservedUntil)
    }

    /// Where on a host an allocation lies; nil: it does not fit there.
    private func spot(for allocation: PlacementAllocation, _ need: PlacementNeed, _ host: Int) -> Spot? {
        guard lacks(need, rooms[host]) == nil else { return nil }
        var spot = Spot(host: host, gpus: need.wantsGPU ? gpuBits(host, need) : 0, cell: -1)
        if let gpus = allocation.gpus, need.wantsGPU {
            guard gpus.allSatisfy({ (0..<PlacementHost.mostGPUs).contains($0) }) else { return nil }
            spot.gpus = gpus.reduce(0) { $0 | 1 << UInt16($1) }
            guard spot.gpus.nonzeroBitCount == max(1, Int(need.amounts[HostRoom.wholeGPUs])) else { return nil }
        }
        if need.numa { spot.cell = Int8(clamping: allocation.cell ?? rooms[host].cell(for: need.amounts) ?? -1) }
        guard spot.cell < PlacementHost.mostCells else { return nil }
        var room = rooms[host]
        room.take(need.amounts, gpus: spot.gpus, cell: spot.cell, sign: 1)
        return room.isNonNegative ? spot : nil
    }
}
