import Primitives

// The hard rules. Most are asked of the rows, all in one pass over the hosts; `narrow` has those that speak of few hosts or domains.
// Room as far as the levels can tell is in `askRoom`, exactly in `lacks`.
extension PlacementEngine {
    /// The hosts that keep all rules, and that have room as far as the levels can tell when that is asked for.
    func keepRules(_ request: PlacementRequest, _ need: PlacementNeed, withRoom: Bool, _ scratch: inout Scratch) {
        scratch.query.removeAll()
        for index in 1...Self.lastRowRule { ask(Self.order[index], request, need, &scratch.query) }
        if withRoom { askRoom(need, &scratch.query) }
        rows.find(scratch.query, in: up, to: &scratch.fitting)
        guard needsNarrowing(request) else { return }
        if request.groups.contains(where: \.isSpread) { keepTerms(request, need, &scratch) }
        for index in 1...Self.lastRowRule { narrow(Self.order[index], request, need, &scratch.fitting, terms: scratch.terms) }
    }

    /// The hosts that keep the rules about a host as such, for those that count domains.
    private func keepTerms(_ request: PlacementRequest, _ need: PlacementNeed, _ scratch: inout Scratch) {
        scratch.query.removeAll()
        for index in PlacementRule.terms.dropFirst() { ask(Self.order[index], request, need, &scratch.query) }
        rows.find(scratch.query, in: up, to: &scratch.terms)
        guard request.host != nil || !request.avoiding.isEmpty else { return }
        for index in PlacementRule.terms { narrow(Self.order[index], request, need, &scratch.terms, terms: scratch.fitting) }
    }

    /// Takes the hosts that break one rule out of `scratch.fitting`. False: the rule asks nothing of this request.
    func keep(_ rule: PlacementRule, _ request: PlacementRequest, _ need: PlacementNeed, _ scratch: inout Scratch) -> Bool {
        scratch.query.removeAll()
        ask(rule, request, need, &scratch.query)
        let narrows = narrows(rule, request)
        guard !scratch.query.isEmpty || narrows else { return false }
        if !scratch.query.isEmpty { rows.keep(scratch.query, in: &scratch.fitting) }
        if narrows { narrow(rule, request, need, &scratch.fitting, terms: scratch.terms) }
        return true
    }

    static let order = ContiguousArray(PlacementRule.allCases)
    /// Rules after this one are about room.
    static let lastRowRule = 21

    /// Asks the rows for one rule.
    @inline(__always)
    private func ask(_ rule: PlacementRule, _ request: PlacementRequest, _ need: PlacementNeed, _ query: inout RowQuery) {
        switch rule {
        case .state: query.keep(up)
        case .zone: if let zone = request.zone { query.keep(zones.row(zone)) }
        case .pod: if let pod = request.pod { query.keep(pods.row(pod)) }
        case .volume: if let pod = request.volumePod { query.keep(pods.row(pod)) }
        case .kind: if let kind = request.kind { query.keep(kinds.row(kind)) }
        case .profile: if let profile = request.profile { query.keep(profiles.row(profile)) }
        case .storage: if let storage = request.storage { query.keep(storages.row(storage)) }
        case .jurisdiction: if let jurisdiction = request.jurisdiction { query.keep(jurisdictions.row(jurisdiction)) }
        case .oversubscription: if let largest = request.largestOversubscription { askRatios(largest, &query) }
        case .dedicated: if dedications.count > 0 { query.remove(dedicated, except: dedications.row(request.party) ?? HostRows.nobody) }
        case .tunnel: if request.network != nil { query.keep(tunnels) }
        case .tenancyConnect: askConnect(need, &query)
        case .tenancyPod: askTenancy(1, need, pods, &query)
        case .tenancyPool:
            if need.circles[2] >= 0 { query.keep(inPools) }
            askTenancy(2, need, pools, &query)
        case .tenancyHost:
            // Where everything that is there would go, so would its terms.
            if !need.evicts || request.kind != .metal { tenancy.askHosts(party: need.party, circle: need.circles[3], &query) }
        case .occupied: if !need.evicts, request.kind != .virtual { askVacant(&query) }
        case .gpuModel:
            if let gpu = request.gpu, gpu.models.count == 1, need.wantsGPU { query.keep(gpuModels.row(gpu.models[0])) }
        case .host, .avoided, .together, .apart, .spread: break
        case .milliCPU, .memoryMiB, .diskMiB, .iops, .networkMbps, .milliGPU, .gpuFit, .numaFit: break
        }
    }

