/// Who shares what with whom. A *circle* is a set of parties that an instance's terms allow beside it; terms that say `shared` have
/// none (-1). An instance of party P with circle C may enter a domain when P is in every circle in force there, and every party there
/// is in C.
///
/// For hosts the answers are kept as rows; for pools, pods and the whole datacenter they are worked out, as those are few.
struct TenancyLedger: Sendable {
    /// Connect, pod, pool, host.
    static let levels = 4
    static let host = 3

    /// Party numbers of each circle, ascending.
    private(set) var circles = Interner<ContiguousArray<Int32>>()
    /// The same side by side: where each circle's begin and, last, where all end.
    private var members = FlatArray<Int32>()
    private var starts = FlatArray<Int32>(repeating: 0, count: 1)
    /// What is on each host, and whose.
    private(set) var tenants = HostTenants()
    private var domains: ContiguousArray<DomainLedger> = ContiguousArray(repeating: DomainLedger(), count: TenancyLedger.levels)

    // Rows of hosts.
    /// With instances of somebody.
    let occupied: Int32
    /// With a circle in force.
    let closed: Int32
    /// By party: hosts with instances of that party alone; -1: not asked for yet.
    private var soleRows: ContiguousArray<Int32> = []
    /// By party: closed hosts whose circles all have that party; -1: in no circle so far.
    private var admitsRows: ContiguousArray<Int32> = []
    /// By circle of several parties: hosts on which nobody else is; -1: not asked for yet.
    private var withinRows: ContiguousArray<Int32> = []
    /// Those that were asked for.
    private var within = FlatArray<Within>()

    private struct Within: Sendable, BitwiseCopyable {
        var circle: Int32
        var row: Int32
    }

    init(rows: inout HostRows) {
        occupied = rows.add()
        closed = rows.add()
    }

    var footprint: Int { domains.reduce(tenants.footprint) { $0 + $1.footprint } }

    mutating func join(_ host: Int, _ rows: inout HostRows) {
        domains[Self.host].join(host)
        tenants.join(host)
        for index in 0..<within.count { rows.set(within[index].row, host) }
    }

    mutating func leave(_ host: Int, _ rows: inout HostRows) {
        for index in 0..<within.count { rows.clear(within[index].row, host) }
    }

    mutating func join(level: Int, domain: Int) { domains[level].join(domain) }

    // MARK: Circles

    mutating func intern(_ parties: ContiguousArray<Int32>) -> Int32 {
        let circle = circles.intern(parties)
        if Int(circle) == starts.count - 1 {
            for party in parties { members.append(party) }
            starts.append(Int32(members.count))
        }
        return circle
    }

    /// How many parties are in a circle.
    @inline(__always) private func size(_ circle: Int32) -> Int32 { starts[Int(circle) + 1] - starts[Int(circle)] }

    @inline(__always) private func has(_ circle: Int32, _ party: Int32) -> Bool {
        for place in Int(starts[Int(circle)])..<Int(starts[Int(circle) + 1]) where members[place] == party { return true }
        return false
    }

    // MARK: May it enter

    /// Whether terms at a level can keep anything away.
    func isOpen(level: Int, circle: Int32) -> Bool { circle < 0 && domains[level].closed.isEmpty }

    /// Domains of a level with a circle in force.
    func closedDomains(level: Int) -> ContiguousArray<Int32> { domains[level].closed }

    /// Of a pool, a pod or the datacenter.
    func admits(level: Int, domain: Int, party: Int32, circle: Int32) -> Bool {
        for closing in domains[level].circles[domain] where !has(closing.circle, party) { return false }
        return circle < 0 || domains[level].distinct[domain] == present(level, domain, circle)
    }

    /// How many of a circle's parties are in a domain.
    private func present(_ level: Int, _ domain: Int, _ circle: Int32) -> Int32 {
        circles[circle].reduce(0) { $0 + (has($1, level, domain) ? 1 : 0) }
    }

    private func has(_ party: Int32, _ level: Int, _ domain: Int) -> Bool {
        level == Self.host ? tenants.has(party, on: domain) : domains[level].parties.count(party, in: domain) > 0
    }

