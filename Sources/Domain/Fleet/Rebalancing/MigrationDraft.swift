import Primitives

/// A fleet while moves are planned on it: what is used where, which guests are in which domain, and the moves so far.
struct MigrationDraft {
    struct Seat: Hashable {
        var group: RebalancingFleet.Group
        var domain: Int32
    }
    struct Step {
        var guest: Int
        var source: Int
        var target: Int
    }

    let fleet: RebalancingFleet
    let limits: MigrationLimits
    private(set) var site: [Int]
    private(set) var used: [Resources]
    private(set) var load: [Int64]
    /// Guests by site. Those moved away stay in the list and are skipped.
    private(set) var guests: [[Int]]
    private var count: [Int]
    /// By site: how many share it with some only, and how many there are of each party.
    private var closed: [Int]
    private var parties: [[ParticipantID: Int]]
    private var apart: [Seat: Int] = [:]
    private var together: [RebalancingFleet.Group: Int] = [:]
    private(set) var steps: [Step] = []
    private(set) var memoryMiB: Int64 = 0

    init(_ fleet: RebalancingFleet, _ limits: MigrationLimits) {
        self.fleet = fleet
        self.limits = limits
        site = fleet.guests.map(\.site)
        used = fleet.sites.map(\.reserved)
        load = fleet.sites.map(\.ownLoad)
        guests = Array(repeating: [], count: fleet.sites.count)
        count = Array(repeating: 0, count: fleet.sites.count)
        closed = Array(repeating: 0, count: fleet.sites.count)
        parties = Array(repeating: [:], count: fleet.sites.count)
        for (index, site) in fleet.sites.enumerated() {
            for tenant in site.others { note(tenant, on: index, by: 1) }
        }
        for (index, guest) in fleet.guests.enumerated() {
            guests[guest.site].append(index)
            if let group = guest.together { together[group, default: 0] += 1 }
            settle(index, on: guest.site)
        }
    }

    // MARK: - Reading

    func isEmpty(_ site: Int) -> Bool { count[site] == 0 }
    func free(_ site: Int) -> Resources { fleet.sites[site].promised - used[site] }
    func present(_ index: Int) -> [Int] { guests[index].filter { site[$0] == index } }

    /// A guest moves once at most, and only from a host that takes part.
    func isMovable(_ guest: Int) -> Bool {
        let value = fleet.guests[guest]
        return site[guest] == value.site && fleet.sites[value.site].isOpen && kind(of: value) != nil
    }

    /// How it would move, at best: live where memory is copied faster than it is written to.
    private func kind(of guest: RebalancingFleet.Guest) -> Migration.Downtime? {
        switch guest.mobility {
        case .pinned: nil
        case .live where guest.dirtyMbps < limits.mbps: .blink
        case .live, .cold: limits.allowsRestart ? .restart : nil
        }
    }

    /// The same to a target, which may not take it while it runs.
    private func kind(of guest: RebalancingFleet.Guest, to target: Int) -> Migration.Downtime? {
        guard kind(of: guest) == .blink, !fleet.takes(target, guest) else { return kind(of: guest) }
        return limits.allowsRestart ? .restart : nil
    }

    /// Whether it would be restarted on a target though elsewhere it need not be.
    func isRougher(_ target: Int, _ guest: Int) -> Bool {
        let value = fleet.guests[guest]
        return kind(of: value) == .blink && kind(of: value, to: target) != .blink
    }

    /// Every hard rule for a guest on a target, while it is still on its source and counts on both.
    func accepts(_ target: Int, _ guest: Int) -> Bool {
        let (value, source) = (fleet.guests[guest], site[guest])
        let kind = kind(of: value, to: target)
        guard target != source, kind != nil, fleet.sites[target].isOpen, value.resources.fits(in: free(target)),
            !value.barred.contains(target),
            admits(target, value.tenant)
        else { return false }
        for group in value.apart {
            let domain = fleet.domain(of: target, group.scope)
            let own = domain == fleet.domain(of: source, group.scope) ? 1 : 0
            guard apart[Seat(group: group, domain: domain)] ?? 0 <= own else { return false }
        }
        if let address = value.address, kind == .blink, present(target).contains(where: { fleet.guests[$0].address == address }) {
            return false
        }
        if let group = value.together, together[group] ?? 0 > 1 {
            // Moved out of its domain one by one, a group would be torn apart midway.
            return fleet.domain(of: target, group.scope) == fleet.domain(of: source, group.scope)
        }
        return true
    }

