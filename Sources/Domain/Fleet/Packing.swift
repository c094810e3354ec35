public import Primitives

/// Lots of several products set aside on hosts, each for a time of its own. A lot lies on one host; what lies on a host together at any
/// moment fits what the host promises.
public struct Packing: Sendable {
    /// Lots that lie on a host, or wait for one.
    public struct Claim: Hashable, Sendable {
        /// What one lot holds.
        public var lot: Resources
        public var lots: Int64
        /// Nil: from now on without end.
        public var period: Period?
        /// Nil: on none yet.
        public var host: HostID?
        /// Where it may lie.
        public var pods: Pods

        public init(lot: Resources, lots: Int64, period: Period?, host: HostID?, pods: Pods = .all) {
            self.pods = pods
            self.lot = lot
            self.lots = lots
            self.period = period
            self.host = host
        }
    }

    /// What becomes of a claim. Kept, moved and left add up to its lots.
    public struct Outcome: Hashable, Sendable {
        /// Lots that stay where they lie.
        public var kept: Int64 = 0
        public var moved: [Share] = []
        /// Lots that no host has room for.
        public var left: Int64 = 0
    }

    public struct Share: Hashable, Sendable {
        public var host: HostID
        public var lots: Int64
    }

    /// The pods on whose hosts lots of a product may lie.
    public enum Pods: Hashable, Sendable {
        case all
        case only(Set<PodID>)

        public func has(_ pod: PodID) -> Bool {
            switch self {
            case .all: true
            case .only(let pods): pods.contains(pod)
            }
        }
    }

    /// What a host that is up has to give.
    public struct Room: Hashable, Sendable {
        public var pod: PodID
        public var resources: Resources
        /// It is bare metal: one lot at a time, of whatever product.
        public var isWhole: Bool

        public init(pod: PodID, resources: Resources, isWhole: Bool = false) {
            self.pod = pod
            self.resources = resources
            self.isWhole = isWhole
        }
    }

    private var bins: [Bin]

    public init(rooms: [HostID: Room]) {
        bins = rooms.sorted { $0.key < $1.key }.map { Bin(host: $0.key, room: $0.value) }
    }

    /// Lays out claims, those first in the list first: each stays on its host as far as it fits there, then what is left over goes
    /// where there is room.
    public mutating func arrange(_ claims: [Claim]) -> [Outcome] {
        var outcomes = claims.map { claim in
            let kept = claim.host.map { keep(claim, on: $0) } ?? 0
            return Outcome(kept: kept, left: claim.lots - kept)
        }
        for index in claims.indices where outcomes[index].left > 0 {
            let claim = claims[index]
            let moved = place(outcomes[index].left, of: claim.lot, during: claim.period, on: claim.pods)
            outcomes[index].moved = moved
            outcomes[index].left -= moved.map(\.lots).reduce(0, +)
        }
        return outcomes
    }

    /// How many more lots fit, host by host.
    public func room(for lot: Resources, during period: Period?, on pods: Pods = .all) -> Int64 {
        bins.map { pods.has($0.room.pod) ? $0.lots(of: lot, during: period) : 0 }.reduce(0, +)
    }

    /// Sets lots aside, as many as fit: on the fullest host first, so that large gaps stay for large lots; ties go to the lower
    /// identifier.
    public mutating func place(_ lots: Int64, of lot: Resources, during period: Period?, on pods: Pods = .all) -> [Share] {
        let order = bins.indices.filter { pods.has(bins[$0].room.pod) }
            .map { (index: $0, fits: bins[$0].lots(of: lot, during: period)) }.filter { $0.fits > 0 }
            .sorted { ($0.fits, bins[$0.index].host) < ($1.fits, bins[$1.index].host) }
        var left = lots
        var shares: [Share] = []
        for (index, fits) in order where left > 0 {
            let taken = min(left, fits)
            bins[index].add(lot * taken, during: period)
            shares.append(Share(host: bins[index].host, lots: taken))
            left -= taken
        }
        return shares
    }

    /// How many lots are taken up when they are the most: those without end, and those of the busiest moment.
    public static func peak(of claims: [(lots: Int64, period: Period?)]) -> Int64 {
        let always = claims.filter { $0.period == nil }.map(\.lots).reduce(0, +)
        let moments = Set(claims.compactMap { $0.period?.start })
        let busiest = moments.map { moment in claims.filter { $0.period?.contains(moment) ?? false }.map(\.lots).reduce(0, +) }.max() ?? 0
        return always + busiest
    }

    private mutating func keep(_ claim: Claim, on host: HostID) -> Int64 {
        guard let index = bins.firstIndex(where: { $0.host == host }), claim.pods.has(bins[index].room.pod) else { return 0 }
        let kept = min(claim.lots, bins[index].lots(of: claim.lot, during: claim.period))
        bins[index].add(claim.lot * kept, during: claim.period)
        return kept
    }

    /// One host and what lies on it.
    private struct Bin: Sendable {
        let host: HostID
        let room: Room
        /// Of what lies there without end.
        private var always = Resources.zero
        private var timed: [Period: Resources] = [:]

        init(host: HostID, room: Room) {
            self.host = host
            self.room = room
        }

        mutating func add(_ resources: Resources, during period: Period?) {
            guard resources != .zero else { return }
            if let period { timed[period, default: .zero] += resources } else { always += resources }
        }

        func lots(of lot: Resources, during period: Period?) -> Int64 {
            let taken = peak(during: period)
            let lots = (room.resources - taken).wholeLots(of: lot)
            return room.isWhole ? min(lots, taken == .zero ? 1 : 0) : lots
        }

        /// The most of each component that is taken up at any moment of a period. It is reached when one of the periods that lie here
        /// begins, or when this one does.
        private func peak(during period: Period?) -> Resources {
            let present = timed.filter { period.map($0.key.overlaps) ?? true }
            var peak = always
            for moment in present.keys.map({ max($0.start, period?.start ?? $0.start) }) {
                let then = present.filter { $0.key.contains(moment) }.values.reduce(always, +)
                peak = peak.atLeast(then)
            }
            return peak
        }
    }
}

extension Period {
    fileprivate func overlaps(_ other: Period) -> Bool { intersection(other) != nil }
}

extension Resources {
    /// The larger of each component.
    fileprivate func atLeast(_ other: Resources) -> Resources {
        Resources(
            milliCPU: max(milliCPU, other.milliCPU), memoryMiB: max(memoryMiB, other.memoryMiB), diskMiB: max(diskMiB, other.diskMiB),
            iops: max(iops, other.iops), networkMbps: max(networkMbps, other.networkMbps), milliGPU: max(milliGPU, other.milliGPU))
    }
}
