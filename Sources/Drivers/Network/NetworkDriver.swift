public import Primitives

/// One machine's place in the host network.
public struct NetworkPort: Codable, Sendable, Hashable {
    public var instance: InstanceID
    /// Six hexadecimal pairs, lower case, separated by colons.
    public var macAddress: String
    public var address: IPv4Address
    /// Told to the guest by DHCP and to other guests by DNS; a label of letters, digits and dashes.
    public var hostName: String

    public init(instance: InstanceID, macAddress: String, address: IPv4Address, hostName: String) {
        self.instance = instance
        self.macAddress = macAddress
        self.address = address
        self.hostName = hostName
    }
}

/// The network of the machines on one host. Real: `LinuxBridgeNetwork`. Simulated: `SimulatedNetwork`.
public protocol NetworkDriver: Sendable {
    /// The network itself, with the ports permitted before. Running machines notice nothing.
    func ensureNetwork() async throws(Refusal)

    /// The machine's network device, made unless it is there. Nothing passes through it before `permit`. Its name.
    func ensurePort(_ port: NetworkPort) async throws(Refusal) -> String

    /// Lets the machine use its own addresses, and no others, and gives them to it by DHCP.
    func permit(_ port: NetworkPort) async throws(Refusal)

    func ensurePortAbsent(_ instance: InstanceID) async throws(Refusal)

    /// The ports permitted now.
    func ports() async throws(Refusal) -> [NetworkPort]

    /// Takes everything away that this driver made, and nothing else.
    func teardown() async throws(Refusal)
}
