public import Primitives

// The placement engine follows the holdings: what enters and leaves it, and hosts it need not know about for a while.
extension Occupancy {
    static func request(_ instance: InstanceID, _ holding: Holding) -> PlacementRequest {
        var request = PlacementRequest(
            instance: instance, party: holding.party, resources: holding.allocated, terms: holding.terms.value)
        request.contract = holding.contract
        request.network = holding.network
        if holding.state == .stopped {
            // Its disk stays where it is; others may have the GPUs and the cell meanwhile.
            request.numa = false
            request.gpu = nil
        }
        // What is off would give nothing but its disk, unless that is a whole host; and what arrives is not a machine of its own.
        if holding.state == .stopped && request.kind != .metal || holding.isArriving { request.interruptible = false }
        return request
    }

    mutating func enter(_ instance: InstanceID, _ holding: Holding, outlook: LifetimeOutlook? = nil) {
        guard !overfull.contains(holding.host) else { return }
        var request = Self.request(instance, holding)
        request.outlook = outlook
        let isStopped = holding.state == .stopped
        let cell = isStopped || holding.spot.cell < 0 ? nil : Int(holding.spot.cell)
        do throws(Refusal) {
            try engine.restore(
                PlacementAllocation(
                    request: request, host: holding.host, gpus: isStopped || holding.spot.gpus == 0 ? nil : holding.spot.gpuNumbers,
                    cell: cell, reservedUntil: holding.reservedUntil))
        } catch {
            close(holding.host)
        }
    }

    /// Brings a host in the engine up to its entry. One that stands elsewhere now, or that others' terms are counted by, is emptied
    /// and filled again; one that has less than is on it takes nothing new.
    mutating func bringUp(_ entry: HostEntry) {
        let (id, isKnown) = (entry.id, engine.host(entry.id) != nil)
        if policies[entry.placement.pod] ?? .packing != entry.policy {
            policies[entry.placement.pod] = entry.policy
            engine.setPolicy(entry.policy, of: entry.placement.pod)
        }
        do throws(Refusal) {
            if isKnown { try engine.update(withoutVolumes(entry)) } else { try engine.add(withoutVolumes(entry)) }
            if overfull.contains(id) { reenter(id, residents(of: id)) }
        } catch {
            guard isKnown else {
                overfull.insert(id)
                return
            }
            let residents = overfull.contains(id) ? residents(of: id) : engine.instances(on: id)
            close(id)
            reenter(id, residents)
        }
    }

    /// All on a host, whether the engine knows them or not.
    func residents(of id: HostID) -> [InstanceID] { holdings.filter { $0.value.host == id }.map(\.key).sorted() }

    mutating func close(_ host: HostID) {
        overfull.insert(host)
        do throws(Refusal) { try engine.setState(.cordoned, of: host) } catch { preconditionFailure("a host that was closed is not there") }
    }

    /// Opens a host again once what is on it fits.
    mutating func reenter(_ id: HostID, _ residents: [InstanceID]) {
        guard let entry = host(id), let load = placeable(id), load.allocated.fits(in: entry.promised) else { return }
        do throws(Refusal) {
            if engine.host(id) == nil { try engine.add(withoutVolumes(entry)) }
            for instance in residents { engine.release(instance) }
            try engine.update(withoutVolumes(entry))
        } catch { return }
        overfull.remove(id)
        do throws(Refusal) { try engine.setState(entry.state, of: id) } catch { preconditionFailure("a host that is opened is not there") }
        for instance in residents { if let holding = holdings[instance] { enter(instance, holding) } }
    }

    // MARK: Deciding

