import Primitives

extension MigrationDraft {
    /// What is missing for a request on the host that misses least: 0, it fits. In millionths of the request, all components added.
    func missing(_ request: Resources, _ zone: Int32?) -> Int64 {
        eligible(request, zone).map { shortfall(of: request, on: $0) }.min() ?? Int64(request.components.count) * 1_000_000
    }

    private func eligible(_ request: Resources, _ zone: Int32?) -> [Int] {
        fleet.sites.indices.filter { index in
            let site = fleet.sites[index]
            return site.isOpen && (zone == nil || site.zone == zone) && request.fits(in: site.promised - site.reserved)
        }
    }

    private func shortfall(of request: Resources, on site: Int) -> Int64 {
        request.shortfalls(against: free(site)).map { ($0.needed - $0.available) * 1_000_000 / max(1, $0.needed) }.reduce(0, +)
    }

    /// Clears one host for the request with the least memory to copy. Nothing, when no host can be cleared far enough: half a gap helps
    /// nobody.
    mutating func makeRoom(for request: Resources, _ zone: Int32?) {
        guard missing(request, zone) > 0 else { return }
        let nearest = eligible(request, zone).map { (site: $0, short: shortfall(of: request, on: $0)) }
            .sorted { ($0.short, fleet.sites[$0.site].id) < ($1.short, fleet.sites[$1.site].id) }.prefix(Self.tries)
        var best: (steps: [Step], memory: Int64)?
        for candidate in nearest {
            if clear(candidate.site, for: request), best.map({ memoryMiB < $0.memory }) ?? true { best = (steps, memoryMiB) }
            undo(downTo: 0)
        }
        for step in best?.steps ?? [] { move(step.guest, to: step.target) }
    }

    /// So many hosts are tried, those that miss least first.
    private static let tries = 64

    private mutating func clear(_ site: Int, for request: Resources) -> Bool {
        var isFixed: Set<Int> = []
        while !request.fits(in: free(site)) {
            let movable = present(site).filter { isMovable($0) && hasBudget(for: $0) && !isFixed.contains($0) }
            guard let guest = movable.max(by: { isWorse($0, $1, for: request, on: site) }), frees(guest, for: request, on: site) > 0 else {
                return false
            }
            guard let target = snuggest(for: guest, except: site) else {
                isFixed.insert(guest)
                continue
            }
            move(guest, to: target)
        }
        return true
    }

    /// How much of what is missing its going would give, in millionths of the request.
    private func frees(_ guest: Int, for request: Resources, on site: Int) -> Int64 {
        let resources = fleet.guests[guest].resources
        return zip(zip(request.components, free(site).components), resources.components).map { pair, gives in
            let (needs, has) = pair
            return max(0, min(needs.amount - has.amount, gives.amount)) * 1_000_000 / max(1, needs.amount)
        }.reduce(0, +)
    }

    private func isWorse(_ a: Int, _ b: Int, for request: Resources, on site: Int) -> Bool {
        let (x, y) = (frees(a, for: request, on: site), frees(b, for: request, on: site))
        let (xm, ym) = (max(1, fleet.guests[a].resources.memoryMiB), max(1, fleet.guests[b].resources.memoryMiB))
        return x * ym != y * xm ? x * ym < y * xm : fleet.guests[a].id > fleet.guests[b].id
    }

    /// The host that is left with the least memory free; of those that need not restart it, where there are any.
    private func snuggest(for guest: Int, except site: Int) -> Int? {
        var best: (site: Int, rank: (rough: Int, left: Int64))?
        for target in fleet.sites.indices where target != site {
            let left = free(target).memoryMiB - fleet.guests[guest].resources.memoryMiB
            let rank = (rough: isRougher(target, guest) ? 1 : 0, left: left)
            if let best, best.rank < rank || best.rank == rank && fleet.sites[best.site].id <= fleet.sites[target].id { continue }
            if accepts(target, guest) { best = (target, rank) }
        }
        return best?.site
    }
}
