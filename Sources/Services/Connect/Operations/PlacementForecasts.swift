import CloudAPI
import Fleet
import PKI
import Primitives
import ServiceKit

// What would happen, and how much still fits. Nothing is written.

extension ConnectCore {
    /// - Parameter contract: the caller's; nil: the operator, who may name one.
    func explain(_ body: ExplainPlacement, under contract: ContractID?) throws -> PlacementForecast {
        let now = time.now()
        if let contract, let named = body.contract, named != contract {
            throw Refusal.unknownContract(named)
        }
        let record = try contract.map { try activeContract($0, at: now) } ?? body.contract.map { try namedContract($0, at: now) }
        return try memory.reading { try $0.forecast(body, under: record, at: now) }
    }

    /// So many instances are tried: about two seconds, as each looks at hosts that those before it have filled.
    private static let mostSimulated: Int64 = 200_000

    /// Fills a copy of what connect decides by. In pieces, so that nobody else has to wait for all of it.
    func simulate(_ body: SimulatePlacement) async throws -> PlacementSimulation {
        let now = time.now()
        let most = body.most ?? 100_000
        guard (1...Self.mostSimulated).contains(most), (1...32).contains(body.mix.count) else {
            throw Refusal(
                "placement.mix", .invalid, "A mix has 1 to 32 shapes and is tried up to 1 to \(Self.mostSimulated) instances.",
                facts: ["shapes": .number(Int64(body.mix.count)), "most": .number(most)],
                nearest: counted(max(1, min(Self.mostSimulated, most)), "instance") + " of "
                    + counted(max(1, min(32, body.mix.count)), "shape"))
        }
        let contract = try body.contract.map { try namedContract($0, at: now) }
        var simulation = try memory.reading { try $0.simulation(of: body, under: contract, at: now) }
        do throws(Refusal) {
            while simulation.total < most, try simulation.run(Int(min(500, most - simulation.total))) { await Task.yield() }
        } catch {
            let party = contract?.view.buyer ?? ParticipantID(bits: 0)
            throw error.naming(body.mix.flatMap { $0.placement?.groups ?? [] }, of: party)
        }
        return PlacementSimulation(simulation)
    }
}

extension FleetState {
    fileprivate func forecast(
        _ body: ExplainPlacement, under contract: ContractRecord?, at now: Instant
    ) throws -> PlacementForecast {
        guard body.resources.isNonNegative, body.resources.milliCPU > 0 else { throw CreateInstance.nothing(body.resources) }
        var asked = body.resources
        if let gpu = body.placement?.gpu { asked.milliGPU = gpu.milliGPU }
        if let contract { try checkWhole(asked, under: contract) }
        let terms = try self.terms(for: contract == nil ? .forecast(body.placement) : body.placement, zone: body.zone, under: contract)
        let party = contract?.view.buyer ?? ParticipantID(bits: 0)
        var request = PlacementRequest(
            instance: InstanceID(bits: 0), party: party, resources: asked, terms: InstanceTerms(terms, of: party))
        request.image = body.image
        if let contract { request.fixed = try fixedTerms(for: body.placement, under: contract) }
        request.outlook = lifetimes.outlook(asked, batch: 1)
        var forecast = PlacementForecast(terms: terms)
        do throws(Refusal) {
            forecast.take(try occupancy.explain(request, at: now), naming: terms.groups, of: party)
        } catch {
            throw error.naming(terms.groups, of: party)
        }
        var tried = occupancy
        do throws(Refusal) {
            forecast.take(try tried.decide(request, at: now), self)
        } catch {
            forecast.take(error.naming(terms.groups, of: party))
            if !request.interruptible, let proposal = try occupancy.preemption(for: request, at: now) {
                forecast.preemption = PreemptionView(
                    host: proposal.host, hostName: hosts[proposal.host]?.name, instances: Int64(proposal.victims.count),
                    until: proposal.until)
            }
        }
        if let contract, let refusal = refusal(of: contract, for: request, at: now) { forecast.takeVolume(refusal) }
        return forecast
    }

