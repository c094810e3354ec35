import CloudAPI
import Fleet
import PKI
import Primitives
import ServiceKit
import Store

// Room that is held for instances until a time: all of them have a place, or the reservation is refused.

extension ConnectCore {
    /// The longest a reservation may hold room.
    private static let longest = Span.days(1)

    func reserve(_ call: Call<CreateInstanceReservation>, under terms: ContractTerms) async throws -> InstanceReservationView {
        let specs = try Self.gang(call.body.instances)
        let (core, now, until) = (self, time.now(), call.body.until)
        let id = ids.next(InstanceReservationID.self)
        return try await write { transaction in
            let contract = try core.activeContract(terms.contract, at: now)
            try Self.check(until, contract, at: now)
            for spec in specs {
                if try InstanceRecord.load(spec.id, in: transaction) != nil { throw Self.exists(spec.id) }
            }
            let admissions = try core.admit(specs, under: contract, at: now, in: transaction)
            let decisions = try core.decide(admissions, at: now)
            try transaction.execute(
                "INSERT INTO instance_reservations (id, contract, state, until, made) VALUES ($1, $2, 'held', $3, $4)",
                [SQLValue(id), SQLValue(contract.id), SQLValue(until), SQLValue(now)])
            for (position, (admission, decision)) in zip(admissions, decisions).enumerated() {
                let (zone, address) = try core.site(of: decision, for: admission)
                try ReservedPlace(
                    reservation: id, position: Int64(position), spec: admission.spec, contract: contract.id, host: decision.host,
                    zone: zone,
                    address: address, termsText: try WireJSON.text(admission.terms),
                    spot: PlacementSpot(gpus: decision.gpus, cell: decision.cell), until: until
                ).insert(in: transaction)
            }
            try core.note("reservation.hold", id, contract.id, by: call.principal.name, at: now, in: transaction)
            let view = try core.reservation(id, under: contract.id, in: transaction)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            return view
        }
    }

    private static func check(_ until: Instant, _ contract: ContractRecord, at now: Instant) throws(Refusal) {
        let last = min(now + longest, contract.view.period.end)
        guard until > now, until <= last else {
            throw Refusal(
                "reservation.until", .invalid, "Room can be held until \(last), not until \(until).",
                facts: ["until": .text(until.description), "latest": .text(last.description), "now": .text(now.description)],
                nearest: "until \(last)")
        }
    }

