import Primitives

// The hard rules. Each takes hosts out of a mask; room is in `keepRoom`, exactly in `lacks`.
extension PlacementEngine {
    /// Leaves in `mask` the hosts that keep all rules but those about room.
    func keepRules(_ request: PlacementRequest, _ need: PlacementNeed, _ mask: inout HostMask, terms: inout HostMask) {
        rows.copy(up, to: &mask)
        for index in 1...PlacementRule.terms.upperBound { keep(Self.order[index], request, need, &mask, terms: terms) }
        if !request.groups.isEmpty {
            for word in mask.words.indices { terms.words[word] = mask.words[word] }
        }
        for index in (PlacementRule.terms.upperBound + 1)...Self.lastRowRule { keep(Self.order[index], request, need, &mask, terms: terms) }
    }

    static let order = ContiguousArray(PlacementRule.allCases)
    /// Rules after this one are about room.
    static let lastRowRule = 18

    /// Takes the hosts that break one rule out of `mask`.
    /// - Parameter terms: the hosts that keep the request's terms; looked at for spreading only.
    func keep(_ rule: PlacementRule, _ request: PlacementRequest, _ need: PlacementNeed, _ mask: inout HostMask, terms: HostMask) {
        switch rule {
        case .state: rows.keep(up, in: &mask)
        case .zone: if let zone = request.zone { keep(zones.row(zone), &mask) }
        case .pod: if let pod = request.pod { keep(pods.row(pod), &mask) }
        case .host: if let host = request.host { keepHost(host, &mask) }
        case .avoided: for host in request.avoiding { if let number = numbers[host] { mask.clear(Int(number)) } }
        case .volume: if let pod = request.volumePod { keep(pods.row(pod), &mask) }
        case .kind: if let kind = request.kind { keep(kinds.row(kind), &mask) }
        case .storage: if let storage = request.storage { keep(storages.row(storage), &mask) }
        case .jurisdiction: if let jurisdiction = request.jurisdiction { keep(jurisdictions.row(jurisdiction), &mask) }
        case .oversubscription: if let largest = request.largestOversubscription { keepRatios(largest, &mask) }
        case .dedicated: keepDedicated(request.party, &mask)
        case .tenancyConnect: keepConnect(need, &mask)
        case .tenancyPod: keepTenancy(1, need, pods, &mask)
        case .tenancyPool:
            if need.circles[2] >= 0 { rows.keep(inPools, in: &mask) }
            keepTenancy(2, need, pools, &mask)
        case .tenancyHost: tenancy.keepHosts(party: need.party, circle: need.circles[3], rows: rows, in: &mask)
        case .together, .apart, .spread: if !request.groups.isEmpty { keepGroups(rule, request.groups, &mask, terms: terms) }
        case .gpuModel: if let gpu = request.gpu, !gpu.models.isEmpty, need.wantsGPU { keepModels(gpu.models, &mask) }
        case .milliCPU, .memoryMiB, .diskMiB, .iops, .networkMbps, .milliGPU, .gpuFit, .numaFit:
            break
        }
    }

    private func keep(_ row: Int32?, _ mask: inout HostMask) { if let row { rows.keep(row, in: &mask) } else { mask.clear() } }

    private func keepHost(_ id: HostID, _ mask: inout HostMask) {
        let number = numbers[id].map { Int($0) }
        let stays = number.map { mask.has($0) } ?? false
        mask.clear()
        if let number, stays { mask.set(number) }
    }

    private func keepRatios(_ largest: Oversubscription, _ mask: inout HostMask) {
        for (number, ratio) in ratios.values.keys.enumerated() {
            let isAllowed = ratio.cpu <= largest.cpu && ratio.memory <= largest.memory && ratio.disk <= largest.disk
            if !isAllowed { rows.remove(ratios.row(number: Int32(number)), from: &mask) }
        }
    }

    private func keepDedicated(_ party: ParticipantID, _ mask: inout HostMask) {
        guard dedications.count > 0 else { return }
        if let own = dedications.row(party) {
            rows.remove(dedicated, except: own, from: &mask)
        } else {
            rows.remove(dedicated, from: &mask)
        }
    }

    private func keepModels(_ models: [String], _ mask: inout HostMask) {
        var allowed = HostMask(stride: rows.stride)
        for model in models { if let row = gpuModels.row(model) { rows.add(row, to: &allowed) } }
        mask.keep(allowed)
    }

    // MARK: Tenancy above hosts

    private func keepConnect(_ need: PlacementNeed, _ mask: inout HostMask) {
        guard !tenancy.isOpen(level: 0, circle: need.circles[0]) else { return }
        if !tenancy.admits(level: 0, domain: 0, party: need.party, circle: need.circles[0]) { mask.clear() }
    }

