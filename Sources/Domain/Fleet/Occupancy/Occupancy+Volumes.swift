public import Primitives

// Volumes: disks of their own, which hold room on the host that keeps them and in the volume of their contract.
extension Occupancy {
    /// What a volume that is not deleted holds.
    public struct VolumeHolding: Hashable, Sendable {
        public var contract: ContractID
        /// The host that keeps it. On shared storage another host of the pod may take it over.
        public var host: HostID
        /// Disk and IOPS, nothing else.
        public var resources: Resources
        public var state: VolumeLifecycle.State
        public var generation: Int64

        public init(
            contract: ContractID, host: HostID, resources: Resources, state: VolumeLifecycle.State, generation: Int64
        ) {
            self.contract = contract
            self.host = host
            self.resources = resources
            self.state = state
            self.generation = generation
        }
    }

    public subscript(volume: VolumeID) -> VolumeHolding? { volumeHoldings[volume] }
    public var volumeCount: Int { volumeHoldings.count }

    /// Makes a volume hold what it holds now; nil: nothing any more. Returns what it held before. Its host must be known.
    @discardableResult
    public mutating func set(_ volume: VolumeID, _ holding: VolumeHolding?) -> VolumeHolding? {
        let before = volumeHoldings[volume]
        guard before != holding else { return before }
        if let before { count(before, adding: false) }
        volumeHoldings[volume] = holding
        if let holding { count(holding, adding: true) }
        let isRoomSame = before?.host == holding?.host && before?.resources == holding?.resources
        if isRoomSame { return before }
        if let former = before?.host { refit(former) }
        if let present = holding?.host, present != before?.host { refit(present) }
        return before
    }

    private mutating func count(_ volume: VolumeHolding, adding: Bool) {
        guard let host = hosts.index(of: volume.host) else { preconditionFailure("a volume is on a host that is not known") }
        hosts.count(volume, at: host, adding: adding)
        var used = usage[volume.contract] ?? Usage()
        if adding { used.resources += volume.resources } else { used.resources -= volume.resources }
        used.volumes += adding ? 1 : -1
        setUsage(of: volume.contract, used)
    }

    /// The host as the engine sees it: what volumes hold of it is not there for instances, and one that has more on it than it promises
    /// takes nothing.
    func withoutVolumes(_ entry: HostEntry) -> PlacementHost {
        var host = entry.placement
        if overfull.contains(entry.id) { host.state = .cordoned }
        if let index = hosts.index(of: entry.id) { host.capacity -= hosts.loads[index].heldByVolumes }
        return host
    }

    /// Brings the engine up to date with what volumes hold of a host.
    private mutating func refit(_ id: HostID) {
        guard !overfull.contains(id) else { return reenter(id, residents(of: id)) }
        guard let entry = host(id) else { return }
        do throws(Refusal) { try engine.update(withoutVolumes(entry)) } catch { close(id) }
    }

    // MARK: Deciding

    /// Where a volume goes: a host that keeps the request's rules and has room. Its `instance` is not looked at.
    public mutating func placeVolume(_ request: PlacementRequest, at now: Instant) throws(Refusal) -> HostID {
        guard hostCount > 0 else { throw PlacementExplanation.noHosts }
        return try engine.find(request, at: now)
    }

    /// Whether a host has room for more of a volume that is there or comes there. Refuses with what is missing.
    /// - Parameter mustBeUp: the volume is not there yet, and comes only to a host that is up.
    public func checkRoom(for more: Resources, on id: HostID, mustBeUp: Bool) throws(Refusal) {
        guard let host = placeable(id) else {
            throw Refusal(
                "placement.host-unknown", .notFound, "There is no host \(id).", facts: ["host": .text(id.description)],
                nearest: "one of `bourse host list`")
        }
        if mustBeUp, host.state != .up {
            throw Refusal(
                "placement.capacity", .capacity, "The volume would come to host \(id), which is \(host.state.rawValue).",
                facts: ["host": .text(id.description), "state": .text(host.state.rawValue)], nearest: "the same once the host is up")
        }
        guard let short = more.shortfalls(against: host.free).first else { return }
        throw Self.short(short, on: id, "The volume")
    }

    /// How this differs from another, by volume.
    func differences(fromVolumesOf other: Occupancy) -> [String] {
        Set(volumeHoldings.keys).union(other.volumeHoldings.keys).sorted().filter { volumeHoldings[$0] != other.volumeHoldings[$0] }.map {
            "\($0): \(String(describing: volumeHoldings[$0])) here, \(String(describing: other.volumeHoldings[$0])) there"
        }
    }
}
