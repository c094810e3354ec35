import CloudAPI
import Fleet
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Accepts an instance under a contract: checks the contract's period, volume and terms, places it, and stores what is wanted, all in
    /// one turn and one transaction. The same request again is answered with the same instance.
    func launch(_ call: Call<CreateInstance>, under terms: ContractTerms) async throws -> InstanceView {
        FaultPoint.hit("connect.launch.received")
        do {
            return try await accept(call, under: terms)
        } catch let refusal as Refusal where refusal.rule == "placement.capacity" {
            throw try await makeRoom(for: call.body.normalized, under: terms, after: refusal)
        }
    }

    private func accept(_ call: Call<CreateInstance>, under terms: ContractTerms) async throws -> InstanceView {
        let (core, spec, now) = (self, call.body.normalized, time.now())
        let view = try await write { transaction -> InstanceView in
            if let earlier = try transaction.retell(InstanceView.self, for: call.idempotency) { return earlier }
            if let known = try InstanceRecord.load(spec.id, in: transaction) { return try core.sameAgain(known, spec, terms) }
            let contract = try core.activeContract(terms.contract, at: now)
            let record = try core.enter([spec], under: contract, by: call.principal.name, at: now, in: transaction)[0]
            let view = record.view(hostName: core.memory.hostName(record.host))
            try transaction.remember(view, status: 202, for: call.idempotency, at: now, tellsSame: true)
            return view
        }
        FaultPoint.hit("connect.launch.committed")
        return view
    }

    /// Accepts several instances, all or none. When all are there already, with the same contract, images and sizes, it was the same
    /// request; when some are, it is another.
    func launchGang(_ call: Call<CreateInstanceGang>, under terms: ContractTerms) async throws -> InstanceGangView {
        let specs = try Self.gang(call.body.instances)
        let now = time.now()
        let core = self
        return try await write { transaction in
            let known = try specs.compactMap { try InstanceRecord.load($0.id, in: transaction) }
            if known.count == specs.count {
                return InstanceGangView(instances: try zip(known, specs).map { try core.sameAgain($0, $1, terms) })
            }
            if let first = known.first { throw Self.exists(first.id) }
            let contract = try core.activeContract(terms.contract, at: now)
            let records = try core.enter(specs, under: contract, by: call.principal.name, at: now, in: transaction)
            let view = InstanceGangView(instances: records.map { $0.view(hostName: core.memory.hostName($0.host)) })
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
    }

    static let largestGang = 256

    /// The members of a gang, each once.
    static func gang(_ instances: [CreateInstance]) throws -> [CreateInstance] {
        guard (1...largestGang).contains(instances.count), Set(instances.map(\.id)).count == instances.count else {
            throw Refusal(
                "gang.members", .invalid,
                "A gang has 1 to \(largestGang) instances, each with an identifier of its own; this has \(instances.count) with \(Set(instances.map(\.id)).count).",
                facts: ["instances": .number(Int64(instances.count)), "most": .number(Int64(largestGang))],
                nearest: "\(min(largestGang, max(1, instances.count))) instances with different identifiers")
        }
        return instances.map(\.normalized)
    }

    /// Places instances and stores what is wanted of them.
    private func enter(
        _ specs: [CreateInstance], under contract: ContractRecord, by actor: String, at now: Instant, in transaction: FleetTransaction
    ) throws -> [InstanceRecord] {
        let admissions = try admit(specs, under: contract, at: now, in: transaction)
        let decisions = try decide(admissions, at: now)
        var records: [InstanceRecord] = []
        for (admission, decision) in zip(admissions, decisions) {
            let record = try record(admission, at: decision, under: contract, at: now)
            try store(record, outlook: admission.request.outlook, by: actor, at: now, in: transaction)
            records.append(record)
        }
        return records
    }

    /// Stores a new instance and tells whom it concerns.
    func store(
        _ record: InstanceRecord, outlook: LifetimeOutlook?, by actor: String, at now: Instant, in transaction: FleetTransaction
    ) throws {
        try record.insert(in: transaction, outlook: outlook)
        try record.announce(toHost: "launch", in: transaction, at: now)
        try transaction.appendAudit(
            actor: actor, action: "instance.launch", subject: record.id.description,
            detail: try Self.resourceTexts.text(record.spec.resources), at: now)
    }

    private func sameAgain(_ known: InstanceRecord, _ spec: CreateInstance, _ terms: ContractTerms) throws -> InstanceView {
        guard known.contract == terms.contract, known.spec.image == spec.image, known.spec.resources == spec.resources,
            known.spec.placement == spec.placement, known.spec.network == spec.network,
            spec.address == nil || known.spec.address == spec.address
        else { throw Self.exists(spec.id) }
        return known.view(hostName: memory.hostName(known.host))
    }

    static func exists(_ id: InstanceID) -> Refusal {
        Refusal(
            "instance.exists", .conflict, "There is an instance \(id) already, with another contract, image, size, network or terms.",
            facts: ["instance": .text(id.description)], nearest: "another identifier")
    }

    /// The contract, when it is in force now.
    func activeContract(_ id: ContractID, at now: Instant) throws -> ContractRecord {
        guard let contract = memory.contract(id) else {
            throw Refusal(
                "contract.unknown", .unavailable, "Contract \(id) has not reached this datacenter yet.",
                nearest: "the same request in a second")
        }
        guard contract.isActive(at: now) else { throw Self.ended(contract, at: now) }
        return contract
    }

    /// The same for the operator, who may have mistyped it.
    func namedContract(_ id: ContractID, at now: Instant) throws -> ContractRecord {
        guard memory.contract(id) == nil else { return try activeContract(id, at: now) }
        let known = memory.reading { state in state.contracts.values.filter { $0.isActive(at: now) }.map(\.id.description) }
        throw Refusal(
            "contract.unknown", .notFound, "There is no contract \(id) in this datacenter.", facts: ["contract": .text(id.description)],
            nearest: NearestNames.text(known, to: id.description) ?? "the same once a contract has reached this datacenter")
    }

    static func ended(_ contract: ContractRecord, at now: Instant) -> Refusal {
        let reason = contract.view.reason.map { ": \($0)" } ?? ""
        return Refusal(
            "contract.ended", .forbidden, "Contract \(contract.id) ended at \(contract.view.period.end)\(reason).",
            facts: [
                "contract": .text(contract.id.description), "end": .text(contract.view.period.end.description),
                "now": .text(now.description),
            ],
            nearest: "a new contract from the exchange")
    }
}
