import CloudAPI
import CloudClient
import EC2
import Logging
import Primitives
import ServiceKit
import Store

/// The second step of a launch, and later actions: what is wanted is told to the seller's connect.
extension ManageCore {
    /// Sellers tried before a launch is given up.
    private static let mostContracts = 3
    private static let connectDeadline = Duration.seconds(10)

    /// Creates the instance at connect with the contract's certificate. Connect answers the same request with the same instance.
    func create(_ record: InstanceRecord) async throws -> InstanceRecord? {
        let now = time.now()
        guard let id = record.contract, let contract = try await database.read({ try ContractRecord.load(id, in: $0) }),
            contract.isActive(at: now)
        else { return try await sourceAgain(record, note: "The contract ended before the machine was made.") }
        let client = try await connects.client(for: contract.view)
        FaultPoint.hit("manage.launch.certified")
        let tags = try await database.read { try TagRecord.of(record.id.description, in: $0) }
        let view = try await client.call(
            ConnectAPI.createInstance,
            body: CreateInstance(record, tags: Dictionary(tags.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })),
            idempotencyKey: record.id.description, deadline: Self.connectDeadline)
        FaultPoint.hit("manage.launch.created")
        return try await change(record.id) { fresh in
            fresh.step = nil
            fresh.attempts = 0
            fresh.note = nil
            fresh.nextAttempt = now
            fresh.apply(view, at: now)
        }
    }

    /// Gives the contract up for this instance and looks for another.
    private func sourceAgain(_ record: InstanceRecord, excluding isExcluded: Bool = false, note: String) async throws -> InstanceRecord? {
        try await change(record.id) { fresh in
            guard fresh.step == .create else { return }
            if isExcluded, let contract = fresh.contract { fresh.excluded.append(contract) }
            fresh.contract = nil
            fresh.step = .source
            fresh.note = note
        }
    }

    /// Tells connect of an action. Its number names the request, so telling twice does it once.
    func forward(_ action: InstanceAction, _ record: InstanceRecord) async throws -> InstanceRecord? {
        let now = time.now()
        guard let id = record.contract, let contract = try await database.read({ try ContractRecord.load(id, in: $0) }) else {
            return try await endByUser(record.id)
        }
        guard contract.isActive(at: now) || !contract.isOver(at: now) else {
            return try await forget(action, of: record)
        }
        let client = try await connects.client(for: contract.view)
        let view = try await client.call(
            ConnectAPI.actOnInstance, path: ["instance": record.id.description],
            body: ActOnInstance(action: action, force: action == .stop ? record.actionForce : nil),
            idempotencyKey: "\(record.id)-\(record.actionNumber)", deadline: Self.connectDeadline)
        FaultPoint.hit("manage.act.forwarded")
        return try await change(record.id) { fresh in
            guard fresh.actionNumber == record.actionNumber else { return }
            fresh.action = nil
            fresh.attempts = 0
            fresh.note = nil
            fresh.apply(view, at: now)
        }
    }

    /// The contract is over, connect cannot be told: a termination is done here, anything else is void.
    private func forget(_ action: InstanceAction, of record: InstanceRecord) async throws -> InstanceRecord? {
        if action == .terminate { return try await endByUser(record.id) }
        return try await change(record.id) { $0.action = nil }
    }

    func endByUser(_ id: InstanceID) async throws -> InstanceRecord? {
        let now = time.now()
        return try await change(id) {
            $0.terminate(
                StateReason(code: "Client.UserInitiatedShutdown", message: "Client.UserInitiatedShutdown: User initiated shutdown"), at: now
            )
        }
    }
}

// MARK: - When a step does not succeed

extension Fault {
    /// The other side understood and said no; asking again gives the same answer.
    var isFinal: Bool {
        switch refusal.category {
        case .unavailable, .throttled: false
        // A lapsed certificate is replaced by the next attempt.
        case .forbidden: refusal.rule != "certificate.ended" && refusal.rule != "http.unauthorized"
        case .invalid, .notFound, .conflict, .funds, .capacity: true
        }
    }
}