    /// Asks for the hosts that a party may enter. The rows were made by `prepare`.
    func askHosts(party: Int32, circle: Int32, _ query: inout RowQuery) {
        if circle >= 0 {
            let members = circles[circle]
            if members.count == 1 {
                query.remove(occupied, except: soleRows[Int(members[0])])
            } else {
                query.keep(withinRows[Int(circle)])
            }
        }
        guard !domains[Self.host].closed.isEmpty else { return }
        let admits = Int(party) < admitsRows.count ? admitsRows[Int(party)] : -1
        query.remove(closed, except: max(admits, HostRows.nobody))
    }

    /// Makes the rows that a request with these terms asks about, from what is there: the first time only.
    mutating func prepare(circle: Int32, hosts: Int, _ rows: inout HostRows) {
        guard circle >= 0 else { return }
        let members = circles[circle]
        for member in members where admitsRow(member) < 0 {
            admitsRows[Int(member)] = rows.add()
            for host in 0..<hosts { setAdmits(member, host, &rows) }
        }
        while withinRows.count <= circle { withinRows.append(-1) }
        if members.count == 1 {
            while soleRows.count <= members[0] { soleRows.append(-1) }
            guard soleRows[Int(members[0])] < 0 else { return }
            soleRows[Int(members[0])] = rows.add()
            for host in 0..<hosts where domains[Self.host].distinct[host] == 1 && tenants.anyParty(host) == members[0] {
                rows.set(soleRows[Int(members[0])], host)
            }
        } else if withinRows[Int(circle)] < 0 {
            withinRows[Int(circle)] = rows.add()
            within.append(Within(circle: circle, row: withinRows[Int(circle)]))
            for host in 0..<hosts where domains[Self.host].distinct[host] == present(Self.host, host, circle) {
                rows.set(withinRows[Int(circle)], host)
            }
        }
    }

    private mutating func admitsRow(_ party: Int32) -> Int32 {
        while admitsRows.count <= party { admitsRows.append(-1) }
        return admitsRows[Int(party)]
    }

    private func setAdmits(_ party: Int32, _ host: Int, _ rows: inout HostRows) {
        let circles = domains[Self.host].circles[host]
        rows.set(admitsRows[Int(party)], host, to: !circles.isEmpty && circles.allSatisfy { has($0.circle, party) })
    }

    // MARK: Entering and leaving

    /// - Parameters:
    ///   - circles: by level; -1: shared.
    ///   - places: domain at each level; -1: in none.
    mutating func enter(
        _ slot: Int, party: Int32, isInterruptible: Bool, circles: SIMD4<Int32>, places: SIMD4<Int32>, _ rows: inout HostRows
    ) {
        for level in 0..<Self.host where places[level] >= 0 {
            domains[level].enter(Int(places[level]), party)
            if circles[level] >= 0 { _ = domains[level].close(Int(places[level]), circles[level]) }
        }
        let host = Int(places[Self.host])
        let sole = tenants.anyParty(host)
        let isNew = !tenants.has(party, on: host)
        tenants.enter(Int32(slot), party, isInterruptible: isInterruptible, on: host)
        if isNew {
            domains[Self.host].distinct[host] += 1
            appeared(party, host, &rows, sole: sole)
        }
        if circles[Self.host] >= 0, domains[Self.host].close(host, circles[Self.host]) { circlesChanged(host, &rows) }
    }

    mutating func exit(_ slot: Int, party: Int32, circles: SIMD4<Int32>, places: SIMD4<Int32>, _ rows: inout HostRows) {
        for level in 0..<Self.host where places[level] >= 0 {
            domains[level].exit(Int(places[level]), party)
            if circles[level] >= 0 { _ = domains[level].open(Int(places[level]), circles[level]) }
        }
        let host = Int(places[Self.host])
        tenants.exit(Int32(slot), from: host)
        if !tenants.has(party, on: host) {
            domains[Self.host].distinct[host] -= 1
            disappeared(party, host, &rows, sole: tenants.anyParty(host))
        }
        if circles[Self.host] >= 0, domains[Self.host].open(host, circles[Self.host]) { circlesChanged(host, &rows) }
    }