    /// Takes out the hosts that break a rule which no row answers.
    private func narrow(
        _ rule: PlacementRule, _ request: PlacementRequest, _ need: PlacementNeed, _ mask: inout HostMask, terms: HostMask
    ) {
        switch rule {
        case .host: if let host = request.host { keepHost(host, &mask) }
        case .avoided: for host in request.avoiding { if let number = numbers[host] { mask.clear(Int(number)) } }
        case .together, .apart, .spread: if !request.groups.isEmpty { keepGroups(rule, request.groups, &mask, terms: terms) }
        case .gpuModel: if let gpu = request.gpu, gpu.models.count > 1, need.wantsGPU { keepModels(gpu.models, &mask) }
        default: break
        }
    }

    private func needsNarrowing(_ request: PlacementRequest) -> Bool {
        request.host != nil || !request.avoiding.isEmpty || !request.groups.isEmpty || request.gpu?.models.count ?? 0 > 1
    }

    /// Whether `narrow` has something to do for one rule.
    private func narrows(_ rule: PlacementRule, _ request: PlacementRequest) -> Bool {
        switch rule {
        case .host: request.host != nil
        case .avoided: !request.avoiding.isEmpty
        case .together, .apart, .spread: !request.groups.isEmpty
        case .gpuModel: request.gpu?.models.count ?? 0 > 1
        default: false
        }
    }

    private func keepHost(_ id: HostID, _ mask: inout HostMask) {
        let number = numbers[id].map { Int($0) }
        let stays = number.map { mask.has($0) } ?? false
        mask.clear()
        if let number, stays { mask.set(number) }
    }

    /// Takes out the hosts of bare metal that have a machine.
    private func askVacant(_ query: inout RowQuery) {
        guard kinds.row(.metal) != nil else { return }
        query.remove(tenancy.occupied, except: kinds.row(.virtual) ?? HostRows.nobody)
    }

    /// Whether a host is one machine's alone.
    func isMetal(_ host: Int) -> Bool { kinds.row(.metal).map { rows.has($0, host) } ?? false }

    private func askRatios(_ largest: Oversubscription, _ query: inout RowQuery) {
        for (number, ratio) in ratios.values.keys.enumerated() {
            let isAllowed = ratio.cpu <= largest.cpu && ratio.memory <= largest.memory && ratio.disk <= largest.disk
            if !isAllowed { query.remove(ratios.row(number: Int32(number))) }
        }
    }

    private func keepModels(_ models: [String], _ mask: inout HostMask) {
        var allowed = HostMask(stride: rows.stride)
        for model in models { if let row = gpuModels.row(model) { rows.add(row, to: &allowed) } }
        mask.keep(allowed)
    }

    // MARK: Tenancy above hosts

    private func askConnect(_ need: PlacementNeed, _ query: inout RowQuery) {
        guard !tenancy.isOpen(level: 0, circle: need.circles[0]) else { return }
        if !tenancy.admits(level: 0, domain: 0, party: need.party, circle: need.circles[0]) { query.keepNobody() }
    }

    private func askTenancy<Key>(_ level: Int, _ need: PlacementNeed, _ domains: KeyedRows<Key>, _ query: inout RowQuery) {
        let circle = need.circles[level]
        if circle < 0 {
            for domain in tenancy.closedDomains(level: level)
            where !tenancy.admits(level: level, domain: Int(domain), party: need.party, circle: circle) {
                query.remove(domains.row(number: domain))
            }
        } else {
            // All hosts that are left are in a domain: when at most one is open, that is asked for instead of all others.
            let before = query.exclusions.count
            var open = (count: 0, row: HostRows.nobody)
            for domain in 0..<domains.count {
                let row = domains.row(number: Int32(domain))
                if tenancy.admits(level: level, domain: domain, party: need.party, circle: circle) {
                    open = (open.count + 1, row)
                } else {
                    query.remove(row)
                }
            }
            guard open.count <= 1 else { return }
            query.exclusions.truncate(to: before)
            query.keep(open.row)
        }
    }

    // MARK: Groups

