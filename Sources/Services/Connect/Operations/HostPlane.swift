import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// What the life of a host means for what its node says and is told.

extension ConnectCore {
    /// A node has introduced itself. A refusal is an answer too: that it was heard is kept.
    func greet(_ welcome: NodeWelcome, in transaction: any WriteContext, at now: Instant) throws -> Result<NodeWelcome, Refusal> {
        guard var record = try HostLifeRecord.load(welcome.host, in: transaction) else { return .success(welcome) }
        let old = record.life
        let greeting: HostLifecycle.Greeting
        do throws(Refusal) {
            greeting = try record.life.greet(at: now, configuration.hostPolicy)
        } catch {
            return .failure(error)
        }
        try record.save(since: old, in: transaction, at: now)
        var welcome = welcome
        welcome.sharesStorage = record.sharesStorage ? true : nil
        switch greeting {
        case .welcome(let epoch), .dropFirst(let epoch): welcome.epoch = epoch
        }
        return .success(welcome)
    }

    struct Hearing {
        /// What it observed may be taken for true.
        var believes: Bool
        /// It is in service again just now.
        var isBack: Bool
    }

    /// A report has come: the host lives, and perhaps it has let go of something.
    func hear(_ report: NodeReport, from host: HostID, in transaction: any WriteContext, at now: Instant) throws -> Hearing {
        guard var record = try HostLifeRecord.load(host, in: transaction) else { return Hearing(believes: false, isBack: false) }
        let (old, epoch) = (record.life, report.epoch ?? 0)
        var believes = try record.life.hear(epoch: epoch, at: now, configuration.hostPolicy)
        for seen in report.observations { try Departure.confirm(seen, by: host, in: transaction) }
        if !believes, try !Departure.areLeft(of: host, in: transaction) {
            believes = record.life.dropped(epoch: epoch, at: now, configuration.hostPolicy)
        }
        try record.save(since: old, in: transaction, at: now)
        let isBack = old.health != .up && record.life.health == .up
        if isBack, old.isFenced { try tellAgain(host, in: transaction, at: now) }
        return Hearing(believes: believes && !(isBack && old.isFenced), isBack: isBack)
    }

    /// What is still a host's is told it once it has dropped the rest.
    private func tellAgain(_ host: HostID, in transaction: any WriteContext, at now: Instant) throws {
        let rows = try transaction.query("SELECT id FROM instances WHERE host = $1 AND state <> 'terminated' ORDER BY id", [SQLValue(host)])
        let changes = try rows.map {
            NewChange(topic: Self.hostTopic(host), subject: try $0.text("id"), kind: "return", body: "{}", at: now)
        }
        guard !changes.isEmpty else { return }
        try transaction.appendChanges(changes)
    }

    /// What a host is to run and to let go of: all of it, or of some instances. One that has to drop something first is told nothing else.
    func intents(of some: [InstanceID]?, for host: HostID, in context: any ReadContext) throws -> [InstanceIntent] {
        let departures = Dictionary(uniqueKeysWithValues: try Departure.of(host, in: context).map { ($0.instance, $0) })
        let serves = try HostLifeRecord.load(host, in: context).map { !$0.life.isFenced } ?? true
        var ids = some ?? departures.keys.sorted()
        if some == nil, serves {
            let rows = try context.query("SELECT id FROM instances WHERE host = $1 AND state <> 'terminated'", [SQLValue(host)])
            ids = Set(ids + (try rows.map { try $0.id("id") })).sorted()
        }
        return try ids.compactMap { id in
            guard let record = try InstanceRecord.load(id, in: context) else { return nil }
            let manifest = try image(record.spec.image, in: context)
            if let departure = departures[id] { return record.intent(of: departure, image: manifest) }
            return serves && record.host == host ? record.intent(image: manifest) : nil
        }
    }

    /// An instance whose source has let go of it arrives on its target, or on another host when that has no room any more.
    func handOver(_ record: inout InstanceRecord, in transaction: any WriteContext, at now: Instant) throws {
        guard let move = record.life.move, move.phase == .releasing, record.life.state == .stopped else { return }
        var targets = try MoveTargets(for: record.host, in: transaction)
        guard let target = try? targets.take(for: record, preferring: move.target) else {
            _ = record.life.cancelMove(at: now)
            return
        }
        record.life.move?.target = target
        guard let there = record.life.handOver(at: now) else { return }
        try targets.rehome(&record, to: there, keepsDisk: true, in: transaction, at: now)
    }
}
