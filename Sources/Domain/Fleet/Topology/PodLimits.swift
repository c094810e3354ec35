public import Primitives

/// What a pod's hosts share and how much there is of it; nil: no limit. The scarcest, divided by what one host takes, is the pod's
/// maximum useful size.
public struct PodLimits: Hashable, Sendable {
    public var hosts: Int64?
    /// Of the NAS heads or SAN arrays together.
    public var storageIOPS: Int64?
    public var storageMBps: Int64?
    /// Ports for hosts on the pod's switches.
    public var networkPorts: Int64?
    /// Guests with an address in the pod's broadcast domain.
    public var broadcastGuests: Int64?

    public init(
        hosts: Int64? = nil, storageIOPS: Int64? = nil, storageMBps: Int64? = nil, networkPorts: Int64? = nil, broadcastGuests: Int64? = nil
    ) {
        self.hosts = hosts
        self.storageIOPS = storageIOPS
        self.storageMBps = storageMBps
        self.networkPorts = networkPorts
        self.broadcastGuests = broadcastGuests
    }

    /// Every limit with its name, in a fixed order.
    public var numbers: [(name: String, amount: Int64?)] {
        [
            ("hosts", hosts), ("storageIOPS", storageIOPS), ("storageMBps", storageMBps), ("networkPorts", networkPorts),
            ("broadcastGuests", broadcastGuests),
        ]
    }

    /// One limit and how many hosts it has room for.
    public struct Room: Hashable, Sendable {
        public var limit: String
        public var total: Int64
        public var perHost: Int64
        public var hosts: Int64 { total / perHost }
    }

    /// The limits that hosts of this profile run into, the scarcest first; equal ones in the order of their declaration.
    public func rooms(for profile: HardwareProfile?) -> [Room] {
        let perHost: [String: Int64] = [
            "hosts": 1, "storageIOPS": profile?.storageIOPS ?? 0, "storageMBps": profile?.storageMBps ?? 0,
            "networkPorts": profile?.networkPorts ?? 0, "broadcastGuests": profile?.guests ?? 0,
        ]
        let rooms = numbers.compactMap { name, amount -> Room? in
            guard let amount, let share = perHost[name], share > 0 else { return nil }
            return Room(limit: name, total: amount, perHost: share)
        }
        return rooms.enumerated().sorted { ($0.element.hosts, $0.offset) < ($1.element.hosts, $1.offset) }.map(\.element)
    }
}

extension Topology.Pod {
    /// Refuses more hosts than the pod has room for.
    public func admit(hosts: Int64) throws(Refusal) {
        guard let room = limits.rooms(for: profile).first, room.hosts < hosts else { return }
        let wanted = hosts.multipliedReportingOverflow(by: room.perHost)
        throw Refusal(
            "pod.limit", .capacity,
            "Pod \(name) has room for \(counted(room.hosts, "host")) by its \(room.limit) (\(room.total), of which a host takes \(room.perHost)), not for \(hosts).",
            facts: [
                "pod": .text(name), "limit": .text(room.limit), "total": .number(room.total), "perHost": .number(room.perHost),
                "room": .number(room.hosts), "hosts": .number(hosts),
            ],
            nearest: "\(counted(room.hosts, "host")) in \(name)"
                + (wanted.overflow ? "" : ", or \(room.limit) of \(wanted.partialValue)"))
    }
}
