import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store
import Synchronization

/// Owns connect's state in memory. It changes in write transactions only, one after the other, together with the rows it follows; what
/// is rolled back is taken back. Others read it at any time.
///
/// The queue of commands is the database's own: what waits goes into one transaction, each command decided on the state as the ones
/// before it left it, and all are answered once it is durable.
final class FleetMemory: Sendable {
    private struct Content {
        var state = FleetState()
        /// A commit may or may not have happened: the tables are to be read again before anything else is decided.
        var isStale = false
    }

    private let content = Mutex(Content())

    func reading<Value: Sendable>(_ body: (inout FleetState) throws -> Value) rethrows -> Value {
        try content.withLock { try body(&$0.state) }
    }

    /// Reads the tables.
    func load(from database: any Database) async throws {
        let state = try await database.read { try FleetState.load(from: $0) }
        content.withLock { $0 = Content(state: state) }
    }

    /// Called first in each transaction.
    func refresh(from context: any ReadContext) throws {
        guard content.withLock({ $0.isStale }) else { return }
        let state = try FleetState.load(from: context)
        content.withLock { $0 = Content(state: state) }
    }

    func markStale() { content.withLock { $0.isStale = true } }

    func contract(_ id: ContractID) -> ContractRecord? { reading { $0.contracts[id] } }
    func capacity(of contract: ContractRecord) -> ContractCapacity { reading { $0.capacity(of: contract) } }
    func hostName(_ id: HostID) -> String? { reading { $0.hosts[id]?.name } }
}

/// A write transaction of connect: what is written of instances, volumes, hosts and contracts changes the state in memory with it.
final class FleetTransaction: WriteContext {
    private let base: any WriteContext
    let memory: FleetMemory
    private let news: HostNews
    let networkNews = NetworkNews()

    init(_ base: any WriteContext, _ memory: FleetMemory, _ news: HostNews) throws {
        self.base = base
        self.memory = memory
        self.news = news
        news.forget()
        try memory.refresh(from: base)
    }

    var dialect: SQLDialect { base.dialect }
    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [Row] { try base.query(sql, arguments) }
    @discardableResult
    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int { try base.execute(sql, arguments) }
    func executeMany(_ sql: String, _ rows: [[SQLValue]]) throws { try base.executeMany(sql, rows) }
    func announce(revision: Int64) { base.announce(revision: revision) }
    func onRollback(_ undo: @escaping (Rollback) -> Void) { base.onRollback(undo) }

    // MARK: The state in memory

    func reading<Value: Sendable>(_ body: (inout FleetState) throws -> Value) rethrows -> Value { try memory.reading(body) }

    /// The row of an instance was written.
    func note(_ record: InstanceRecord, outlook: LifetimeOutlook? = nil) throws {
        let id = record.id
        let holding = try record.holding(by: memory.reading { $0.party(of: record.contract) })
        let before = try note(id, holding, on: record.host, outlook: outlook)
        guard (before == nil) != (holding == nil) else { return }
        memory.reading { state in
            state.lifetimes.note(
                holding == nil ? .ended(id) : .began(id, record.resources, batch: Int(clamping: record.spec.batch)))
        }
        takeBack { $0.lifetimes.takeBack() }
    }

    /// An instance, or room that is reserved for one, holds something else now; nil: nothing any more. Returns what it held before.
    @discardableResult
    func note(_ id: InstanceID, _ holding: Occupancy.Holding?, on host: HostID, outlook: LifetimeOutlook? = nil) throws -> Occupancy
        .Holding?
    {
        if memory.reading({ $0.occupancy.host(host) == nil }) { try noteHost(host) }
        let before = memory.reading { $0.occupancy.set(id, holding, outlook: outlook) }
        takeBack { $0.occupancy.set(id, before) }
        noteNetwork(before, holding)
        return before
    }

    /// The definition of a product was written.
    func note(_ id: ProductID, _ product: ProductDefinition) {
        let before = memory.reading { state in
            let before = state.products[id]
            state.products[id] = product
            return before
        }
        takeBack { $0.products[id] = before }
    }

    /// The row of a volume was written.
    func note(_ record: VolumeRecord) throws {
        let id = record.id
        if memory.reading({ $0.occupancy.host(record.host) == nil }) { try noteHost(record.host) }
        let before = memory.reading { $0.occupancy.set(id, record.holding) }
        takeBack { $0.occupancy.set(id, before) }
    }

