import Primitives

extension MigrationDraft {
    /// Load above the threshold, of all open hosts, in milli-vCPU.
    func excess(_ perMille: Int64) -> Int64 {
        fleet.sites.indices.filter { fleet.sites[$0].isOpen }.map { excess(of: $0, perMille) }.reduce(0, +)
    }

    private func excess(of site: Int, _ perMille: Int64) -> Int64 { max(0, load[site] - threshold(site, perMille)) }
    private func threshold(_ site: Int, _ perMille: Int64) -> Int64 { fleet.sites[site].hardwareMilliCPU * perMille / 1_000 }

    /// Takes load from the hottest host, again and again, to the coolest that stays below the threshold with it.
    mutating func relieve(_ perMille: Int64) {
        var hot = fleet.sites.indices.filter { fleet.sites[$0].isOpen && excess(of: $0, perMille) > 0 }
        hot.sort { a, b in
            let (x, y) = (excess(of: a, perMille), excess(of: b, perMille))
            return x != y ? x > y : fleet.sites[a].id < fleet.sites[b].id
        }
        for site in hot {
            while excess(of: site, perMille) > 0, relieveOnce(site, perMille) {}
        }
    }

    /// One move off a hot host: the smallest memory that takes the whole excess, or else the most load for its memory.
    private mutating func relieveOnce(_ site: Int, _ perMille: Int64) -> Bool {
        let excess = excess(of: site, perMille)
        let movable = present(site).filter { isMovable($0) && hasBudget(for: $0) && fleet.guests[$0].load > 0 }
        for guest in movable.sorted(by: { isBetter($0, $1, excess) }) {
            guard let target = coolest(for: guest, perMille) else { continue }
            move(guest, to: target)
            return true
        }
        return false
    }

    private func isBetter(_ a: Int, _ b: Int, _ excess: Int64) -> Bool {
        let (x, y) = (fleet.guests[a], fleet.guests[b])
        if (x.load >= excess) != (y.load >= excess) { return x.load >= excess }
        let (xm, ym) = (max(1, x.resources.memoryMiB), max(1, y.resources.memoryMiB))
        if x.load >= excess { return (xm, x.id) < (ym, y.id) }
        return x.load * ym != y.load * xm ? x.load * ym > y.load * xm : x.id < y.id
    }

    /// Of the hosts that need not restart it, where there are any.
    private func coolest(for guest: Int, _ perMille: Int64) -> Int? {
        var best: (site: Int, rank: (rough: Int, share: Int64))?
        for target in fleet.sites.indices where load[target] + fleet.guests[guest].load <= threshold(target, perMille) {
            let share = load[target] * 1_000_000 / max(1, fleet.sites[target].hardwareMilliCPU)
            let rank = (rough: isRougher(target, guest) ? 1 : 0, share: share)
            if let best, best.rank < rank || best.rank == rank && fleet.sites[best.site].id <= fleet.sites[target].id { continue }
            if accepts(target, guest) { best = (target, rank) }
        }
        return best?.site
    }
}
