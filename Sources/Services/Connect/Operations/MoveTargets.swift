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
        let wanted = Self.needs(of: record)
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

    /// Why an instance cannot move to a host of its pod now; nil: it can.
    func obstacle(to target: HostID, for record: InstanceRecord, at now: Instant) throws(Refusal) -> String? {
        let wanted = Self.needs(of: record)
        let found = memory.reading { state -> Result<PlacementRule?, Refusal> in
            Result { () throws(Refusal) in
                try state.occupancy.obstacle(of: record.id, needing: wanted, to: target, at: now)
            }
        }
        guard let rule = try found.get() else { return nil }
        return "Host \(memory.hostName(target) ?? target.description) does not take it now: \(rule.why) (\(rule.rawValue))."
    }

    /// A stopped instance holds its disk only.
    private static func needs(of record: InstanceRecord) -> Resources {
        guard record.life.desired == .stopped, record.life.move?.resumes != true else { return record.resources }
        return Resources(diskMiB: record.resources.diskMiB)
    }
}