    private func keepTenancy<Key>(_ level: Int, _ need: PlacementNeed, _ domains: KeyedRows<Key>, _ mask: inout HostMask) {
        guard !tenancy.isOpen(level: level, circle: need.circles[level]) else { return }
        for domain in 0..<domains.count where !tenancy.admits(level: level, domain: domain, party: need.party, circle: need.circles[level])
        {
            rows.remove(domains.row(number: Int32(domain)), from: &mask)
        }
    }

    // MARK: Groups

    private func keepGroups(_ rule: PlacementRule, _ wanted: [PlacementGroup], _ mask: inout HostMask, terms: HostMask) {
        for group in wanted {
            switch (rule, group.rule) {
            case (.together, .together(let level)):
                if let known = groups.find(group.id) { mask.keep(hosts(in: known.domains, level)) }
            case (.apart, .apart(let level)):
                for domain in groups.find(group.id)?.domains ?? [] { forEachHost(domain, level) { mask.clear($0) } }
            case (.spread, .spread(let level, let maxSkew)):
                keepSpread(groups.find(group.id), level, Int32(clamping: maxSkew), &mask, terms: terms)
            default: break
            }
        }
    }

    @inline(__always) private func forEachHost(_ domain: Int32, _ level: PlacementLevel, _ body: (Int) -> Void) {
        if level == .host { return body(Int(domain)) }
        for host in domains[level.index].hosts[Int(domain)] { body(Int(host)) }
    }

    func hosts(in wanted: ContiguousArray<Int32>, _ level: PlacementLevel) -> HostMask {
        var found = HostMask(stride: rows.stride)
        for domain in wanted { forEachHost(domain, level) { found.set($0) } }
        return found
    }

    /// Takes out the domains that would have more than `maxSkew` members above the domain with the fewest.
    private func keepSpread(
        _ group: GroupLedger.Group?, _ level: PlacementLevel, _ maxSkew: Int32, _ mask: inout HostMask, terms: HostMask
    ) {
        guard let group, let fewest = fewest(group, level, terms) else { return }
        for (index, domain) in group.domains.enumerated() where group.counts[index] + 1 - fewest > maxSkew {
            forEachHost(domain, level) { mask.clear($0) }
        }
    }

    /// Members in the domain that has the fewest, of those with a host in `terms`. Nil: there is no such domain.
    private func fewest(_ group: GroupLedger.Group, _ level: PlacementLevel, _ terms: HostMask) -> Int32? {
        if level == .host {
            let present = group.domains.indices.filter { terms.has(Int(group.domains[$0])) }
            return present.count < terms.count ? 0 : present.map { group.counts[$0] }.min()
        }
        var fewest: Int32?
        for domain in 0..<domains[level.index].count {
            guard domains[level.index].hosts[domain].contains(where: { terms.has(Int($0)) }) else { continue }
            fewest = min(fewest ?? .max, group.count(in: Int32(domain)))
        }
        return fewest
    }

    // MARK: Room

    /// Leaves the hosts that have room as far as the levels can tell: every host with room, and some that lack a little.
    func keepRoom(_ need: PlacementNeed, _ mask: inout HostMask) {
        rows.keep(
            (
                level(0, need.amounts[0]), level(1, need.amounts[1]), level(2, need.amounts[2]), level(3, need.amounts[3]),
                level(4, need.amounts[4])
            ), in: &mask)
        if need.wantsGPU {
            keepLevel(5, need.amounts[HostRoom.wholeGPUs], &mask)
            keepLevel(6, need.amounts[HostRoom.largestShare], &mask)
        }
        if need.numa {
            keepLevel(7, need.amounts[0], &mask)
            keepLevel(8, need.amounts[1], &mask)
        }
    }

    private func keepLevel(_ family: Int, _ amount: Int32, _ mask: inout HostMask) {
        if let row = levels.row(family, atLeast: amount) { rows.keep(row, in: &mask) }
    }

    /// The row of a level; that of all hosts when there is none.
    @inline(__always) private func level(_ family: Int, _ amount: Int32) -> Int32 { levels.row(family, atLeast: amount) ?? present }

    @inline(__always) func hasRoom(_ need: PlacementNeed, _ host: Int) -> Bool {
        all(need.amounts .<= glances[host].free) && (!need.numa || rooms[host].cell(for: need.amounts) != nil)
    }

    /// The first rule about room that keeps a request off a host.
    func lacks(_ need: PlacementNeed, _ room: HostRoom) -> PlacementRule? {
        for lane in 0..<6 where need.amounts[lane] > room.free[lane] { return Self.order[Self.lastRowRule + 1 + lane] }
        if !room.holds(need.amounts) { return .gpuFit }
        return need.numa && room.cell(for: need.amounts) == nil ? .numaFit : nil
    }
}
