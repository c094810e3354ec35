import Fleet
import Primitives

/// The placement rules once more, as plainly as they can be said: lists of hosts and of what is on them, looked through from the start
/// for each question.
struct NaivePlacement {
    struct Placed {
        var request: PlacementRequest
        var host: HostID
        var gpus: [Int]
        var cell: Int?
        var reservedUntil: Instant?
    }

    var hosts: [PlacementHost] = []
    var placed: [Placed] = []

    func host(_ id: HostID) -> PlacementHost {
        guard let host = hosts.first(where: { $0.id == id }) else { preconditionFailure("no host \(id)") }
        return host
    }

    func fits(_ request: PlacementRequest) -> Bool { hosts.contains { firstBroken(request, $0) == nil } }

    /// Hosts by the first rule that keeps each away.
    func fallen(_ request: PlacementRequest) -> [PlacementRule: Int] {
        var counts: [PlacementRule: Int] = [:]
        for host in hosts { if let rule = firstBroken(request, host) { counts[rule, default: 0] += 1 } }
        return counts
    }

    func firstBroken(_ request: PlacementRequest, _ host: PlacementHost) -> PlacementRule? {
        if let rule = brokenTerm(request, host) { return rule }
        if let rule = brokenTenancy(request, host) { return rule }
        if host.kind == .metal, placed.contains(where: { $0.host == host.id }) { return .occupied }
        if let rule = brokenGroup(request, host) { return rule }
        if let wanted = request.gpu, wanted.count > 0, !wanted.models.isEmpty, !wanted.models.contains(host.gpuModel ?? "-") {
            return .gpuModel
        }
        return brokenRoom(request, host)
    }

    private func brokenTerm(_ request: PlacementRequest, _ host: PlacementHost) -> PlacementRule? {
        if host.state != .up { return .state }
        if let zone = request.zone, zone != host.zone { return .zone }
        if let pod = request.pod, pod != host.pod { return .pod }
        if let wanted = request.host, wanted != host.id { return .host }
        if request.avoiding.contains(host.id) { return .avoided }
        if let pod = request.volumePod, pod != host.pod { return .volume }
        if let kind = request.kind, kind != host.kind { return .kind }
        if let profile = request.profile, profile != host.profile { return .profile }
        if let storage = request.storage, storage != host.storage { return .storage }
        if let jurisdiction = request.jurisdiction, jurisdiction != host.jurisdiction { return .jurisdiction }
        if let largest = request.largestOversubscription,
            host.ratios.cpu > largest.cpu || host.ratios.memory > largest.memory || host.ratios.disk > largest.disk
        {
            return .oversubscription
        }
        if let party = host.dedicatedTo, party != request.party { return .dedicated }
        if request.network != nil, !host.hasTunnel { return .tunnel }
        return nil
    }

    // MARK: Tenancy

    private func brokenTenancy(_ request: PlacementRequest, _ host: PlacementHost) -> PlacementRule? {
        if clash(request, request.tenancy.connect, { _ in true }, { $0.connect }) { return .tenancyConnect }
        if clash(request, request.tenancy.pod, { $0.pod == host.pod }, { $0.pod }) { return .tenancyPod }
        if request.tenancy.pool != .shared, host.pool == nil { return .tenancyPool }
        if let pool = host.pool, clash(request, request.tenancy.pool, { $0.pool == pool }, { $0.pool }) { return .tenancyPool }
        if clash(request, request.tenancy.host, { $0.id == host.id }, { $0.host }) { return .tenancyHost }
        return nil
    }

    private func clash(
        _ request: PlacementRequest, _ own: PlacementTenancy.Sharing, _ inside: (PlacementHost) -> Bool,
        _ level: (PlacementTenancy) -> PlacementTenancy.Sharing
    ) -> Bool {
        placed.contains { other in
            guard inside(host(other.host)) else { return false }
            return !allows(own, of: request.party, other.request.party)
                || !allows(level(other.request.tenancy), of: other.request.party, request.party)
        }
    }

