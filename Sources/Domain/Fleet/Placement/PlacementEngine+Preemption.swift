public import Primitives

/// Interruptible instances that would make room for a firm one, and where it would go. Nothing has happened yet: the owner gives them
/// notice, and places the firm one when they are gone.
public struct PreemptionProposal: Hashable, Sendable {
    public var host: HostID
    /// Ascending. Each is needed: without any one of them leaving there is no room.
    public var victims: [InstanceID]
    /// When the notice that starts now is over.
    public var until: Instant
}

extension PlacementEngine {
    /// How long interruptible instances are told before: the two minutes of EC2's spot interruption notice.
    public static let notice = Span.minutes(2)

    /// Which interruptible instances to ask to leave so that a firm request fits: as few as possible; of as few, those of the lowest
    /// priorities, then the smallest. Up to two are found exactly; more by size, largest first.
    ///
    /// A host is looked at when the request keeps all rules there with everything that is on it, but for room. On bare metal the machine
    /// that is there leaves.
    /// - Returns: nil when no host would have room.
    public func preemption(for request: PlacementRequest, at now: Instant) throws(Refusal) -> PreemptionProposal? {
        guard !request.interruptible else {
            throw Refusal(
                "placement.preemption", .invalid, "Instance \(request.instance) is interruptible; only firm ones pre-empt.",
                nearest: "a firm request")
        }
        var copy = self
        let need = try copy.prepare(request)
        guard let found = copy.preemption(request, need, looking: .max) else { return nil }
        return PreemptionProposal(host: found.host, victims: found.victims, until: now + Self.notice)
    }

    /// - Parameter most: hosts with enough interruptible instances to compare.
    func preemption(_ request: PlacementRequest, _ wish: PlacementNeed, looking most: Int) -> (host: HostID, victims: [InstanceID])? {
        var need = wish
        need.evicts = true
        var scratch = Scratch(stride: rows.stride)
        keepRules(request, need, withRoom: false, &scratch)
        var best: (host: Int, eviction: Eviction)?
        var looked = 0
        var next = scratch.fitting.next(from: 0)
        while let host = next, looked < most {
            next = scratch.fitting.next(from: host + 1)
            guard covers(rooms.glances[host].free &+ reclaimable[host], need) else { continue }
            looked += 1
            let fewest = best?.eviction.slots.count ?? .max
            guard let eviction = isMetal(host) ? clearance(of: host, need) : eviction(from: host, need, atMost: fewest) else { continue }
            if let best, !(eviction < best.eviction) { continue }
            best = (host, eviction)
        }
        guard let best else { return nil }
        return (hostID(best.host), best.eviction.slots.map { InstanceID(bits: table[$0].instance) }.sorted())
    }

    /// What victims are compared by, beside the engine: a closure that reads it would copy it for each comparison.
    private struct Victim {
        var slot: Int
        var priority: Int16
        var size: Int64
        var instance: UInt64
    }

    /// Instances that leave one host, and what that costs.
    private struct Eviction {
        var slots: [Int]
        var priority: Int64
        var size: Int64

        static func < (a: Eviction, b: Eviction) -> Bool {
            (a.slots.count, a.priority, a.size) < (b.slots.count, b.priority, b.size)
        }
    }

    /// - Parameter most: how many may leave; more would not be better than what was found elsewhere.
    private func eviction(from host: Int, _ need: PlacementNeed, atMost most: Int) -> Eviction? {
        guard lacks(need, rooms[host]) != nil else { return nil }
        var known: [Victim] = []
        var haveGPUs = false
        tenancy.tenants.forEachInterruptible(on: host) { slot in
            guard !table[slot].flags.contains(.reserved) else { return }
            known.append(Victim(slot: slot, priority: table[slot].priority, size: size(slot, host), instance: table[slot].instance))
            haveGPUs = haveGPUs || table[slot].gpus != 0
        }
        guard haveGPUs || !lacksGPUs(need, host) else { return nil }
        known.sort { ($0.priority, $0.size, $0.instance) < ($1.priority, $1.size, $1.instance) }
        for victim in known where makesRoom([victim.slot], host, need) { return priced([victim.slot], host) }
        guard most > 1 else { return nil }
        if let pair = pair(known.map(\.slot), host, need) { return pair }
        return most > 2 ? several(known, host, need) : nil
    }