    /// - Parameter sole: any party that was on the host before.
    private func appeared(_ party: Int32, _ host: Int, _ rows: inout HostRows, sole: Int32) {
        switch domains[Self.host].distinct[host] {
        case 1:
            rows.set(occupied, host)
            markSole(party, host, &rows, true)
        case 2: markSole(sole, host, &rows, false)
        default: break
        }
        let before = domains[Self.host].distinct[host] - 1
        for index in 0..<within.count {
            let circle = within[index].circle
            // Where more parties were than are in the circle, somebody else was.
            guard before <= size(circle), !has(circle, party) else { continue }
            rows.clear(within[index].row, host)
        }
    }

    /// - Parameter sole: any party that stays on the host.
    private func disappeared(_ party: Int32, _ host: Int, _ rows: inout HostRows, sole: Int32) {
        switch domains[Self.host].distinct[host] {
        case 0:
            rows.clear(occupied, host)
            markSole(party, host, &rows, false)
        case 1: markSole(sole, host, &rows, true)
        default: break
        }
        let distinct = domains[Self.host].distinct[host]
        for index in 0..<within.count {
            let circle = within[index].circle
            guard distinct <= size(circle), !has(circle, party) else { continue }
            if distinct == present(Self.host, host, circle) { rows.set(within[index].row, host) }
        }
    }

    private func markSole(_ party: Int32, _ host: Int, _ rows: inout HostRows, _ value: Bool) {
        guard party >= 0, party < soleRows.count, soleRows[Int(party)] >= 0 else { return }
        rows.set(soleRows[Int(party)], host, to: value)
    }

    private func circlesChanged(_ host: Int, _ rows: inout HostRows) {
        rows.set(closed, host, to: !domains[Self.host].circles[host].isEmpty)
        for (party, row) in admitsRows.enumerated() where row >= 0 { setAdmits(Int32(party), host, &rows) }
    }
}

/// Parties and circles in the domains of one level.
private struct DomainLedger: Sendable {
    struct Closing: Sendable {
        var circle: Int32
        var count: Int32
    }

    /// How many instances each party has in each domain; those of hosts are in `HostTenants`.
    var parties = PartyCounts()
    /// How many parties are in each domain.
    var distinct = FlatArray<Int32>()
    /// The circles in force in each domain.
    var circles: ContiguousArray<ContiguousArray<Closing>> = []
    /// Domains with a circle in force, in no particular order.
    var closed: ContiguousArray<Int32> = []

    var footprint: Int { parties.footprint + distinct.footprint + circles.capacity * 8 }

    mutating func join(_ domain: Int) {
        parties.join(domain)
        while distinct.count <= domain {
            distinct.append(0)
            circles.append([])
        }
    }

    mutating func enter(_ domain: Int, _ party: Int32) { if parties.increment(party, in: domain) == 1 { distinct[domain] += 1 } }

    mutating func exit(_ domain: Int, _ party: Int32) { if parties.decrement(party, in: domain) == 0 { distinct[domain] -= 1 } }

    /// Whether the circle was not in force.
    mutating func close(_ domain: Int, _ circle: Int32) -> Bool {
        if let index = circles[domain].firstIndex(where: { $0.circle == circle }) {
            circles[domain][index].count += 1
            return false
        }
        if circles[domain].isEmpty { closed.append(Int32(domain)) }
        circles[domain].append(Closing(circle: circle, count: 1))
        return true
    }

    /// Whether the circle is in force no more.
    mutating func open(_ domain: Int, _ circle: Int32) -> Bool {
        guard let index = circles[domain].firstIndex(where: { $0.circle == circle }) else { preconditionFailure("no such circle") }
        circles[domain][index].count -= 1
        guard circles[domain][index].count == 0 else { return false }
        circles[domain].remove(at: index)
        if circles[domain].isEmpty, let index = closed.firstIndex(of: Int32(domain)) {
            closed.swapAt(index, closed.count - 1)
            closed.removeLast()
        }
        return true
    }
}
