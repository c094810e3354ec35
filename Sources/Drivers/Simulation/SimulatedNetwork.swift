public import Primitives
import Synchronization

/// Networks that exist in memory only.
public final class SimulatedNetwork: NetworkDriver {
    private struct State {
        var devices: Set<InstanceID> = []
        var permitted: [InstanceID: NetworkPort] = [:]
        var networks: [NetworkID: TenantNetwork] = [:]

        func used(_ network: NetworkID) -> [InstanceID] {
            permitted.values.filter { $0.network == network }.map(\.instance).sorted()
        }
    }

    private let state = Mutex(State())
    private let network: IPv4Prefix
    private let tunnel: TunnelEnd?
    private let faults: SimulatedFaults

    public init(
        _ network: IPv4Prefix, _ behaviour: SimulatedBehaviour, tunnel: TunnelEnd? = TunnelEnd(address: IPv4Address(bits: 0xc000_0201))
    ) {
        self.network = network
        self.tunnel = tunnel
        faults = SimulatedFaults(behaviour)
    }

    public func change(_ edit: (inout SimulatedBehaviour) -> Void) { faults.change(edit) }

    public func ensureNetwork() async throws(Refusal) { try await faults.strike("ensureNetwork") }

    // MARK: - Tenants' networks

    @discardableResult public func ensure(_ network: TenantNetwork) async throws(Refusal) -> MetadataPlace {
        _ = try network.validate(on: tunnel)
        try await faults.strike("ensure")
        try change { (state: inout State) throws(Refusal) in
            try network.refuseSameIdentifier(among: Array(state.networks.values))
            if let former = state.networks[network.network] { try network.refuseChange(from: former) }
            state.networks[network.network] = network
        }
        return MetadataPlace(address: "127.0.0.1", port: 0, namespace: nil)
    }

    public func ensureAbsent(_ network: NetworkID) async throws(Refusal) {
        try await faults.strike("ensureAbsent")
        try change { (state: inout State) throws(Refusal) in
            let used = state.used(network)
            guard used.isEmpty else { throw TenantNetwork.used(network, by: used) }
            state.networks.removeValue(forKey: network)
        }
    }

    public func networks() async throws(Refusal) -> [TenantNetwork] {
        state.withLock { $0.networks.values.sorted { $0.network < $1.network } }
    }

    /// Somebody took a network away behind the driver's back.
    public func lose(_ network: NetworkID) { state.withLock { _ = $0.networks.removeValue(forKey: network) } }

    // MARK: - Ports

    public func ensurePort(_ port: NetworkPort) async throws(Refusal) -> String {
        try check(port)
        try await faults.strike("ensurePort")
        state.withLock { _ = $0.devices.insert(port.instance) }
        return port.deviceName
    }

    private func check(_ port: NetworkPort) throws(Refusal) {
        guard let id = port.network else { return try port.validate(in: network) }
        guard let tenant = state.withLock({ $0.networks[id] }) else { throw TenantNetwork.unknown(id) }
        try port.validate(in: tenant.gatewayPrefix)
    }

    public func permit(_ port: NetworkPort) async throws(Refusal) {
        try check(port)
        try await faults.strike("permit")
        try change { (state: inout State) throws(Refusal) in
            let other = state.permitted.values.first {
                $0.instance != port.instance && $0.network == port.network
                    && ($0.address == port.address || $0.macAddress == port.macAddress)
            }
            if let other {
                throw Refusal("network.taken", .conflict, "address \(port.address) or its MAC belongs to \(other.instance)")
            }
            state.permitted[port.instance] = port
        }
    }

    public func ensurePortAbsent(_ instance: InstanceID) async throws(Refusal) {
        try await faults.strike("ensurePortAbsent")
        state.withLock { state in
            state.devices.remove(instance)
            state.permitted.removeValue(forKey: instance)
        }
    }

    public func ports() async throws(Refusal) -> [NetworkPort] {
        state.withLock { $0.permitted.values.sorted { $0.instance < $1.instance } }
    }

    public func teardown() async throws(Refusal) {
        try await faults.strike("teardown")
        state.withLock { $0 = State() }
    }

    private func change(_ edit: (inout State) throws(Refusal) -> Void) throws(Refusal) {
        let result = state.withLock { state -> Result<Void, Refusal> in Result { () throws(Refusal) in try edit(&state) } }
        try result.get()
    }
}