    /// Of bare metal everything leaves, or nothing.
    private func clearance(of host: Int, _ need: PlacementNeed) -> Eviction? {
        var leaving: [Int] = []
        var stays = false
        forEachAllocation(on: host) { slot, record in
            leaving.append(slot)
            stays = stays || !record.flags.contains(.interruptible) || record.flags.contains(.reserved)
        }
        return !stays && !leaving.isEmpty && makesRoom(leaving, host, need) ? priced(leaving, host) : nil
    }

    private func pair(_ victims: [Int], _ host: Int, _ need: PlacementNeed) -> Eviction? {
        var best: Eviction?
        let needsGPU = lacksGPUs(need, host)
        for (index, first) in victims.enumerated() {
            let left = rooms[host].free &+ table[first].need
            for second in victims[(index + 1)...] {
                guard !needsGPU || (table[first].gpus | table[second].gpus) != 0 else { continue }
                guard covers(left &+ table[second].need, need), makesRoom([first, second], host, need) else { continue }
                let eviction = priced([first, second], host)
                if let best, !(eviction < best) { continue }
                best = eviction
            }
        }
        return best
    }

    /// The largest leave until there is room; then those that were not needed stay.
    private func several(_ victims: [Victim], _ host: Int, _ need: PlacementNeed) -> Eviction? {
        var leaving: [Int] = []
        var left = rooms[host].free
        for slot in victims.sorted(by: { ($1.size, $0.instance) < ($0.size, $1.instance) }).map(\.slot) {
            leaving.append(slot)
            left &+= table[slot].need
            guard covers(left, need), makesRoom(leaving, host, need) else { continue }
            for slot in leaving.reversed() {
                let fewer = leaving.filter { $0 != slot }
                if makesRoom(fewer, host, need) { leaving = fewer }
            }
            return priced(leaving, host)
        }
        return nil
    }

    private func lacksGPUs(_ need: PlacementNeed, _ host: Int) -> Bool {
        let short = need.amounts .> rooms[host].free
        return (5..<8).contains { short[$0] }
    }

    /// Whether an amount left is enough but for which GPUs and NUMA cells it is on: without that there is no room.
    @inline(__always) private func covers(_ left: SIMD8<Int32>, _ need: PlacementNeed) -> Bool {
        var (left, need) = (left, need.amounts)
        (left[HostRoom.wholeGPUs], left[HostRoom.largestShare]) = (0, 0)
        (need[HostRoom.wholeGPUs], need[HostRoom.largestShare]) = (0, 0)
        return all(need .<= left)
    }

    private func makesRoom(_ leaving: [Int], _ host: Int, _ need: PlacementNeed) -> Bool {
        var room = rooms[host]
        for slot in leaving { room.take(table[slot].need, gpus: table[slot].gpus, cell: table[slot].cell, sign: -1) }
        return lacks(need, room) == nil
    }

    private func priced(_ slots: [Int], _ host: Int) -> Eviction {
        var eviction = Eviction(slots: slots, priority: 0, size: 0)
        for slot in slots {
            eviction.priority += Int64(table[slot].priority)
            eviction.size += size(slot, host)
        }
        return eviction
    }

    /// An allocation's part of its host, in millionths.
    private func size(_ slot: Int, _ host: Int) -> Int64 {
        let scale = rooms.glances[host].scale
        return scale.cpuShare(table[slot].need[0]) + scale.memoryShare(table[slot].need[1]) + Int64(table[slot].need[5]) * 1_000
    }
}