    fileprivate func simulation(
        of body: SimulatePlacement, under contract: ContractRecord?, at now: Instant
    ) throws -> FillSimulation {
        let party = contract?.view.buyer ?? ParticipantID(bits: 0)
        try check(zone: body.zone)
        let shapes = try body.mix.map { shape in
            var wanted = shape.placement ?? PlacementTerms()
            wanted.pod = wanted.pod ?? body.pod
            try check(zone: wanted.zone)
            var resources = shape.resources
            if let gpu = wanted.gpu { resources.milliGPU = gpu.milliGPU }
            guard resources.isNonNegative, resources.components.contains(where: { $0.amount > 0 }) else {
                throw Refusal(
                    "placement.mix", .invalid, "Shape \(shape.name) needs nothing, or less.", facts: ["shape": .text(shape.name)],
                    nearest: "1 milliCPU")
            }
            if let contract { try checkWhole(resources, under: contract) }
            let terms = try self.terms(for: contract == nil ? .forecast(wanted) : wanted, zone: body.zone, under: contract)
            return FillSimulation.Shape(
                name: shape.name,
                request: PlacementRequest(
                    instance: InstanceID(bits: 0), party: party, resources: resources, terms: InstanceTerms(terms, of: party)),
                share: shape.share ?? 1)
        }
        return try FillSimulation(of: occupancy.world, shapes: shapes, at: now)
    }
}

extension PlacementTerms {
    /// What an operator asks about who names neither a product nor a place: machines as most products give them.
    fileprivate static func forecast(_ wanted: PlacementTerms?) -> PlacementTerms {
        var terms = wanted ?? PlacementTerms()
        if terms.pod == nil, terms.host == nil { terms.kind = terms.kind ?? .virtual }
        return terms
    }
}

extension PlacementForecast {
    fileprivate mutating func take(_ explanation: PlacementExplanation, naming groups: [GroupTerm]?, of party: ParticipantID) {
        hosts = Int64(explanation.hosts)
        fitting = Int64(explanation.fitting)
        fallen = explanation.fallen.map { FallenHosts(rule: $0.rule.rawValue, hosts: Int64($0.hosts)) }
        changes = explanation.changes.map { PlacementGroup.naming(groups, of: party, in: $0.description) }
    }

    fileprivate mutating func take(_ decision: PlacementDecision, _ state: FleetState) {
        host = decision.host
        hostName = state.hosts[decision.host]?.name
        pod = state.hosts[decision.host]?.podName
        zone = state.occupancy.host(decision.host)?.zone
        gpus = decision.gpus.isEmpty ? nil : decision.gpus.map(Int64.init)
        cell = decision.cell.map(Int64.init)
    }

    fileprivate mutating func take(_ refusal: Refusal) {
        (rule, message, nearest) = (refusal.rule, refusal.message, refusal.nearest)
    }

    /// The contract's volume comes first: without it no host is asked.
    fileprivate mutating func takeVolume(_ refusal: Refusal) {
        (host, hostName, pod, zone, gpus, cell) = (nil, nil, nil, nil, nil, nil)
        take(refusal)
    }
}

extension PlacementSimulation {
    fileprivate init(_ simulation: FillSimulation) {
        self.init(
            instances: simulation.total,
            shapes: zip(simulation.shapes, simulation.placed).map { MixCount(name: $0.name, instances: $1) },
            hosts: Int64(simulation.hosts.count))
        guard let end = simulation.end else { return }
        endedAt = simulation.shapes[end.shape].name
        fallen = end.explanation.fallen.map { FallenHosts(rule: $0.rule.rawValue, hosts: Int64($0.hosts)) }
        binding = end.binding
        components = end.components.map {
            ComponentRoom(name: $0.name, promised: $0.promised, free: $0.free, needed: $0.needed, hostsShort: Int64($0.short))
        }
    }
}
