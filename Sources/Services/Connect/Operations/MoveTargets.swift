import CloudAPI
import Fleet
import Primitives
import Store

/// Where an instance goes when it moves.
struct MoveTarget: Sendable {
    var host: HostID
    var zone: String
    /// Its own when that is free there.
    var address: String
    /// What of the host's parts it has there.
    var spot: PlacementSpot
}

extension ConnectCore {
    /// A host of the same pod that has the room, by the rules under which the instance was placed; the preferred one when it will do.
    func findTarget(for record: InstanceRecord, preferring preferred: HostID? = nil, at now: Instant) throws(Refusal) -> MoveTarget {
        var needs = record.resources
        // A stopped instance holds its disk only.
        if record.life.desired == .stopped, record.life.move?.resumes != true { needs = Resources(diskMiB: needs.diskMiB) }
        let wanted = needs
        let found = memory.reading { state -> Result<MoveTarget, Refusal> in
            Result { () throws(Refusal) in
                let decision = try state.occupancy.target(of: record.id, needing: wanted, preferring: preferred, at: now)
                let host = decision.host
                guard let entry = state.occupancy.host(host), let address = state.occupancy.address(of: record.id, movingTo: host) else {
                    throw Refusal.noAddress(on: host, named: state.hosts[host]?.name)
                }
                return MoveTarget(
                    host: host, zone: entry.zone, address: GuestNetwork.text(address),
                    spot: PlacementSpot(gpus: decision.gpus, cell: decision.cell))
            }
        }
        return try found.get()
    }
}
