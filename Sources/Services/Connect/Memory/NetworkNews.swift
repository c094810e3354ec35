import CloudAPI
import Fleet
import Primitives
import Store
import Synchronization

/// Networks whose hosts may be others after a transaction. Looked at when all of it is written, so that many instances that come together
/// are one change of each network.
final class NetworkNews: Sendable {
    struct Touched: Sendable {
        var hosts: Set<HostID> = []
        /// Something else that the hosts must be told.
        var isForced = false
    }

    private let touched = Mutex<[NetworkID: Touched]>([:])

    func add(_ network: NetworkID, _ hosts: Set<HostID>) {
        guard !hosts.isEmpty else { return }
        touched.withLock { $0[network, default: Touched()].hosts.formUnion(hosts) }
    }

    func force(_ network: NetworkID) { touched.withLock { $0[network, default: Touched()].isForced = true } }

    func takeAll() -> [(network: NetworkID, touched: Touched)] {
        touched.withLock { touched in
            defer { touched = [:] }
            return touched.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }
}

extension FleetTransaction {
    /// An instance holds something else now: hosts it came to or left may have its network from now on, or no longer.
    func noteNetwork(_ before: Occupancy.Holding?, _ after: Occupancy.Holding?) {
        let (old, new) = (before?.networkHosts ?? [], after?.networkHosts ?? [])
        guard old != new, let network = after?.network ?? before?.network else { return }
        networkNews.add(network, old.symmetricDifference(new))
    }

    /// A host has let go of an instance.
    func noteDeparture(of instance: InstanceID, from host: HostID) throws {
        guard reading({ $0.occupancy.networkCount }) > 0 else { return }
        let row = try queryOne("SELECT network FROM instances WHERE id = $1", [SQLValue(instance)])
        guard let network = try row?.optionalID("network", as: NetworkID.self) else { return }
        networkNews.add(network, [host])
    }

    /// The tunnel of a host is another: whoever shares a network with it is told.
    func noteTunnel(of host: HostID) throws {
        for member in try NetworkHost.on(host, in: self) { networkNews.force(member.network) }
    }

    /// A host was proven to run nothing, or is in service again.
    func noteFencing(of host: HostID) throws {
        guard reading({ $0.occupancy.networkCount }) > 0 else { return }
        for member in try NetworkHost.on(host, in: self) { networkNews.add(member.network, [host]) }
    }

    /// Writes which hosts the networks are on that this transaction touched, once for each network, and tells all of their hosts.
    func settleNetworks(at now: Instant) throws {
        for (id, touched) in networkNews.takeAll() { try settle(id, touched, at: now) }
    }

    private func settle(_ id: NetworkID, _ touched: NetworkNews.Touched, at now: Instant) throws {
        guard var record = reading({ $0.networks[id] }) else { return }
        let generation = record.generation + 1
        var isChanged = touched.isForced
        for host in touched.hosts.sorted() {
            let known = try NetworkHost.load(id, on: host, in: self)
            let desired: NetworkDesired = try isNeeded(id, on: host, known?.desired) ? .present : .absent
            guard known?.desired ?? .absent != desired else { continue }
            try NetworkHost.want(desired, id, on: host, generation: generation, in: self)
            isChanged = true
        }
        guard isChanged else { return }
        record.generation = generation
        try record.update(in: self)
        try tellHosts(of: id, at: now)
    }

    /// Hosts that networks are on without need, or are not on where they are needed: none, unless there is a bug.
    func networkViolations() throws -> [String] {
        let present = try NetworkHost.present(in: self)
        let needless = try present.filter { try !isNeeded($0.network, on: $0.host, $0.desired) }.map {
            "\($0.network) is on \($0.host) without need"
        }
        let known = Dictionary(grouping: present, by: \.network).mapValues { Set($0.map(\.host)) }
        let missing = reading { state in
            state.networks.keys.sorted().flatMap { id in
                Set((state.occupancy.network(id)?.hosts ?? [:]).keys).subtracting(known[id] ?? []).sorted().map {
                    "\(id) is not on \($0), where its instances are"
                }
            }
        }
        return needless + missing
    }

    /// An instance on it is on the host, is about to come, or may not have gone yet; a host that was proven to run nothing has none.
    private func isNeeded(_ network: NetworkID, on host: HostID, _ known: NetworkDesired?) throws -> Bool {
        let (isThere, isFenced) = reading { state in
            (state.occupancy.network(network)?.hosts[host] != nil, state.hosts[host]?.isFenced == true)
        }
        if isThere { return true }
        return try known == .present && !isFenced && Departure.areLeft(of: host, on: network, in: self)
    }

    /// One change for all hosts: each looks for those of its networks.
    private func tellHosts(of network: NetworkID, at now: Instant) throws {
        let revision = try appendChange(
            topic: ConnectCore.networkTopic(network), subject: network.description, kind: "network", body: "{}", at: now)
        for member in try NetworkHost.of(network, in: self) { noteIntent(of: member.host, revision: revision) }
    }
}
