public import Primitives

// Lifetimes: an instance goes where it is least likely to be the one that keeps a host awake.
extension PlacementEngine {
    /// Something else is expected of an instance than before. Others than those placed are passed over.
    public mutating func expect(_ outlook: LifetimeOutlook, of instance: InstanceID) {
        guard let slot = table.find(instance.bits) else { return }
        lifetimes.change(slot, Int(table[slot].host), to: outlook)
    }

    /// The time the instance is expected to be on the host after everything else there is gone, as a share of its life: the sum over
    /// horizons of time × likelihood that it is there still × likelihood that all others are gone. In millionths or nearly (2⁻²⁰).
    ///
    /// Brief instances go to hosts that began with one as brief or briefer. Where none has room they begin another, so that the hosts of
    /// the brief become empty together, and leave the room on the others to those that stay; on those they go last.
    func lifetimeCost(_ host: Int, _ context: ScoringContext) -> Int64 {
        let count = rooms.glances[host].count
        guard count > 0 else { return Self.emptyHostCost }
        let gone = BinaryLogarithm.shares(lifetimes.sum(on: host, count: count))
        var extended: Int64 = 0
        for lane in 0..<8 { extended += Int64(context.weights[lane]) * Int64(gone[lane]) }
        return min(1 << 20, extended >> 20) + (lifetimes.grades[host] > context.grade ? 2 << 20 : 0)
    }

    /// Above any extension, and below that on a host of longer ones.
    static let emptyHostCost: Int64 = 1 << 20 + 1
}
