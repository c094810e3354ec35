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
    private var domains: ContiguousArray<DomainLedger> = ContiguousArray(repeating: DomainLedger(), count: TenancyLedger.levels)

    // Rows of hosts.
    /// With instances of nobody.
    let vacant: Int32
    /// With a circle in force.
    let closed: Int32
    /// By party: hosts with instances of that party alone; -1: not asked for yet.
    private var soleRows: ContiguousArray<Int32> = []
    /// By party: closed hosts whose circles all have that party; -1: in no circle so far.
    private var admitsRows: ContiguousArray<Int32> = []
    /// By circle of several parties: hosts on which nobody else is; -1: not asked for yet.
    private var withinRows: ContiguousArray<Int32> = []

    init(rows: inout HostRows) {
        vacant = rows.add()
        closed = rows.add()
    }

    var footprint: Int { domains.reduce(0) { $0 + $1.footprint } }

    mutating func join(_ host: Int, _ rows: inout HostRows) {
        domains[Self.host].join(host)
        rows.set(vacant, host)
        for row in withinRows where row >= 0 { rows.set(row, host) }
    }

    mutating func leave(_ host: Int, _ rows: inout HostRows) {
        rows.clear(vacant, host)
        for row in withinRows where row >= 0 { rows.clear(row, host) }
    }

    mutating func join(level: Int, domain: Int) { domains[level].join(domain) }

    // MARK: Circles

    mutating func intern(_ members: ContiguousArray<Int32>) -> Int32 { circles.intern(members) }

    @inline(__always) private func has(_ circle: Int32, _ party: Int32) -> Bool {
        let members = circles[circle]
        return members.count == 1 ? members[0] == party : members.contains(party)
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
        circles[circle].reduce(0) { $0 + (domains[level].parties[Self.key(domain, $1)] > 0 ? 1 : 0) }
    }

    /// Keeps the hosts that a party may enter. The rows were made by `prepare`.
    func keepHosts(party: Int32, circle: Int32, rows: HostRows, in mask: inout HostMask) {
        if circle >= 0 {
            let members = circles[circle]
            if members.count == 1 {
                rows.keep(vacant, or: soleRows[Int(members[0])], in: &mask)
            } else {
                rows.keep(withinRows[Int(circle)], in: &mask)
            }
        }
        guard !domains[Self.host].closed.isEmpty else { return }
        let admits = Int(party) < admitsRows.count ? admitsRows[Int(party)] : -1
        if admits >= 0 { rows.remove(closed, except: admits, from: &mask) } else { rows.remove(closed, from: &mask) }
    }

    /// Makes the rows that a request with these terms asks about, from what is there: the first time only.
    /// - Parameter remaining: a party on a host that has one alone.
    mutating func prepare(circle: Int32, hosts: Int, _ rows: inout HostRows, remaining: (Int) -> Int32) {
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
            for host in 0..<hosts where domains[Self.host].distinct[host] == 1 && remaining(host) == members[0] {
                rows.set(soleRows[Int(members[0])], host)
            }
        } else if withinRows[Int(circle)] < 0 {
            withinRows[Int(circle)] = rows.add()
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
    mutating func enter(party: Int32, circles: SIMD4<Int32>, places: SIMD4<Int32>, _ rows: inout HostRows, sole: Int32) {
        for level in 0..<Self.levels where places[level] >= 0 {
            let domain = Int(places[level])
            let isNew = domains[level].enter(domain, Self.key(domain, party))
            let closes = circles[level] >= 0 && domains[level].close(domain, circles[level])
            guard level == Self.host else { continue }
            if isNew { appeared(party, domain, &rows, sole: sole) }
            if closes { circlesChanged(domain, &rows) }
        }
    }

    /// - Parameter sole: any party that stays on the host.
    mutating func exit(party: Int32, circles: SIMD4<Int32>, places: SIMD4<Int32>, _ rows: inout HostRows, sole: Int32) {
        for level in 0..<Self.levels where places[level] >= 0 {
            let domain = Int(places[level])
            let isGone = domains[level].exit(domain, Self.key(domain, party))
            let opens = circles[level] >= 0 && domains[level].open(domain, circles[level])
            guard level == Self.host else { continue }
            if isGone { disappeared(party, domain, &rows, sole: sole) }
            if opens { circlesChanged(domain, &rows) }
        }
    }

    private func appeared(_ party: Int32, _ host: Int, _ rows: inout HostRows, sole: Int32) {
        switch domains[Self.host].distinct[host] {
        case 1:
            rows.clear(vacant, host)
            markSole(party, host, &rows, true)
        case 2: markSole(sole, host, &rows, false)
        default: break
        }
        for (circle, row) in withinRows.enumerated() where row >= 0 && !has(Int32(circle), party) { rows.clear(row, host) }
    }

    private func disappeared(_ party: Int32, _ host: Int, _ rows: inout HostRows, sole: Int32) {
        switch domains[Self.host].distinct[host] {
        case 0:
            rows.set(vacant, host)
            markSole(party, host, &rows, false)
        case 1: markSole(sole, host, &rows, true)
        default: break
        }
        for (circle, row) in withinRows.enumerated() where row >= 0 && !has(Int32(circle), party) {
            let distinct = domains[Self.host].distinct[host]
            guard distinct <= circles[Int32(circle)].count else { continue }
            if distinct == present(Self.host, host, Int32(circle)) { rows.set(row, host) }
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

    @inline(__always) private static func key(_ domain: Int, _ party: Int32) -> UInt64 {
        UInt64(domain) << 32 | UInt64(UInt32(bitPattern: party))
    }
}

/// Parties and circles in the domains of one level.
private struct DomainLedger: Sendable {
    struct Closing: Sendable {
        var circle: Int32
        var count: Int32
    }

    /// How many instances each party has in each domain.
    var parties = FlatTable()
    /// How many parties are in each domain.
    var distinct: ContiguousArray<Int32> = []
    /// The circles in force in each domain.
    var circles: ContiguousArray<ContiguousArray<Closing>> = []
    /// Domains with a circle in force, in no particular order.
    var closed: ContiguousArray<Int32> = []

    var footprint: Int { parties.footprint + distinct.capacity * 4 + circles.capacity * 8 }

    mutating func join(_ domain: Int) {
        while distinct.count <= domain {
            distinct.append(0)
            circles.append([])
        }
    }

    /// Whether the party was not there.
    mutating func enter(_ domain: Int, _ key: UInt64) -> Bool {
        guard parties.increment(key) == 1 else { return false }
        distinct[domain] += 1
        return true
    }

    /// Whether the party is there no more.
    mutating func exit(_ domain: Int, _ key: UInt64) -> Bool {
        guard parties.decrement(key) == 0 else { return false }
        distinct[domain] -= 1
        return true
    }

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