    private func keepGroups(_ rule: PlacementRule, _ wanted: [PlacementGroup], _ mask: inout HostMask, terms: HostMask) {
        for group in wanted {
            switch (rule, group.rule) {
            case (.together, .together(let level)):
                guard let known = groups.find(group.id) else { continue }
                if known.domains.count == 1 { keep(known.domains[0], level, &mask) } else { mask.keep(hosts(in: known.domains, level)) }
            case (.apart, .apart(let level)):
                for domain in groups.find(group.id)?.domains ?? [] { remove(domain, level, &mask) }
            case (.spread, .spread(let level, let maxSkew)):
                keepSpread(groups.find(group.id), level, Int32(clamping: maxSkew), &mask, terms: terms)
            default: break
            }
        }
    }

    /// The row of a domain's hosts, at the levels that have rows.
    private func row(of domain: Int32, _ level: PlacementLevel) -> Int32? {
        switch level {
        case .zone: zones.row(domains[level.index].names[domain])
        case .pod: domains[level.index].hosts[Int(domain)].first.flatMap { hosts[Int($0)] }.flatMap { pods.row($0.pod) }
        case .host, .rack, .power, .network, .facility: nil
        }
    }

    private func remove(_ domain: Int32, _ level: PlacementLevel, _ mask: inout HostMask) {
        if let row = row(of: domain, level) { return rows.remove(row, from: &mask) }
        if level == .host { mask.clear(Int(domain)) } else { mask.clear(domains[level.index].hosts[Int(domain)]) }
    }

    /// Leaves the hosts of one domain.
    private func keep(_ domain: Int32, _ level: PlacementLevel, _ mask: inout HostMask) {
        guard level == .host else { return mask.keep(hosts(in: [domain], level)) }
        let stays = mask.has(Int(domain))
        mask.clear()
        if stays { mask.set(Int(domain)) }
    }

    func hosts(in wanted: ContiguousArray<Int32>, _ level: PlacementLevel) -> HostMask {
        var found = HostMask(stride: rows.stride)
        if level == .host { found.set(wanted) } else { for domain in wanted { found.set(domains[level.index].hosts[Int(domain)]) } }
        return found
    }

    /// Takes out the domains that would have more than `maxSkew` members above the domain with the fewest.
    private func keepSpread(
        _ group: GroupLedger.Group?, _ level: PlacementLevel, _ maxSkew: Int32, _ mask: inout HostMask, terms: HostMask
    ) {
        guard let group, let fewest = fewest(group, level, terms) else { return }
        for (index, domain) in group.domains.enumerated() where group.counts[index] + 1 - fewest > maxSkew {
            remove(domain, level, &mask)
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

    /// Asks for the hosts that have room as far as the levels can tell: every host with room, and some that lack a little.
    private func askRoom(_ need: PlacementNeed, _ query: inout RowQuery) {
        for family in 0..<5 { askLevel(family, need.amounts[family], &query) }
        if need.wantsGPU {
            askLevel(5, need.amounts[HostRoom.wholeGPUs], &query)
            askLevel(6, need.amounts[HostRoom.largestShare], &query)
        }
        if need.numa {
            askLevel(7, need.amounts[0], &query)
            askLevel(8, need.amounts[1], &query)
        }
    }

    @inline(__always) private func askLevel(_ family: Int, _ amount: Int32, _ query: inout RowQuery) {
        if let row = levels.row(family, atLeast: amount) { query.keep(row) }
    }

    @inline(__always) func hasRoom(_ need: PlacementNeed, _ host: Int) -> Bool {
        all(need.amounts .<= rooms.glances[host].free) && (!need.numa || rooms[host].cell(for: need.amounts) != nil)
    }

    /// The first rule about room that keeps a request off a host.
    func lacks(_ need: PlacementNeed, _ room: HostRoom) -> PlacementRule? { lacking(need, room).map { Self.order[$0] } }

    /// The same by its place in the order.
    @inline(__always) func lacking(_ need: PlacementNeed, _ room: HostRoom) -> Int? {
        let first = Self.lastRowRule + 1
        if !room.holds(need.amounts) { return first + ((0..<6).first { need.amounts[$0] > room.free[$0] } ?? 6) }
        return need.numa && room.cell(for: need.amounts) == nil ? first + 7 : nil
    }
}
