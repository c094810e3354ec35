public import Primitives

extension RebalancingFleet {
    /// Where a request comes nearest to fitting.
    public struct Nearest: Hashable, Sendable {
        public var host: HostID
        /// What there is for it.
        public var room: Resources
        /// What of the request is more than that.
        public var missing: Resources
    }

    /// Of the hosts that take part, the one that even empty misses least of a request; its `missing` is zero when the host is large enough.
    /// Nil: none takes part.
    public func largest(for request: Resources) -> Nearest? { nearest(to: request) { $0.promised - $0.reserved } }

    /// The same of what is free now, among hosts that are large enough.
    public func freest(for request: Resources) -> Nearest? {
        var used = sites.map(\.reserved)
        for guest in guests { used[guest.site] += guest.resources }
        let free = Dictionary(zip(sites.map(\.id), zip(sites, used).map { $0.promised - $1 })) { first, _ in first }
        return nearest(to: request) { site in
            request.fits(in: site.promised - site.reserved) ? free[site.id] : nil
        }
    }

    private func nearest(to request: Resources, _ room: (Site) -> Resources?) -> Nearest? {
        var best: (nearest: Nearest, short: Int64)?
        for site in sites where site.isOpen {
            guard let there = room(site) else { continue }
            let missing = request.beyond(there)
            let short = request.millionths(of: missing)
            if let best, (best.short, best.nearest.host) <= (short, site.id) { continue }
            best = (Nearest(host: site.id, room: there, missing: missing), short)
        }
        return best?.nearest
    }
}

extension Resources {
    /// What of this is more than there is, component by component.
    fileprivate func beyond(_ there: Resources) -> Resources {
        Resources(
            milliCPU: max(0, milliCPU - there.milliCPU), memoryMiB: max(0, memoryMiB - there.memoryMiB),
            diskMiB: max(0, diskMiB - there.diskMiB), iops: max(0, iops - there.iops),
            networkMbps: max(0, networkMbps - there.networkMbps), milliGPU: max(0, milliGPU - there.milliGPU))
    }

    /// How much of this a part is, in millionths, all components added.
    fileprivate func millionths(of part: Resources) -> Int64 {
        zip(components, part.components).map { whole, part in
            Int64(clamping: Int128(part.amount) * 1_000_000 / Int128(max(1, whole.amount)))
        }.reduce(0) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 }
    }
}
