/// The groups that have members, and how many of them are in each domain.
struct GroupLedger: Sendable {
    struct Group: Sendable {
        var id: UInt64
        var rule: PlacementGroup.Rule
        var members: Int32 = 0
        /// Domains with members, ascending.
        var domains: ContiguousArray<Int32> = []
        var counts: ContiguousArray<Int32> = []

        func position(_ domain: Int32) -> Int {
            var (low, high) = (0, domains.count)
            while low < high {
                let middle = (low + high) / 2
                if domains[middle] < domain { low = middle + 1 } else { high = middle }
            }
            return low
        }

        func count(in domain: Int32) -> Int32 {
            let at = position(domain)
            return at < domains.count && domains[at] == domain ? counts[at] : 0
        }

        mutating func add(_ domain: Int32) {
            members += 1
            let at = position(domain)
            if at < domains.count, domains[at] == domain {
                counts[at] += 1
            } else {
                domains.insert(domain, at: at)
                counts.insert(1, at: at)
            }
        }

        mutating func remove(_ domain: Int32) {
            members -= 1
            let at = position(domain)
            precondition(at < domains.count && domains[at] == domain, "no member there")
            counts[at] -= 1
            if counts[at] == 0 {
                domains.remove(at: at)
                counts.remove(at: at)
            }
        }
    }

    private(set) var groups: ContiguousArray<Group> = []
    private var unused: ContiguousArray<Int32> = []
    private var numbers: [UInt64: Int32] = [:]
    /// Groups of the allocations that have any, by slot.
    private var memberships: [Int32: ContiguousArray<Int32>] = [:]

    var count: Int { numbers.count }

    /// Nil: it has no members.
    func find(_ id: UInt64) -> Group? { numbers[id].map { groups[Int($0)] } }

    func groups(of slot: Int) -> ContiguousArray<Int32> { memberships[Int32(slot)] ?? [] }

    /// The groups of the instance in a slot as they were asked for.
    func wanted(of slot: Int) -> [PlacementGroup] {
        groups(of: slot).map { PlacementGroup(id: groups[Int($0)].id, groups[Int($0)].rule) }
    }

    /// Makes the instance in a slot a member.
    /// - Parameter places: its host's domain at each level.
    mutating func enter(_ slot: Int, _ wanted: [PlacementGroup], places: SIMD8<Int32>) {
        var joined: ContiguousArray<Int32> = []
        for group in wanted {
            let number = numbers[group.id] ?? open(group)
            groups[Int(number)].add(places[group.rule.level.index])
            joined.append(number)
        }
        memberships[Int32(slot)] = joined
    }

    mutating func exit(_ slot: Int, places: SIMD8<Int32>) {
        for number in memberships.removeValue(forKey: Int32(slot)) ?? [] {
            groups[Int(number)].remove(places[groups[Int(number)].rule.level.index])
            if groups[Int(number)].members == 0 {
                numbers[groups[Int(number)].id] = nil
                unused.append(number)
            }
        }
    }

    private mutating func open(_ group: PlacementGroup) -> Int32 {
        let fresh = Group(id: group.id, rule: group.rule)
        let number: Int32
        if let again = unused.popLast() {
            number = again
            groups[Int(number)] = fresh
        } else {
            number = Int32(groups.count)
            groups.append(fresh)
        }
        numbers[group.id] = number
        return number
    }
}

extension PlacementGroup {
    var isSpread: Bool { if case .spread = rule { true } else { false } }
}

extension PlacementGroup.Rule {
    /// The level the rule speaks of.
    public var level: PlacementLevel {
        switch self {
        case .together(let level), .apart(let level), .spread(let level, _): level
        }
    }
}