extension ManageCore {
    /// Decides what becomes of an instance whose step failed: tried again later, tried elsewhere, or ended with the reason.
    func settle(_ error: any Error, _ record: InstanceRecord) async {
        let fault = Fault(error)
        do {
            let isLate = record.step != nil && time.now() > record.accepted + .seconds(configuration.launchSeconds)
            if isLate {
                try await fail(
                    record, "Server.LaunchTimeout",
                    "The launch did not succeed within \(configuration.launchSeconds) s. \(fault.refusal.message)")
            } else if !fault.isFinal {
                try await postpone(record, fault)
            } else if record.step != nil {
                try await refused(record, fault.refusal)
            } else {
                try await actionRefused(record, fault.refusal)
            }
        } catch {
            logger.error("what became of an instance cannot be stored now", metadata: ["instance": "\(record.id)", "error": "\(error)"])
            // The record is still due: without a pause it would be tried again at once, for as long as the disk is full.
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// 10 ms, doubling, at most 5 s: a contract takes a moment to reach its seller, and sellers restart.
    private func postpone(_ record: InstanceRecord, _ fault: Fault) async throws {
        let delay = Span.milliseconds(min(5_000, 10 << min(record.attempts, 9)))
        let now = time.now()
        if record.attempts == 3 {
            logger.info(
                "a step has to wait", metadata: ["instance": "\(record.id)", "reason": "\(fault.cause ?? fault.refusal.description)"])
        }
        _ = try await change(record.id) { fresh in
            fresh.attempts += 1
            fresh.nextAttempt = now + delay
            fresh.note = fault.refusal.message
        }
    }

    private func refused(_ record: InstanceRecord, _ refusal: Refusal) async throws {
        if record.action == .terminate {
            _ = try await endByUser(record.id)
        } else if record.step == .create, refusal.category != .invalid, record.excluded.count + 1 < Self.mostContracts {
            logger.info("a seller refused a machine", metadata: ["instance": "\(record.id)", "reason": "\(refusal)"])
            _ = try await sourceAgain(record, excluding: true, note: refusal.message)
        } else {
            try await fail(record, Self.reasonCode(refusal), refusal.message + (refusal.nearest.map { " Nearest: \($0)" } ?? ""))
        }
    }

    /// Connect will not do it: what is true there is taken over.
    private func actionRefused(_ record: InstanceRecord, _ refusal: Refusal) async throws {
        if record.action == .terminate, refusal.category == .notFound {
            _ = try await endByUser(record.id)
            return
        }
        let now = time.now()
        _ = try await change(record.id) { fresh in
            guard fresh.actionNumber == record.actionNumber else { return }
            fresh.action = nil
            fresh.note = nil
            if let seen = fresh.seen { fresh.enter(seen.state, seen.reason, at: now) }
        }
        logger.info("an action was refused", metadata: ["instance": "\(record.id)", "reason": "\(refusal)"])
    }

    /// Ends a launch: what it held is free again, and the reason stands where the user looks.
    private func fail(_ record: InstanceRecord, _ code: String, _ message: String) async throws {
        let now = time.now()
        _ = try await change(record.id) { $0.terminate(StateReason(code: code, message: "\(code): \(message)"), at: now) }
        logger.notice("a launch failed", metadata: ["instance": "\(record.id)", "code": "\(code)", "reason": "\(message)"])
    }

    private static func reasonCode(_ refusal: Refusal) -> String {
        switch refusal.category {
        case .funds: refusal.rule == "sourcing.priceCap" ? "Client.SpotMaxPriceTooLow" : "Client.InsufficientFunds"
        case .capacity: "Server.InsufficientInstanceCapacity"
        case .invalid, .notFound: "Client.InvalidParameterValue"
        case .conflict, .forbidden, .unavailable, .throttled: "Server.InternalError"
        }
    }
}

extension CreateInstance {
    fileprivate init(_ record: InstanceRecord, tags: [String: String]) {
        let specification = record.specification
        self.init(
            id: record.id, image: specification.image, offering: specification.offering, resources: specification.resources,
            keys: specification.key.map { [$0] } ?? [], userData: specification.userData, reservation: record.reservation,
            launchIndex: record.launchIndex, account: record.account, tags: tags, zone: specification.zone,
            placement: specification.placement?.groups(of: record.account), network: specification.network,
            launchCount: specification.launchCount)
    }
}

extension PlacementTerms {
    /// Accounts of one buyer are one party to the seller: each has group names of its own.
    fileprivate func groups(of account: AccountID) -> PlacementTerms {
        var terms = self
        terms.groups = groups?.map { group in
            var group = group
            group.name = "\(account)/\(group.name)"
            return group
        }
        return terms
    }
}
