import Primitives

/// Several requests that are placed together or not at all.
struct PlacementGang: Sendable {
    let members: [PlacementRequest]
    /// In which they are placed: largest first.
    let order: [Int]

    init(_ members: [PlacementRequest]) {
        self.members = members
        let sizes = members.map(Self.size)
        order = members.indices.sorted { (sizes[$1], $0) < (sizes[$0], $1) }
    }

    /// All alike but for their names.
    var isUniform: Bool { alike { $0.instance = $1.instance } }

    /// All under the same terms, of which none depends on where the others go but for being together with them or apart.
    var sharesTerms: Bool {
        guard members.first?.groups.contains(where: \.isSpread) == false else { return false }
        return alike { ($0.instance, $0.resources) = ($1.instance, $1.resources) }
    }

    private func alike(_ ignoring: (inout PlacementRequest, PlacementRequest) -> Void) -> Bool {
        guard let first = members.first else { return true }
        return members.allSatisfy { member in
            var other = member
            ignoring(&other, first)
            return other == first
        }
    }

    private static func size(_ request: PlacementRequest) -> Int64 {
        let gpus = request.gpu.map { Int64(clamping: $0.count).multipliedReportingOverflow(by: $0.milliEach).partialValue } ?? 0
        return request.resources.milliCPU &+ request.resources.memoryMiB &+ gpus &* 1_000
    }
}

/// Domains in which a gang may come together.
struct GangRoom: Sendable {
    /// Those that could have room for all of it, the tightest and the roomiest in turn.
    var promising: [Int32] = []
    /// The one that could have room for the most members, and how many; nil: none has room for the largest.
    var widest: (domain: Int32, members: Int)?
}

// What a domain has room for, without placing anything: never less than it takes.
extension PlacementEngine {
    /// What a gang needs in all, and what each member needs at least.
    private struct GangNeed {
        var count: Int
        var largest: PlacementNeed
        var sum = SIMD8<Int64>.zero
        var least = SIMD8<Int32>(repeating: .max)
        var numa = true

        init(_ largest: PlacementNeed, count: Int) { (self.largest, self.count) = (largest, count) }

        mutating func add(_ need: PlacementNeed) {
            sum &+= SIMD8<Int64>(truncatingIfNeeded: need.amounts)
            least = pointwiseMin(least, need.amounts)
            numa = numa && need.numa
        }
    }

    private struct DomainRoom {
        var free = SIMD8<Int64>.zero
        var members = 0
        var takesLargest = false
    }

    func domainCount(_ level: PlacementLevel) -> Int { level == .host ? hosts.count : domains[level.index].count }

    mutating func room(for gang: PlacementGang, _ level: PlacementLevel) throws(Refusal) -> GangRoom {
        guard let first = gang.order.first else { return GangRoom() }
        var need = GangNeed(try prepare(gang.members[first]), count: gang.members.count)
        for member in gang.members { need.add(try prepare(member)) }
        // Shares of GPUs do not add up, and are taken for as many as there is of all.
        (need.sum[HostRoom.largestShare], need.least[HostRoom.largestShare]) = (0, 0)
        var scratch = Scratch(stride: rows.stride)
        if gang.sharesTerms {
            keepRules(gang.members[first], need.largest, withRoom: false, &scratch)
        } else {
            rows.copy(up, to: &scratch.fitting)
        }
        return room(need, domainRooms(need, scratch.fitting, level))
    }

    private func domainRooms(_ need: GangNeed, _ mask: HostMask, _ level: PlacementLevel) -> [DomainRoom] {
        var found = [DomainRoom](repeating: DomainRoom(), count: domainCount(level))
        var next = mask.next(from: 0)
        while let host = next {
            next = mask.next(from: host + 1)
            let domain = Int(places[host][level.index])
            found[domain].free &+= SIMD8<Int64>(truncatingIfNeeded: rooms.glances[host].free)
            found[domain].members += members(need, on: host)
            found[domain].takesLargest = found[domain].takesLargest || hasRoom(need.largest, host)
        }
        return found
    }

    /// At most so many members have room on a host.
    private func members(_ need: GangNeed, on host: Int) -> Int {
        let free = rooms.glances[host].free
        var count = need.count
        for lane in 0..<7 where need.least[lane] > 0 { count = min(count, Int(free[lane] / need.least[lane])) }
        guard need.numa, count > 0 else { return count }
        let room = rooms[host]
        var inCells = 0
        for cell in 0..<PlacementHost.mostCells where room.cellCPU[cell] >= 0 {
            let cpu = need.least[0] > 0 ? Int(room.cellCPU[cell] / need.least[0]) : count
            let memory = need.least[1] > 0 ? Int(room.cellMemory[cell] / need.least[1]) : count
            inCells += min(cpu, memory)
        }
        return min(count, inCells)
    }

    private func room(_ need: GangNeed, _ domains: [DomainRoom]) -> GangRoom {
        var found = GangRoom()
        var promising: [(slack: Int64, domain: Int32)] = []
        for (number, domain) in domains.enumerated() where domain.takesLargest {
            let members = min(domain.members, need.count)
            if members > found.widest?.members ?? 0 { found.widest = (Int32(number), members) }
            guard members >= need.count, all(need.sum .<= domain.free) else { continue }
            promising.append((Self.slack(need.sum, domain.free), Int32(number)))
        }
        promising.sort { $0 < $1 }
        var (low, high) = (0, promising.count - 1)
        while low <= high {
            found.promising.append(promising[low].domain)
            if low < high { found.promising.append(promising[high].domain) }
            (low, high) = (low + 1, high - 1)
        }
        return found
    }

    /// How many times over there is room for a sum, of what is scarcest, in thousandths.
    private static func slack(_ sum: SIMD8<Int64>, _ free: SIMD8<Int64>) -> Int64 {
        (0..<7).reduce(Int64.max) { least, lane in sum[lane] > 0 ? min(least, free[lane] * 1_000 / sum[lane]) : least }
    }
}
