import CloudAPI
import DequeModule
import Market
import Primitives
import ServiceKit
import Store

/// A command to the market, who gives it, and how it is remembered. One object from the caller to the tables: it is handed on often.
final class DeskRequest: Sendable {
    let command: MarketCommand
    /// For the audit trail: who, and what they sent (JSON).
    let actor: String
    let detail: String
    let idempotency: IdempotentRequest?
    /// HTTP status to remember with the answer.
    let status: Int

    init<Body>(_ command: MarketCommand, for call: Call<Body>, status: Int) throws {
        self.command = command
        actor = call.principal.name
        detail = try WireJSON.text(call.body)
        idempotency = call.idempotency
        self.status = status
    }

    /// An order of a caller in this process.
    convenience init(_ draft: OrderDraft, by actor: String) { self.init(command: .placeOrder(draft), actor: actor) }

    /// Without an idempotency key.
    init(command: MarketCommand, actor: String) {
        self.command = command
        self.actor = actor
        detail = "{}"
        idempotency = nil
        status = 200
    }

    /// A command of the journal.
    init(_ entry: JournalEntry) {
        command = entry.command
        actor = entry.actor
        detail = entry.detail
        idempotency = entry.answer.map { IdempotentRequest(scope: $0.slot.scope, key: $0.slot.key, requestHash: $0.requestHash) }
        status = entry.answer?.status ?? 200
    }

    static let tick = DeskRequest(command: .tick, actor: "exchange")

    var clientOrderID: ClientOrderID? {
        guard case .placeOrder(let draft) = command, let text = draft.clientOrderID else { return nil }
        return ClientOrderID(participant: draft.participant, text: text)
    }
}

struct ClientOrderID: Hashable, Sendable {
    let participant: ParticipantID
    let text: String
}

/// Whose idempotency key.
package struct AnswerSlot: Hashable, Sendable {
    package let scope: String
    package let key: String

    package init(scope: String, key: String) {
        self.scope = scope
        self.key = key
    }
}

extension IdempotentRequest {
    var slot: AnswerSlot { AnswerSlot(scope: scope, key: key) }
}

enum DeskReply: Sendable {
    case fresh(any Sendable)
    case stored(StoredAnswer)
}

/// A request and its caller, who is answered exactly once.
final class Waiting: Sendable {
    let request: DeskRequest
    let answer: @Sendable (Market, [MarketChange]) throws -> any Codable & Sendable
    /// Nil: nobody waits.
    let caller: CheckedContinuation<DeskReply, any Error>?

    init(
        request: DeskRequest, answer: @escaping @Sendable (Market, [MarketChange]) throws -> any Codable & Sendable,
        caller: CheckedContinuation<DeskReply, any Error>?
    ) {
        self.request = request
        self.answer = answer
        self.caller = caller
    }

    func fail(_ error: any Error) { caller?.resume(throwing: error) }
    func succeed(_ reply: DeskReply) { caller?.resume(returning: reply) }
}

/// What is known about the requests of a batch before it.
struct KnownBefore: Sendable {
    var answers: [AnswerSlot: StoredAnswer] = [:]
    var orders: [ClientOrderID: OrderID] = [:]

    init() {}

    /// What the tables say.
    init(_ requests: [IdempotentRequest], _ names: [ClientOrderID], in context: any ReadContext) throws {
        for request in requests { answers[request.slot] = try context.answer(scope: request.scope, key: request.key) }
        for name in names {
            let sql = "SELECT id FROM orders WHERE participant = $1 AND client_order_id = $2"
            orders[name] = try context.queryOne(sql, [SQLValue(name.participant), .text(name.text)])?.id("id")
        }
    }
}

/// What batches that are not in the tables yet say about later requests.
struct RecentSteps: Sendable {
    private var answers: [AnswerSlot: StoredAnswer] = [:]
    private var orders: [ClientOrderID: OrderID] = [:]
    private var batches: Deque<(number: Int64, slots: [AnswerSlot], names: [ClientOrderID])> = []

    /// How many batches are not here any more.
    private(set) var forgotten = 0

    func answer(_ slot: AnswerSlot) -> StoredAnswer? { answers[slot] }
    func order(_ name: ClientOrderID) -> OrderID? { orders[name] }

    mutating func add(_ number: Int64, _ steps: [DeskStep]) {
        var slots: [AnswerSlot] = []
        var names: [ClientOrderID] = []
        for step in steps {
            if let slot = step.request.idempotency?.slot, let answer = step.answer {
                answers[slot] = answer
                slots.append(slot)
            }
            if let name = step.request.clientOrderID, let order = step.changes.orders.first {
                orders[name] = order.id
                names.append(name)
            }
        }
        if !slots.isEmpty || !names.isEmpty { batches.append((number, slots, names)) }
    }

