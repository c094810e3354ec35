public import Primitives
import Synchronization

/// A network that exists in memory only.
public final class SimulatedNetwork: NetworkDriver {
    private struct State {
        var devices: Set<InstanceID> = []
        var permitted: [InstanceID: NetworkPort] = [:]
    }

    private let state = Mutex(State())
    private let network: IPv4Prefix
    private let faults: SimulatedFaults

    public init(_ network: IPv4Prefix, _ behaviour: SimulatedBehaviour) {
        self.network = network
        faults = SimulatedFaults(behaviour)
    }

    public func change(_ edit: (inout SimulatedBehaviour) -> Void) { faults.change(edit) }

    public func ensureNetwork() async throws(Refusal) { try await faults.strike("ensureNetwork") }

    public func ensurePort(_ port: NetworkPort) async throws(Refusal) -> String {
        try port.validate(in: network)
        try await faults.strike("ensurePort")
        state.withLock { _ = $0.devices.insert(port.instance) }
        return port.deviceName
    }

    public func permit(_ port: NetworkPort) async throws(Refusal) {
        try port.validate(in: network)
        try await faults.strike("permit")
        let holder = state.withLock { state -> InstanceID? in
            let other = state.permitted.values.first {
                $0.instance != port.instance && ($0.address == port.address || $0.macAddress == port.macAddress)
            }
            if other == nil { state.permitted[port.instance] = port }
            return other?.instance
        }
        if let holder { throw Refusal("network.taken", .conflict, "address \(port.address) or its MAC belongs to \(holder)") }
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
}
