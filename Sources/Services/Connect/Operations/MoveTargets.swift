import CloudAPI
import Fleet
import Primitives
import Store

/// Where instances of one host may go: the other hosts of its pod, with the room that is left on them while moves are planned.
struct MoveTargets {
    private var hosts: [Fleet.Host]
    private let records: [HostID: HostRecord]

    init(for source: HostID, in context: any ReadContext) throws {
        let all = try HostRecord.all(in: context)
        let pod = all.first { $0.id == source }?.pod
        let others = all.filter { $0.pod == pod && $0.id != source }
        hosts = others.map(\.placeable)
        records = Dictionary(uniqueKeysWithValues: others.map { ($0.id, $0) })
    }

    /// Takes the room an instance needs, on the preferred host when it has it.
    mutating func take(for record: InstanceRecord, preferring preferred: HostID? = nil) throws(Refusal) -> HostID {
        var needs = record.spec.resources
        // A stopped instance holds its disk only.
        if record.life.desired == .stopped, record.life.move?.resumes != true { needs = Resources(diskMiB: needs.diskMiB) }
        let placement = Placement(resources: needs, zone: nil)
        let first = hosts.filter { $0.id == preferred }
        let chosen: HostID
        if let host = try? placement.choose(among: first) { chosen = host } else { chosen = try placement.choose(among: hosts) }
        for index in hosts.indices where hosts[index].id == chosen { hosts[index].allocated += needs }
        return chosen
    }

    /// Makes an instance the target's, with an address there: its own when it is free.
    func rehome(
        _ record: inout InstanceRecord, to target: HostID, keepsDisk: Bool, in transaction: any WriteContext, at now: Instant
    ) throws {
        guard let host = records[target], let network = GuestNetwork(host.guestNetwork) else {
            throw Refusal("move.target", .conflict, "\(target) is not a host of the same pod.", facts: ["host": .text(target.description)])
        }
        let taken = Set(
            try transaction.query("SELECT address FROM instances WHERE host = $1 AND address IS NOT NULL", [SQLValue(target)])
                .compactMap { GuestNetwork.address(try $0.text("address")) })
        let own = record.address.flatMap(GuestNetwork.address).flatMap { taken.contains($0) || !network.contains($0) ? nil : $0 }
        guard let address = own ?? network.firstFree(excluding: taken) else {
            throw Refusal("network.addresses", .capacity, "Host \(host.name) has no free address in \(host.guestNetwork).")
        }
        try record.rehome(
            to: target, zone: host.zone, address: GuestNetwork.text(address), keepsDisk: keepsDisk, in: transaction, at: now)
    }
}