    /// Batches up to this one are in the tables.
    mutating func forget(upTo number: Int64) {
        while let first = batches.first, first.number <= number {
            for slot in first.slots { answers[slot] = nil }
            for name in first.names { orders[name] = nil }
            batches.removeFirst()
            forgotten += 1
        }
    }
}

/// Commands that become durable together: what to write, and whom to tell what once it is written.
struct DeskBatch: Sendable {
    struct Counters: Sendable {
        var clock: Instant
        var priority: Int64
        var contract: Int64
        var posting: Int64
        var resumed: Instant

        init(_ market: Market) {
            clock = market.clock
            priority = market.lastOrderPriority
            contract = market.lastContractNumber
            posting = market.lastPostingNumber
            resumed = market.resumed
        }
    }

    let at: Instant
    private(set) var steps: [DeskStep] = []
    private var verdicts: [(Waiting, Result<DeskReply, any Error>)] = []
    private var answers: [AnswerSlot: StoredAnswer] = [:]
    private var clientOrders: Set<ClientOrderID> = []

    init(at: Instant) {
        self.at = at
        steps.reserveCapacity(Self.usual)
        verdicts.reserveCapacity(Self.usual)
    }

    /// Commands for which room is made ahead.
    private static let usual = 64

    /// Nothing changed and nothing is to be remembered.
    var isEmpty: Bool { steps.allSatisfy { $0.changes.isEmpty && $0.answer == nil && !$0.request.command.changesMarketItself } }

    /// The answer this request got before, in an earlier batch or in this one. Refused when its key belongs to another request.
    func earlierAnswer(to waiting: Waiting, _ known: KnownBefore) throws -> StoredAnswer? {
        guard let request = waiting.request.idempotency, let earlier = known.answers[request.slot] ?? answers[request.slot] else {
            return nil
        }
        return try request.same(as: earlier)
    }

    func checkClientOrderID(of waiting: Waiting, _ known: KnownBefore) throws {
        guard let name = waiting.request.clientOrderID else { return }
        guard known.orders[name] == nil, !clientOrders.contains(name) else {
            throw Refusal(
                "market.client-order-id", .conflict, "The participant has used the client order id '\(name.text)' before.",
                facts: ["clientOrderID": .text(name.text), "order": .text(known.orders[name]?.description ?? "")],
                nearest: "another client order id")
        }
    }

    mutating func add(_ waiting: Waiting, seed: UInt64, _ changes: [MarketChange], answer: any Codable & Sendable) throws {
        var step = DeskStep(request: waiting.request, seed: seed, changes: changes, at: at)
        if let request = waiting.request.idempotency {
            let stored = StoredAnswer(requestHash: request.requestHash, status: waiting.request.status, body: try WireJSON.text(answer))
            answers[request.slot] = stored
            step.answer = stored
        }
        if let name = waiting.request.clientOrderID { clientOrders.insert(name) }
        steps.append(step)
        verdicts.append((waiting, .success(.fresh(answer))))
    }

    mutating func reply(_ earlier: StoredAnswer, to waiting: Waiting) { verdicts.append((waiting, .success(.stored(earlier)))) }
    mutating func refuse(_ waiting: Waiting, _ error: any Error) { verdicts.append((waiting, .failure(error))) }

    /// Waking a caller costs as much as a command does, so two threads share it.
    @concurrent func answerAll() async {
        async let second: Void = answer(verdicts.dropFirst(verdicts.count / 2))
        answer(verdicts.prefix(verdicts.count / 2))
        await second
    }

    func failAll(_ error: any Error) {
        for (waiting, _) in verdicts { waiting.fail(error) }
    }

    private func answer(_ verdicts: ArraySlice<(Waiting, Result<DeskReply, any Error>)>) {
        for (waiting, verdict) in verdicts {
            switch verdict {
            case .success(let reply): waiting.succeed(reply)
            case .failure(let error): waiting.fail(error)
            }
        }
    }
}

/// One command that was applied.
struct DeskStep: Sendable {
    let request: DeskRequest
    let seed: UInt64
    let changes: [MarketChange]
    let at: Instant
    var answer: StoredAnswer?
    var faults: FaultNames { request.command.faults }

    init(request: DeskRequest, seed: UInt64, changes: [MarketChange], at: Instant) {
        self.request = request
        self.seed = seed
        self.changes = changes
        self.at = at
    }