    /// Runs the instances where their room is held. The same request again is answered with the same instances.
    func confirmReservation(
        _ call: Call<Empty>, _ id: InstanceReservationID, under terms: ContractTerms
    ) async throws -> InstanceGangView {
        let (core, now) = (self, time.now())
        return try await write { transaction in
            let contract = try core.activeContract(terms.contract, at: now)
            let held = try core.reservation(id, under: contract.id, in: transaction)
            guard held.state == .held, held.until > now else { throw Self.over(held) }
            var views: [InstanceView] = []
            for place in try ReservedPlace.of(id, in: transaction) {
                let record = try core.take(place, under: contract, at: now, in: transaction)
                let outlook = transaction.reading {
                    $0.lifetimes.outlook(place.spec.resources, batch: Int(clamping: place.spec.batch))
                }
                try core.store(record, outlook: outlook, by: call.principal.name, at: now, in: transaction)
                views.append(record.view(hostName: core.memory.hostName(record.host)))
            }
            try Self.end(id, as: .confirmed, in: transaction)
            try core.note("reservation.confirm", id, contract.id, by: call.principal.name, at: now, in: transaction)
            let view = InstanceGangView(instances: views)
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
    }

    /// Turns held room into an instance: where it is held, or elsewhere when that host takes nothing new now.
    private func take(
        _ place: ReservedPlace, under contract: ContractRecord, at now: Instant, in transaction: FleetTransaction
    ) throws -> InstanceRecord {
        try place.delete(in: transaction)
        if transaction.reading({ $0.occupancy.host(place.host)?.state }) != .up {
            let admissions = try admit([place.spec], under: contract, at: now, in: transaction)
            return try record(admissions[0], at: try decide(admissions, at: now)[0], under: contract, at: now)
        }
        return InstanceRecord(
            spec: place.spec, contract: place.contract, host: place.host, zone: place.zone, address: place.address,
            mac: GuestNetwork.macAddress(.random(in: 0...UInt64.max)), life: InstanceLifecycle(launchedAt: now), termsText: place.termsText,
            spot: place.spot)
    }

    /// - Parameter contract: nil: the operator, who may give back all.
    func releaseReservation(
        _ call: Call<Empty>, _ id: InstanceReservationID, under contract: ContractID?
    ) async throws -> InstanceReservationView {
        let (core, now) = (self, time.now())
        return try await write { transaction in
            let held = try core.reservation(id, under: contract, in: transaction)
            if held.state == .held {
                for place in try ReservedPlace.of(id, in: transaction) { try place.delete(in: transaction) }
                try Self.end(id, as: .released, in: transaction)
                try core.note("reservation.release", id, held.contract, by: call.principal.name, at: now, in: transaction)
            } else if held.state == .confirmed {
                throw Self.over(held)
            }
            let view = try core.reservation(id, under: contract, in: transaction)
            try transaction.remember(view, status: 200, for: call.idempotency, at: now)
            return view
        }
    }

    /// Gives back room whose time is over, and that of contracts that have ended.
    func expireReservations() async throws {
        let (core, now) = (self, time.now())
        let due = try await database.read { context in
            try context.query(
                """
                SELECT r.id, r.contract FROM instance_reservations r JOIN contracts c ON c.id = r.contract
                WHERE r.state = 'held' AND (r.until <= $1 OR c.enforced IS NOT NULL) ORDER BY r.id
                """, [SQLValue(now)]
            ).map { (try $0.id("id", as: InstanceReservationID.self), try $0.id("contract", as: ContractID.self)) }
        }
        for (id, contract) in due {
            try await write { transaction in
                guard try core.reservation(id, under: nil, in: transaction).state == .held else { return }
                for place in try ReservedPlace.of(id, in: transaction) { try place.delete(in: transaction) }
                try Self.end(id, as: .expired, in: transaction)
                try core.note("reservation.expire", id, contract, by: "connect", at: now, in: transaction)
            }
        }
    }

    private static func end(
        _ id: InstanceReservationID, as state: InstanceReservationState, in transaction: FleetTransaction
    ) throws {
        try transaction.execute("UPDATE instance_reservations SET state = $2 WHERE id = $1", [SQLValue(id), SQLValue(state)])
    }

    private static func over(_ held: InstanceReservationView) -> Refusal {
        let state = held.state == .held ? InstanceReservationState.expired : held.state
        return Refusal(
            "reservation.over", .conflict, "Reservation \(held.id) is \(state.rawValue); it held room until \(held.until).",
            facts: ["reservation": .text(held.id.description), "state": .text(state.rawValue)], nearest: "a new reservation")
    }

    private func note(
        _ action: String, _ id: InstanceReservationID, _ contract: ContractID, by actor: String, at now: Instant,
        in transaction: FleetTransaction
    ) throws {
        try transaction.appendAudit(actor: actor, action: action, subject: id.description, detail: "{}", at: now)
        _ = try transaction.appendChange(
            topic: Self.contractTopic(contract), subject: id.description, kind: "reservation", body: "{}", at: now)
    }

    // MARK: Looking

    func reservation(
        _ id: InstanceReservationID, under contract: ContractID?, in context: any ReadContext
    ) throws -> InstanceReservationView {
        let row = try context.queryOne(
            "SELECT id, contract, state, until, made FROM instance_reservations WHERE id = $1", [SQLValue(id)])
        guard let row, try contract == nil || row.id("contract") == contract else {
            throw Refusal(
                "reservation.unknown", .notFound, "There is no reservation \(id) under this contract.",
                facts: ["reservation": .text(id.description)], nearest: "one that GET /v1/instance-reservations shows")
        }
        return try reservation(row, in: context)
    }

    func reservations(
        under contract: ContractID?, limit: Int, cursor: String?
    ) async throws -> CloudAPI.Page<InstanceReservationView> {
        let core = self
        return try await database.read { context in
            let rows = try context.query(
                """
                SELECT id, contract, state, until, made FROM instance_reservations WHERE ($1 = '' OR contract = $1) AND id > $2
                ORDER BY id LIMIT \(limit + 1)
                """, [.text(contract?.description ?? ""), .text(cursor ?? "")])
            let views = try rows.prefix(limit).map { try core.reservation($0, in: context) }
            return CloudAPI.Page(views, next: rows.count > limit ? views.last?.id.description : nil)
        }
    }

    private func reservation(_ row: Row, in context: any ReadContext) throws -> InstanceReservationView {
        let id = try row.id("id", as: InstanceReservationID.self)
        let places = try ReservedPlace.of(id, in: context).map {
            ReservedPlaceView(instance: $0.instance, resources: $0.spec.resources, host: $0.host, hostName: memory.hostName($0.host))
        }
        return InstanceReservationView(
            id: id, contract: try row.id("contract"), state: try row.value("state"), until: try row.instant("until"),
            made: try row.instant("made"), places: places)
    }
}
