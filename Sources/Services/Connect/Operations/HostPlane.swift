import CloudAPI
import Fleet
import Primitives
import ServiceKit
import Store

// What the life of a host means for what its node says and is told.

extension ConnectCore {
    /// A node has introduced itself: under which token it goes on. Refused while its host is being fenced; that it was heard is known then.
    func greet(_ welcome: NodeWelcome, in transaction: FleetTransaction, at now: Instant) throws -> NodeWelcome {
        guard var record = try hostLife(welcome.host, in: transaction) else { return welcome }
        let old = record.life
        let greeting = try record.life.greet(at: now, hostPolicy)
        try record.save(since: old, in: transaction, at: now)
        if old.health != .up, record.life.health == .up { try noteReturn(of: welcome.host, in: transaction, at: now) }
        var welcome = welcome
        welcome.sharesStorage = record.sharesStorage ? true : nil
        switch greeting {
        case .welcome(let epoch), .dropFirst(let epoch): welcome.epoch = epoch
        }
        return welcome
    }

    struct Hearing {
        /// What it observed may be taken for true.
        var believes: Bool
        /// It is in service again just now.
        var isBack: Bool
    }

    /// A report has come: the host lives, and perhaps it has let go of something.
    func hear(_ report: NodeReport, from host: HostID, in transaction: FleetTransaction, at now: Instant) throws -> Hearing {
        for seen in report.observations { try Departure.confirm(seen, by: host, in: transaction) }
        let epoch = report.epoch ?? 0
        let isCalm = transaction.reading { $0.occupancy.host(host)?.state.isInService == true && $0.hosts[host]?.epoch == epoch }
        if isCalm { return Hearing(believes: true, isBack: false) }
        guard var record = try hostLife(host, in: transaction) else { return Hearing(believes: false, isBack: false) }
        let old = record.life
        var believes = try record.life.hear(epoch: epoch, at: now, hostPolicy)
        if !believes, try !Departure.areLeft(of: host, in: transaction) {
            believes = record.life.dropped(epoch: epoch, at: now, hostPolicy)
        }
        try record.save(since: old, in: transaction, at: now)
        let isBack = old.health != .up && record.life.health == .up
        if isBack { try noteReturn(of: host, in: transaction, at: now) }
        if isBack, old.isFenced { try tellAgain(host, in: transaction, at: now) }
        return Hearing(believes: believes && !(isBack && old.isFenced), isBack: isBack)
    }

    /// What waited for a host waits no more.
    private func noteReturn(of host: HostID, in transaction: FleetTransaction, at now: Instant) throws {
        for var record in try Self.instances(on: host, in: transaction) {
            let old = record.life
            if record.life.hostReturned() { try record.saveChange(kind: "host-back", since: old, in: transaction, at: now) }
        }
    }

    /// What is still a host's is told it once it has dropped the rest.
    private func tellAgain(_ host: HostID, in transaction: FleetTransaction, at now: Instant) throws {
        let rows = try transaction.query("SELECT id FROM instances WHERE host = $1 AND state <> 'terminated' ORDER BY id", [SQLValue(host)])
        let changes = try rows.map {
            NewChange(topic: Self.hostTopic(host), subject: try $0.text("id"), kind: "return", body: "{}", at: now)
        }
        guard !changes.isEmpty else { return }
        transaction.noteIntent(of: host, revision: try transaction.appendChanges(changes))
    }

    /// What a host is to run and to let go of: all of it, or of some instances. One that has to drop something first is told nothing else.
    func intents(of some: [InstanceID]?, for host: HostID, in context: any ReadContext) throws -> [InstanceIntent] {
        let departures = Dictionary(uniqueKeysWithValues: try Departure.of(host, in: context).map { ($0.instance, $0) })
        let serves = memory.reading { $0.hosts[host]?.isFenced != true }
        var ids = some ?? departures.keys.sorted()
        if some == nil, serves {
            let rows = try context.query("SELECT id FROM instances WHERE host = $1 AND state <> 'terminated'", [SQLValue(host)])
            ids = Set(ids + (try rows.map { try $0.id("id") }) + (try LiveMoveRecord.arrivals(at: host, in: context))).sorted()
        }
        return try ids.compactMap { id in
            guard let record = try InstanceRecord.load(id, in: context) else { return nil }
            let manifest = try image(record.spec.image, in: context)
            if let departure = departures[id] { return record.intent(of: departure, image: manifest) }
            if record.life.move?.kind == .live, let move = try LiveMoveRecord.underWay(id, in: context) {
                return serves ? try intent(of: record, moving: move, for: host, image: manifest, in: context) : nil
            }
            return serves && record.host == host ? record.intent(image: manifest) : nil
        }
    }

    /// An instance whose source has let go of it arrives on its target, or on another host when that has no room any more.
    func handOver(_ record: inout InstanceRecord, in transaction: FleetTransaction, at now: Instant) throws {
        guard let move = record.life.move, move.phase == .releasing, move.kind == .cold, record.life.state == .stopped else { return }
        guard let target = try? findTarget(for: record, preferring: move.target, at: now) else {
            _ = record.life.cancelMove(at: now)
            return
        }
        record.life.move?.target = target.host
        guard record.life.handOver(at: now) != nil else { return }
        try record.rehome(to: target, keepsDisk: true, in: transaction, at: now)
    }
}