    /// Whether who comes and who is there may be on one host.
    private func admits(_ site: Int, _ tenant: RebalancingFleet.Tenant) -> Bool {
        if tenant.sharing != .shared, !parties[site].keys.allSatisfy(tenant.admits) { return false }
        guard closed[site] > 0 else { return true }
        return fleet.sites[site].others.allSatisfy { $0.admits(tenant.party) }
            && present(site).allSatisfy { fleet.guests[$0].tenant.admits(tenant.party) }
    }

    func hasBudget(for guest: Int) -> Bool {
        steps.count < limits.mostMoves && fleet.guests[guest].resources.memoryMiB <= limits.mostMemoryMiB - memoryMiB
    }

    // MARK: - Moving

    mutating func move(_ guest: Int, to target: Int) {
        let source = site[guest]
        steps.append(Step(guest: guest, source: source, target: target))
        memoryMiB += fleet.guests[guest].resources.memoryMiB
        lift(guest, from: source)
        site[guest] = target
        guests[target].append(guest)
        settle(guest, on: target)
    }

    /// Takes back the moves after the first `kept`.
    mutating func undo(downTo kept: Int) {
        while steps.count > kept, let step = steps.popLast() {
            memoryMiB -= fleet.guests[step.guest].resources.memoryMiB
            lift(step.guest, from: step.target)
            guests[step.target].removeLast()
            site[step.guest] = step.source
            settle(step.guest, on: step.source)
        }
    }

    private mutating func settle(_ guest: Int, on index: Int) { change(guest, index, by: 1) }
    private mutating func lift(_ guest: Int, from index: Int) { change(guest, index, by: -1) }

    private mutating func change(_ guest: Int, _ index: Int, by sign: Int) {
        let value = fleet.guests[guest]
        used[index] += value.resources * Int64(sign)
        load[index] += value.load * Int64(sign)
        count[index] += sign
        note(value.tenant, on: index, by: sign)
        for group in value.apart { apart[Seat(group: group, domain: fleet.domain(of: index, group.scope)), default: 0] += sign }
    }

    private mutating func note(_ tenant: RebalancingFleet.Tenant, on index: Int, by sign: Int) {
        if tenant.sharing != .shared { closed[index] += sign }
        let left = (parties[index][tenant.party] ?? 0) + sign
        parties[index][tenant.party] = left == 0 ? nil : left
    }

    // MARK: - The plan

    /// Lays the moves out in rounds. A move joins the round before it unless it needs what that round frees: room on its target, its
    /// target to itself, or a seat of its group; or unless a host would take part in too many.
    func plan(_ before: Int64, _ after: Int64) -> MigrationPlan {
        guard after < before else { return MigrationPlan(before: before, after: before) }
        var plan = MigrationPlan(before: before, after: after)
        var round = 0
        var (left, busy): (Set<Int>, [Int: Int]) = ([], [:])
        var groups: Set<RebalancingFleet.Group> = []
        for step in steps {
            let guest = fleet.guests[step.guest]
            let isCrowded = [step.source, step.target].contains { busy[$0] ?? 0 >= limits.perHost }
            if left.contains(step.target) || isCrowded || guest.apart.contains(where: groups.contains) {
                round += 1
                (left, busy, groups) = ([], [:], [])
            }
            left.insert(step.source)
            busy[step.source, default: 0] += 1
            busy[step.target, default: 0] += 1
            groups.formUnion(guest.apart)
            plan.moves.append(migration(step, guest, round: round))
        }
        return plan
    }

    private func migration(_ step: Step, _ guest: RebalancingFleet.Guest, round: Int) -> Migration {
        let downtime = kind(of: guest, to: step.target) ?? .restart
        // Pre-copy converges as a geometric series: what was written while one pass went on is the next (Clark et al., NSDI 2005, §3.3).
        let mbps = downtime == .blink ? limits.mbps - guest.dirtyMbps : limits.mbps
        let megabits = downtime == .blink ? guest.resources.memoryMiB * 8_389 / 1_000 : 0
        return Migration(
            instance: guest.id, source: fleet.sites[step.source].id, target: fleet.sites[step.target].id,
            memoryMiB: guest.resources.memoryMiB, downtime: downtime, takes: .milliseconds(megabits * 1_000 / mbps), round: round)
    }
}