    private func allows(_ sharing: PlacementTenancy.Sharing, of owner: ParticipantID, _ other: ParticipantID) -> Bool {
        switch sharing {
        case .shared: true
        case .exclusive: owner == other
        case .group(let members): owner == other || members.contains(other)
        }
    }

    // MARK: Groups

    private func brokenGroup(_ request: PlacementRequest, _ host: PlacementHost) -> PlacementRule? {
        for rule in [PlacementRule.together, .apart, .spread] {
            for group in request.groups where breaks(group, rule, request, host) { return rule }
        }
        return nil
    }

    private func breaks(_ group: PlacementGroup, _ rule: PlacementRule, _ request: PlacementRequest, _ host: PlacementHost) -> Bool {
        let members = placed.filter { $0.request.groups.contains { $0.id == group.id } }
        switch (rule, group.rule) {
        case (.together, .together(let level)):
            return !members.isEmpty && !members.contains { self.host($0.host).domain(level) == host.domain(level) }
        case (.apart, .apart(let level)):
            return members.contains { self.host($0.host).domain(level) == host.domain(level) }
        case (.spread, .spread(let level, let maxSkew)):
            let open = Set(hosts.filter { brokenTerm(request, $0) == nil }.map { $0.domain(level) })
            let counts = open.map { name in members.filter { self.host($0.host).domain(level) == name }.count }
            let own = members.filter { self.host($0.host).domain(level) == host.domain(level) }.count
            return own + 1 - (counts.min() ?? 0) > maxSkew
        default: return false
        }
    }

    // MARK: Room

    func free(_ host: PlacementHost) -> Resources {
        var capacity = host.capacity
        capacity.milliGPU = Int64(host.gpuCount) * 1_000
        return placed.filter { $0.host == host.id }.reduce(capacity) { free, other in
            var used = other.request.resources
            used.milliGPU = demand(other.request).map { Int64($0.count) * $0.each } ?? 0
            return free - used
        }
    }

    /// Thousandths free of each GPU.
    func gpus(_ host: PlacementHost) -> [Int64] {
        var free = [Int64](repeating: 1_000, count: host.gpuCount)
        for other in placed where other.host == host.id {
            for gpu in other.gpus { free[gpu] -= demand(other.request)?.each ?? 0 }
        }
        return free
    }

    func cells(_ host: PlacementHost) -> [PlacementHost.Cell] {
        var free =
            host.cells.isEmpty
            ? [PlacementHost.Cell(milliCPU: host.capacity.milliCPU, memoryMiB: host.capacity.memoryMiB)] : host.cells
        for other in placed where other.host == host.id {
            guard let cell = other.cell else { continue }
            free[cell].milliCPU -= other.request.resources.milliCPU
            free[cell].memoryMiB -= other.request.resources.memoryMiB
        }
        return free
    }

    private func demand(_ request: PlacementRequest) -> (count: Int, each: Int64)? {
        if let gpu = request.gpu { return gpu.count > 0 ? (gpu.count, gpu.milliEach) : nil }
        let milli = request.resources.milliGPU
        if milli == 0 { return nil }
        return milli % 1_000 == 0 ? (Int(milli / 1_000), 1_000) : (1, milli)
    }

    private func brokenRoom(_ request: PlacementRequest, _ host: PlacementHost) -> PlacementRule? {
        let free = free(host)
        var wanted = request.resources
        let gpu = demand(request)
        wanted.milliGPU = gpu.map { Int64($0.count) * $0.each } ?? 0
        if let short = wanted.shortfalls(against: free).first { return PlacementRule(rawValue: short.name) }
        if let gpu, gpus(host).filter({ $0 >= gpu.each }).count < gpu.count { return .gpuFit }
        if request.numa, !cells(host).contains(where: { $0.milliCPU >= wanted.milliCPU && $0.memoryMiB >= wanted.memoryMiB }) {
            return .numaFit
        }
        return nil
    }

    /// Nothing is taken twice.
    var isSound: Bool {
        hosts.allSatisfy { host in
            free(host).isNonNegative && gpus(host).allSatisfy { (0...1_000).contains($0) }
                && cells(host).allSatisfy { $0.milliCPU >= 0 && $0.memoryMiB >= 0 }
        }
    }
}