    /// The row of a contract was written.
    func note(_ contract: ContractRecord) {
        let id = contract.id
        let before = memory.reading { state in
            let before = state.contracts[id]
            state.contracts[id] = contract
            return before
        }
        takeBack { $0.contracts[id] = before }
    }

    /// The row of a host, or of its pod, was written: it is read again.
    func noteHost(_ id: HostID) throws {
        guard let record = try HostRecord.plain(id, in: self) else { return }
        try note(record)
    }

    /// Rows of hosts, or of what they stand in, were written: those that meet the condition are read again.
    func noteHosts(where condition: String? = nil, _ arguments: [SQLValue] = []) throws {
        for host in try HostRecord.plain(where: condition, arguments, in: self) { try note(host) }
    }

    func note(_ host: HostRecord) throws {
        let (id, entry) = (host.id, try host.entry)
        let facts = FleetState.HostFacts(host)
        let before = memory.reading { state in
            let before = (state.occupancy.host(id), state.hosts[id])
            state.set(entry, facts)
            return before
        }
        takeBack { state in
            // A host that was not there before stays, empty and closed: nothing can have been placed on it.
            var closed = entry
            closed.state = .cordoned
            state.set(before.0 ?? closed, before.1)
        }
        if before.1?.isFenced ?? false != facts.isFenced { try noteFencing(of: id) }
    }

    func noteMeters(of host: HostID, upTo sequence: Int64) {
        let before = memory.reading { state in
            let before = state.hosts[host]?.meterSequence
            state.hosts[host]?.meterSequence = sequence
            return before
        }
        takeBack { state in
            if let before { state.hosts[host]?.meterSequence = before }
        }
    }

    /// Something else is wanted of a host: whoever waits for that is woken once it is durable.
    func noteIntent(of host: HostID, revision: Int64) { news.add(host, revision) }

    func takeBack(_ undo: @escaping (inout FleetState) -> Void) {
        base.onRollback { [memory] rollback in
            switch rollback {
            case .complete: memory.reading { undo(&$0) }
            case .uncertain: memory.markStale()
            }
        }
    }
}

/// The hosts of which one transaction wants something else.
final class HostNews: Sendable {
    private let revisions = Mutex<[HostID: Int64]>([:])

    var all: [HostID: Int64] { revisions.withLock { $0 } }
    func add(_ host: HostID, _ revision: Int64) { revisions.withLock { $0[host] = max($0[host] ?? 0, revision) } }
    /// A body may run again.
    func forget() { revisions.withLock { $0 = [:] } }
}

extension ConnectCore {
    /// Writes rows and the state in memory with them; returns once both are durable. All that is written of instances, hosts and
    /// contracts goes through here.
    @discardableResult
    func write<Value: Sendable>(_ body: @escaping @Sendable (FleetTransaction) throws -> Value) async throws -> Value {
        let news = HostNews()
        let (memory, now) = (self.memory, time.now())
        let value = try await database.write { context in
            let transaction = try FleetTransaction(context, memory, news)
            let value = try body(transaction)
            try transaction.settleNetworks(at: now)
            return value
        }
        bell.ring(news.all)
        return value
    }

    /// Where the state in memory differs from the tables, or either contradicts itself: nothing, unless there is a bug.
    func violations() async throws -> [String] {
        try await write { transaction in
            let stored = try FleetState.load(from: transaction)
            let found =
                transaction.reading { state in
                    state.occupancy.violations() + state.occupancy.differences(from: stored.occupancy)
                        + (state.hosts == stored.hosts ? [] : ["what is known of hosts is not what the table says"])
                        + (state.networks == stored.networks ? [] : ["what is known of networks is not what the table says"])
                } + (try transaction.networkViolations())
            let hosts = try HostRecord.all(in: transaction)
            let contracts = try ContractRecord.all(in: transaction)
            let used = try Dictionary(uniqueKeysWithValues: contracts.map { ($0.id, try $0.used(in: transaction)) })
            return transaction.reading { state in
                let crowded = hosts.filter { $0.allocated != state.occupancy.placeable($0.id)?.allocated }.map {
                    "the table's instances take \($0.allocated) of \($0.id), those in memory otherwise"
                }
                let volumes = contracts.filter { contract in
                    let kept = state.occupancy.usage(of: contract.id)
                    let summed = used[contract.id]
                    return kept.resources != summed?.resources || kept.instances != summed?.instances || kept.volumes != summed?.volumes
                }.map { "the volume used of \($0.id) is not the sum of its instances and disks" }
                return found + crowded + volumes
            }
        }
    }
}
