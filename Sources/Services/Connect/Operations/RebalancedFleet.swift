import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// A pod as rebalancing sees it: its hosts, what is on them, and which rules keep what where.

struct RebalancedPod: Sendable {
    var id: PodID
    var name: String
    var sharesStorage: Bool
    private let isMetal: Bool

    init(_ name: String, in context: any ReadContext) throws {
        guard let row = try context.queryOne("SELECT id, kind, storage FROM pods WHERE name = $1 AND removed IS NULL", [.text(name)]) else {
            throw try Refusal.unknownPod(name, in: context)
        }
        id = try row.id("id")
        self.name = name
        sharesStorage = try row.text("storage") != StorageArchitecture.das.rawValue
        isMetal = try row.text("kind") == HostingKind.metal.rawValue
    }

    /// Refuses where nothing can be gained.
    func checkMovable() throws(Refusal) {
        guard isMetal else { return }
        throw Refusal(
            "rebalancing.metal", .conflict,
            "Pod \(name) is bare metal: each machine has a host to itself, and moving it would free one and fill another.",
            facts: ["pod": .text(name)], nearest: "a pod of kind virtual, or `bourse host drain` to empty one host")
    }
}

struct RebalancedFleet: Sendable {
    var fleet: RebalancingFleet
    /// Instances that could move and do not, since a rule of theirs is not planned with.
    var leftOut: [PlacementRule: Int64] = [:]
}

extension ConnectCore {
    /// What runs and cannot move live can only be restarted; what is stopped holds its disk and moves at once. Where load counts, hosts
    /// that have not told theirs are left alone.
    func rebalanced(_ pod: RebalancedPod, for goal: RebalancingGoal, in context: any ReadContext) throws -> RebalancedFleet {
        try pod.checkMovable()
        let hosts = memory.reading { state in
            state.occupancy.hostIDs.sorted().compactMap { state.occupancy.host($0) }.filter { $0.placement.pod == pod.id }
        }
        let loads = hosts.map { self.loads.load(of: $0.id, at: time.now()) }
        if case .relieve = goal { try requireLoads(loads, of: pod) }
        var seats = Seats(hosts)
        var platforms = try Platforms(of: pod.id, in: context)
        var found = RebalancedFleet(fleet: RebalancingFleet(sites: [], guests: []))
        var (sites, guests): ([RebalancingFleet.Site], [RebalancingFleet.Guest]) = ([], [])
        for (number, (host, load)) in zip(hosts, loads).enumerated() {
            let records = try Self.instances(on: host.id, in: context)
            let there = memory.reading { $0.occupancy.presence(on: host.id, of: records.map(\.id)) }
            for record in records {
                guard let holding = there.holdings[record.id] else { continue }
                let rule = Self.unplanned(holding)
                var mobility = try mobility(of: record, in: pod, in: context)
                if let rule, mobility != .pinned {
                    found.leftOut[rule, default: 0] += 1
                    mobility = .pinned
                }
                var guest = seats.guest(record.id, on: number, holding, mobility, load: load?.milliCPU(of: record.id) ?? 0)
                guest.address = record.spec.network == nil ? record.address.flatMap(GuestNetwork.address) : nil
                guest.isOff = record.life.state == .stopped
                guests.append(guest)
            }
            var site = RebalancingFleet.Site(
                id: host.id, rack: 0, zone: 0, promised: host.promised, reserved: there.reserved, hardwareMilliCPU: host.hardwareMilliCPU,
                ownLoad: load?.own.value ?? 0, isOpen: host.state == .up && there.fits)
            (site.platform, site.network) = (platforms.number(of: host.id), host.network)
            if case .relieve = goal { site.isOpen = site.isOpen && load != nil }
            site.others = there.others.map { seats.tenant($0, on: number) }
            sites.append(site)
        }
        found.fleet = RebalancingFleet(sites: sites, guests: seats.barred(guests))
        return found
    }

    private func mobility(
        of record: InstanceRecord, in pod: RebalancedPod, in context: any ReadContext
    ) throws -> RebalancingFleet.Mobility {
        switch record.life.state {
        case _ where record.life.move != nil || !pod.sharesStorage: .pinned
        case .running: try obstacle(leaving: record, in: context) == nil ? .live : .cold
        case .stopped: .live
        default: .pinned
        }
    }

    /// The first rule of an instance that plans do not keep; nil: they keep all. What is stopped has no GPU and no cell. Groups that are
    /// together in a pod or zone stay so within a pod.
    private static func unplanned(_ holding: Occupancy.Holding) -> PlacementRule? {
        let (terms, runs) = (holding.terms.value, holding.state != .stopped)
        if terms.host != nil { return .host }
        if runs, terms.gpu != nil || holding.resources.milliGPU > 0 { return .gpuFit }
        if runs, terms.numa { return .numaFit }
        for group in terms.groups {
            switch group.rule {
            case .together(.pod), .together(.zone), .apart(.host): continue
            case .together: return .together
            case .apart: return .apart
            case .spread: return .spread
            }
        }
        return nil
    }

    private func requireLoads(_ loads: [LoadBook.HostLoad?], of pod: RebalancedPod) throws(Refusal) {
        let told = loads.count { $0 != nil }
        guard told == 0 else { return }
        throw Refusal(
            "rebalancing.load", .conflict,
            "None of the \(loads.count) hosts of pod \(pod.name) has told how busy it is in the last \(LoadBook.fresh.seconds / 60) minutes.",
            facts: ["hosts": .number(Int64(loads.count)), "told": .number(0)], nearest: "the same a minute after a node has reported")
    }
}

