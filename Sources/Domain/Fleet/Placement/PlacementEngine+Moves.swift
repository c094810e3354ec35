public import Primitives

// What changes about something that is placed. A refusal changes nothing.
extension PlacementEngine {
    /// Gives an instance other amounts where it is. Its GPUs stay as they are.
    public mutating func resize(_ instance: InstanceID, to resources: Resources) throws(Refusal) {
        let slot = try self.slot(instance)
        let record = table[slot]
        let host = Int(record.host)
        var amounts = resources.lanes
        for lane in 5..<8 { amounts[lane] = record.need[lane] }
        var room = rooms[host]
        room.take(record.need, gpus: record.gpus, cell: record.cell, sign: -1)
        let short = Resources(lanes: amounts).shortfalls(against: Resources(lanes: room.free)).first
        let fitsCell = record.cell < 0 || (room.cellCPU[Int(record.cell)] >= amounts[0] && room.cellMemory[Int(record.cell)] >= amounts[1])
        guard all(amounts .>= 0), resources.isNonNegative, short == nil, fitsCell else {
            throw Refusal(
                "placement.resize", .capacity,
                "Host \(hostID(host)) has no room for \(instance) with \(short.map { "\($0.needed) \($0.name): it has \($0.available)" } ?? "that in its NUMA cell").",
                facts: ["instance": .text(instance.description), "host": .text(hostID(host).description)],
                nearest: short.map { "\($0.available) \($0.name)" } ?? "a move to another host")
        }
        changeAmounts(slot, amounts)
    }

    /// Moves an instance to another host, or to one the engine chooses, by all the rules of `request`.
    /// - Parameters:
    ///   - request: what the instance asks for, as when it was placed; its host is the one to go to, nil: any but the present one.
    /// - Throws: when no host will do; the instance stays where it is.
    public mutating func move(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> PlacementDecision {
        let slot = try self.slot(request.instance)
        let memberships = groups.wanted(of: slot)
        let reservedUntil = expiries.end(of: request.instance)
        let outlook = lifetimes[slot]
        let network = table[slot].network < 0 ? nil : networks.id(table[slot].network)
        let record = exit(slot)
        do {
            var wanted = request
            if wanted.host == nil { wanted.avoiding.append(hostID(Int(record.host))) }
            return try place(wanted, at: now, reservedUntil: reservedUntil)
        } catch {
            enter(record, memberships, outlook, network: network, reservedUntil: reservedUntil)
            throw error
        }
    }

    func slot(_ instance: InstanceID) throws(Refusal) -> Int {
        guard let slot = table.find(instance.bits) else {
            throw Refusal(
                "placement.unknown", .notFound, "Instance \(instance) is not placed.", facts: ["instance": .text(instance.description)],
                nearest: "an instance that is placed")
        }
        return slot
    }
}