    /// A command of the journal, done again.
    init(_ entry: JournalEntry, changes: [MarketChange], at: Instant) {
        self.init(request: DeskRequest(entry), seed: entry.seed, changes: changes, at: at)
        answer = entry.answer.map { StoredAnswer(requestHash: $0.requestHash, status: $0.status, body: $0.body) }
    }

    /// The command as the journal keeps it.
    var entry: JournalEntry {
        let remembered = request.idempotency.flatMap { request in
            answer.map { RememberedAnswer(slot: request.slot, requestHash: $0.requestHash, status: $0.status, body: $0.body) }
        }
        return JournalEntry(command: request.command, seed: seed, actor: request.actor, detail: request.detail, answer: remembered)
    }
}

/// The places of a command where a test may kill the program: applied in memory, written but not committed, committed but not answered.
struct FaultNames: Sendable {
    let applied: StaticString
    let written: StaticString
    let committed: StaticString
}

extension MarketCommand {
    /// Changes what belongs to no record: there is something to keep even where no row changes.
    var changesMarketItself: Bool {
        if case .resumeAfter = self { return true }
        return false
    }

    /// For the audit trail.
    var name: String {
        switch self {
        case .addParticipant: "participant.create"
        case .deposit: "money.deposit"
        case .withdraw: "money.withdraw"
        case .addProduct: "product.create"
        case .registerDatacenter: "datacenter.register"
        case .declareCapacity: "capacity.declare"
        case .placeOrder: "order.place"
        case .cancelOrder: "order.cancel"
        case .replaceOrder: "order.replace"
        case .cancelOrders: "order.cancel-all"
        case .suspend: "participant.suspend"
        case .resume: "participant.resume"
        case .closeProduct: "product.close"
        case .halt: "series.halt"
        case .reopen: "series.reopen"
        case .setReference: "series.reference"
        case .grantCredit: "participant.credit"
        case .bustTrade: "trade.bust"
        case .stopContract: "contract.stop"
        case .endContract: "contract.end"
        case .confirmContract: "contract.confirm"
        case .reportDelivery: "delivery.report"
        case .answerDispute: "dispute.answer"
        case .ruleDispute: "dispute.rule"
        case .resumeAfter: "market.resume"
        case .propose: "proposal.create"
        case .acceptProposal: "proposal.accept"
        case .refuseProposal: "proposal.refuse"
        case .withdrawProposal: "proposal.withdraw"
        case .tick: "market.tick"
        }
    }

    var faults: FaultNames {
        switch self {
        case .placeOrder, .replaceOrder:
            FaultNames(applied: "exchange.order.applied", written: "exchange.order.written", committed: "exchange.order.committed")
        case .cancelOrder, .cancelOrders:
            FaultNames(applied: "exchange.cancel.applied", written: "exchange.cancel.written", committed: "exchange.cancel.committed")
        case .stopContract, .endContract, .bustTrade:
            FaultNames(applied: "exchange.stop.applied", written: "exchange.stop.written", committed: "exchange.stop.committed")
        case .confirmContract:
            FaultNames(applied: "exchange.confirm.applied", written: "exchange.confirm.written", committed: "exchange.confirm.committed")
        case .reportDelivery, .answerDispute, .ruleDispute:
            FaultNames(applied: "exchange.delivery.applied", written: "exchange.delivery.written", committed: "exchange.delivery.committed")
        case .propose, .acceptProposal, .refuseProposal, .withdrawProposal:
            FaultNames(applied: "exchange.proposal.applied", written: "exchange.proposal.written", committed: "exchange.proposal.committed")
        case .tick, .resumeAfter:
            FaultNames(applied: "exchange.tick.applied", written: "exchange.tick.written", committed: "exchange.tick.committed")
        case .deposit, .withdraw:
            FaultNames(applied: "exchange.transfer.applied", written: "exchange.transfer.written", committed: "exchange.transfer.committed")
        case .addParticipant, .addProduct, .closeProduct, .registerDatacenter, .declareCapacity, .suspend, .resume, .halt, .reopen,
            .setReference,
            .grantCredit:
            FaultNames(applied: "exchange.listing.applied", written: "exchange.listing.written", committed: "exchange.listing.committed")
        }
    }
}

extension IdempotentRequest {
    /// `earlier`, when it was the answer to this request; refused when it was the answer to another one with the same key.
    func same(as earlier: StoredAnswer) throws -> StoredAnswer {
        guard earlier.requestHash == requestHash else {
            throw Refusal(
                "idempotency.reused", .conflict, "The idempotency key '\(key)' was used before for a different request.",
                facts: ["key": .text(key)],
                nearest: "a new key for a new request")
        }
        return earlier
    }
}