    /// Where an instance of this kind goes. `placement.capacity` says by which rules each host fell, and the nearest that fits.
    public mutating func place(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> HostID {
        try decide(request, at: now).host
    }

    /// Where an instance goes, and what it has there. Nothing is taken yet, and its identifier is not looked at.
    public mutating func decide(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> PlacementDecision {
        try requireHosts()
        return try engine.propose(request, at: now)
    }

    /// Where an instance may move, and what it has there: another host of its pod, by the rules under which it was placed.
    /// - Parameters:
    ///   - needs: what it will hold there, beside what it holds now.
    ///   - preferred: taken when it will do.
    public mutating func target(
        of instance: InstanceID, needing needs: Resources, preferring preferred: HostID?, at now: Instant
    ) throws(Refusal) -> PlacementDecision {
        guard var request = moving(instance, needing: needs) else {
            throw Refusal(
                "instance.unknown", .notFound, "There is no instance \(instance).", facts: ["instance": .text(instance.description)],
                nearest: "an instance that `bourse instances` shows")
        }
        if let preferred {
            let pinned = request.host
            request.host = preferred
            if pinned ?? preferred == preferred, let found = try? decide(request, at: now) { return found }
            request.host = pinned
        }
        return try decide(request, at: now)
    }

    /// The rule that keeps an instance from moving to a host of its pod; nil: none does.
    public func obstacle(
        of instance: InstanceID, needing needs: Resources, to target: HostID, at now: Instant
    ) throws(Refusal) -> PlacementRule? {
        guard var request = moving(instance, needing: needs) else { return nil }
        if let pinned = request.host, pinned != target { return .host }
        request.host = target
        let explanation = try engine.explain(request, at: now)
        guard explanation.fitting == 0 else { return nil }
        // All other hosts fall to the pin or before it; what is behind it is the target's own.
        let others = PlacementRule.allCases.prefix { $0 != .avoided }
        let own = explanation.fallen.last { !others.contains($0.rule) }
        return own?.rule ?? .state
    }

    /// What an instance asks for when it moves; nil: it is not here.
    private func moving(_ instance: InstanceID, needing needs: Resources) -> PlacementRequest? {
        guard let holding = holdings[instance], let source = host(holding.host) else { return nil }
        var request = Self.request(instance, holding)
        request.resources = needs
        if needs.milliCPU == 0 { (request.numa, request.gpu) = (false, nil) }
        request.pod = source.placement.pod
        request.avoiding.append(holding.host)
        return request
    }

    /// What is on a host: instances, and room that is held. Nothing where more is than the host promises.
    public func tenants(of host: HostID) -> [InstanceID] { overfull.contains(host) ? [] : engine.instances(on: host) }

    /// Where all of a gang go, or why not. Nothing is taken yet.
    public mutating func decide(gang: [PlacementRequest], at now: Instant) throws(Refusal) -> [PlacementDecision] {
        try requireHosts()
        let decisions = try engine.place(gang: gang, at: now)
        for request in gang { engine.release(request.instance) }
        return decisions
    }

    /// How many hosts a request could go to, by which rules the others fall, and what would help.
    public func explain(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> PlacementExplanation {
        try engine.explain(request, at: now)
    }

    /// Which interruptible instances would make room for a firm request; nil: none would.
    public func preemption(for request: PlacementRequest, at now: Instant) throws(Refusal) -> PreemptionProposal? {
        try engine.preemption(for: request, at: now)
    }

    /// A world of its own, for what-if.
    public var world: PlacementEngine { engine }

    /// What is expected of an instance's life has changed.
    public mutating func expect(_ outlook: LifetimeOutlook, of instance: InstanceID) { engine.expect(outlook, of: instance) }

    /// The most of what a request asks for that `free` leaves and that one host can take now; nil: there is none.
    public func largest(_ request: PlacementRequest, within free: Resources, at now: Instant) -> Resources? {
        var cut = request
        guard let amounts = request.resources.cut(to: free)?.cut(to: .most) else { return nil }
        let asked = request.gpu.map { Int64(clamping: $0.count).multipliedReportingOverflow(by: $0.milliEach).partialValue }
        if amounts.milliGPU != asked ?? request.resources.milliGPU {
            let whole = Int(amounts.milliGPU / 1_000)
            cut.gpu = PlacementRequest.GPUDemand(
                models: request.gpu?.models ?? [], count: max(1, whole), milliEach: whole > 0 ? 1_000 : amounts.milliGPU)
        }
        guard !request.isWhole || amounts == request.resources else { return nil }
        cut.resources = amounts
        guard let explanation = try? engine.explain(cut, at: now) else { return nil }
        if explanation.fitting > 0 { return amounts }
        for case .resources(_, let now) in explanation.changes { return now }
        return nil
    }

    private func requireHosts() throws(Refusal) {
        guard hostCount > 0 else { throw PlacementExplanation.noHosts }
    }

    /// Whether a stopped instance may start again where its disk is, and what it has there then. Refuses with what is missing there.
    @discardableResult
    public mutating func checkRoomToStart(_ instance: InstanceID) throws(Refusal) -> PlacementSpot {
        guard let holding = holdings[instance], let host = placeable(holding.host) else { return .anywhere }
        guard host.state == .up else {
            throw Refusal(
                "placement.capacity", .capacity, "The instance's disk is on host \(host.id), which is \(host.state.rawValue).",
                facts: ["host": .text(host.id.description), "state": .text(host.state.rawValue)], nearest: "the same once the host is up")
        }
        // What it holds already is its own.
        if let short = holding.resources.shortfalls(against: host.free + holding.allocated).first {
            throw Self.short(short, on: host.id, "The instance's disk")
        }
        return try spotToStart(instance, holding)
    }

    static func short(
        _ short: (name: String, needed: Int64, available: Int64), on host: HostID, _ subject: String
    ) -> Refusal {
        Refusal(
            "placement.capacity", .capacity,
            "\(subject) is on host \(host), which has \(short.available) \(short.name) free; it needs \(short.needed).",
            facts: [
                "host": .text(host.description), "component": .text(short.name), "needed": .number(short.needed),
                "free": .number(short.available),
            ], nearest: "the same once \(short.needed - short.available) \(short.name) more are free there")
    }

    /// GPUs and a cell may be others than before. The engine is left as it was.
    private mutating func spotToStart(_ instance: InstanceID, _ holding: Holding) throws(Refusal) -> PlacementSpot {
        let terms = holding.terms.value
        guard terms.numa || terms.gpu != nil || holding.resources.milliGPU > 0, !overfull.contains(holding.host) else { return .anywhere }
        var running = holding
        running.state = .running
        engine.release(instance)
        defer { enter(instance, holding) }
        do throws(Refusal) {
            try engine.restore(PlacementAllocation(request: Self.request(instance, running), host: holding.host))
        } catch {
            throw Refusal(
                "placement.capacity", .capacity,
                "The instance's disk is on host \(holding.host), whose GPUs or NUMA cells are taken by others: \(error.message)",
                facts: ["host": .text(holding.host.description), "component": .text(terms.gpu == nil ? "numa" : "gpu")],
                nearest: "the same once they are free there")
        }
        defer { engine.release(instance) }
        return engine.spot(of: instance) ?? .anywhere
    }
}

extension Resources {
    /// Each component no larger than in `free`, GPUs whole or a share of one; nil when nothing would be left of one that is needed.
    public func cut(to free: Resources) -> Resources? {
        var cut = Resources(
            milliCPU: min(milliCPU, free.milliCPU), memoryMiB: min(memoryMiB, free.memoryMiB), diskMiB: min(diskMiB, free.diskMiB),
            iops: min(iops, free.iops), networkMbps: min(networkMbps, free.networkMbps), milliGPU: min(milliGPU, free.milliGPU))
        if cut.milliGPU > 1_000 { cut.milliGPU -= cut.milliGPU % 1_000 }
        let isEnough = zip(components, cut.components).allSatisfy { $0.amount == 0 || $1.amount > 0 }
        return isEnough ? cut : nil
    }
}
