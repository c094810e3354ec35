import Primitives

extension MigrationDraft {
    /// Open hosts with an instance.
    var occupied: Int64 { Int64(fleet.sites.indices.count { fleet.sites[$0].isOpen && !isEmpty($0) }) }

    /// Empties hosts one after the other, those with the least memory to copy first, each wholly or not at all. What leaves goes to the
    /// fullest host that takes it; hosts that are empty stay so.
    mutating func consolidate() {
        let candidates = fleet.sites.indices.filter { fleet.sites[$0].isOpen && !isEmpty($0) }
            .map { (site: $0, memory: present($0).map { fleet.guests[$0].resources.memoryMiB }.reduce(0, +)) }
            .sorted { ($0.memory, fleet.sites[$0.site].id) < ($1.memory, fleet.sites[$1.site].id) }.map(\.site)
        // Those that would be emptied last take what comes: the fullest first.
        var targets = Array(candidates.reversed())
        var isReceiver = Array(repeating: false, count: fleet.sites.count)
        for candidate in candidates where !isReceiver[candidate] {
            targets.removeAll { $0 == candidate }
            let kept = steps.count
            if vacate(candidate, into: targets) {
                for step in steps[kept...] { isReceiver[step.target] = true }
            } else {
                undo(downTo: kept)
                targets.append(candidate)
            }
        }
    }

    /// Moves everything away, large instances first; false when something has to stay.
    private mutating func vacate(_ site: Int, into targets: [Int]) -> Bool {
        let leaving = present(site).sorted { a, b in
            let (x, y) = (fleet.guests[a], fleet.guests[b])
            return (y.resources.memoryMiB, y.resources.milliCPU, x.id) < (x.resources.memoryMiB, x.resources.milliCPU, y.id)
        }
        guard leaving.allSatisfy(isMovable), steps.count + leaving.count <= limits.mostMoves else { return false }
        for guest in leaving {
            guard hasBudget(for: guest) else { return false }
            let smooth = targets.first { accepts($0, guest) && !isRougher($0, guest) }
            guard let target = smooth ?? targets.first(where: { accepts($0, guest) }) else { return false }
            move(guest, to: target)
        }
        return true
    }
}