/// Which hosts of a pod are alike enough for machines to move between them while they run.
private struct Platforms {
    private let offers: [HostID: String]
    private var numbers: [String: Int32] = [:]

    init(of pod: PodID, in context: any ReadContext) throws {
        let rows = try context.query("SELECT id, moves FROM hosts WHERE pod = $1 AND moves IS NOT NULL", [SQLValue(pod)])
        offers = Dictionary(
            try rows.compactMap { row in (try row.id("id"), try row.json("moves", MoveOffer.self)?.platform ?? "") },
            uniquingKeysWith: { first, _ in first })
    }

    /// Nil: its node takes no machine that runs.
    mutating func number(of host: HostID) -> Int32? {
        guard let offer = offers[host] else { return nil }
        let number = numbers[offer] ?? Int32(numbers.count)
        numbers[offer] = number
        return number
    }
}

/// Which hosts of a pod are closed to whom, worked out while its hosts are looked at one after the other.
private struct Seats {
    private let numbers: [HostID: Int]
    private let withoutTunnel: Set<Int>
    private var groups: [UInt64: Int32] = [:]
    /// Where room is held for a member of a group that is apart.
    private var held: [UInt64: Set<Int>] = [:]
    private var memberships: [InstanceID: [UInt64]] = [:]

    init(_ hosts: [Occupancy.HostEntry]) {
        numbers = Dictionary(uniqueKeysWithValues: hosts.enumerated().map { ($0.element.id, $0.offset) })
        withoutTunnel = Set(hosts.indices.filter { !hosts[$0].placement.hasTunnel })
    }

    mutating func guest(
        _ id: InstanceID, on site: Int, _ holding: Occupancy.Holding, _ mobility: RebalancingFleet.Mobility, load: Int64
    ) -> RebalancingFleet.Guest {
        let terms = holding.terms.value
        let apart = Self.apart(terms)
        if !apart.isEmpty { memberships[id] = apart }
        var guest = RebalancingFleet.Guest(
            id: id, site: site, resources: holding.allocated, load: load, mobility: mobility,
            tenant: .init(holding.party, terms.tenancy.host), apart: apart.map { .init(number: number(of: $0), scope: .host) })
        guest.barred = Set(terms.avoiding.compactMap { numbers[$0] })
        if holding.network != nil { guest.barred.formUnion(withoutTunnel) }
        return guest
    }

    /// Who has room there that is held.
    mutating func tenant(_ holding: Occupancy.Holding, on site: Int) -> RebalancingFleet.Tenant {
        let terms = holding.terms.value
        for group in Self.apart(terms) { held[group, default: []].insert(site) }
        return .init(holding.party, terms.tenancy.host)
    }

    /// Members of groups do not go where room is held for others of theirs.
    func barred(_ guests: [RebalancingFleet.Guest]) -> [RebalancingFleet.Guest] {
        guard !held.isEmpty else { return guests }
        return guests.map { guest in
            var guest = guest
            for group in memberships[guest.id] ?? [] { guest.barred.formUnion(held[group] ?? []) }
            return guest
        }
    }

    /// Groups whose members are on hosts of their own.
    private static func apart(_ terms: InstanceTerms) -> [UInt64] {
        terms.groups.filter { $0.rule == .apart(.host) }.map(\.id)
    }

    private mutating func number(of group: UInt64) -> Int32 {
        let number = groups[group] ?? Int32(groups.count)
        groups[group] = number
        return number
    }
}

extension Occupancy {
    fileprivate struct Presence: Sendable {
        /// Of the instances asked for.
        var holdings: [InstanceID: Holding] = [:]
        /// Room that is held there for others, and what it amounts to with all else that stays.
        var others: [Holding] = []
        var reserved = Resources.zero
        /// There is no more on the host than it promises.
        var fits = false
    }

    fileprivate func presence(on host: HostID, of instances: [InstanceID]) -> Presence {
        var presence = Presence()
        for instance in instances { if let holding = self[instance], holding.host == host { presence.holdings[instance] = holding } }
        presence.others = tenants(of: host).filter { presence.holdings[$0] == nil }.compactMap { self[$0] }
        guard let load = placeable(host) else { return presence }
        presence.reserved = presence.holdings.values.reduce(load.allocated) { $0 - $1.allocated }
        presence.fits = load.allocated.fits(in: load.promised)
        return presence
    }
}

extension RebalancingView {
    /// With what is missing, what stays out of it, and whether restarts would help.
    func explained(_ wish: RebalancingWish, _ plan: MigrationPlan, _ found: RebalancedFleet) -> RebalancingView {
        var view = self
        let leftOut = found.leftOut.map { RebalancingLeftOut(rule: $0.rawValue, machines: $1) }.sorted { $0.rule < $1.rule }
        view.leftOut = leftOut.isEmpty ? nil : leftOut
        if case .makeRoom(let room, _) = wish.goal, plan.before > 0 { view.missing = found.fleet.freest(for: room)?.missing }
        if plan.moves.isEmpty, plan.before > 0, !wish.limits.allowsRestart {
            var freer = wish.limits
            freer.allowsRestart = true
            view.restartHelps = !found.fleet.plan(wish.goal, freer).moves.isEmpty
        }
        return view
    }
}
