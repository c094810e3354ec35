public import Primitives

/// A host as its power is known.
public struct PowerTarget: Hashable, Sendable {
    public var id: HostID
    public var name: String
    public init(id: HostID, name: String) {
        self.id = id
        self.name = name
    }
}

public enum PowerState: String, Hashable, Sendable { case on, off }

/// The seam to the hosts' power: what makes sure that a host runs nothing.
///
/// Every verb may be called again at any time and has a deadline. `ensureOff` returns only when the host has been *seen* off: whoever gets
/// an error knows nothing, neither that it is on nor that it is off.
public protocol PowerDriver: Sendable {
    func ensureOff(_ host: PowerTarget) async throws(Refusal)
    func ensureOn(_ host: PowerTarget) async throws(Refusal)
    func state(of host: PowerTarget) async throws(Refusal) -> PowerState
}
