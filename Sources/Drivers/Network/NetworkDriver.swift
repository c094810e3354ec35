public import Primitives

/// One machine's place in a network: the host's own, or a tenant's.
public struct NetworkPort: Codable, Sendable, Hashable {
    public var instance: InstanceID
    /// Six hexadecimal pairs, lower case, separated by colons.
    public var macAddress: String
    public var address: IPv4Address
    /// Told to the guest by DHCP and to other guests by DNS; a label of letters, digits and dashes.
    public var hostName: String
    /// Nil: the host's own.
    public var network: NetworkID?
    /// Whose it is, 16 hexadecimal digits: on the host's own network machines reach those of the same owner; without one, no other.
    public var owner: String?

    public init(
        instance: InstanceID, macAddress: String, address: IPv4Address, hostName: String, network: NetworkID? = nil, owner: String? = nil
    ) {
        self.instance = instance
        self.macAddress = macAddress
        self.address = address
        self.hostName = hostName
        self.network = network
        self.owner = owner
    }
}

/// The networks of the machines on one host: its own, and those of tenants. Real: `LinuxBridgeNetwork`. Simulated: `SimulatedNetwork`.
public protocol NetworkDriver: Sendable {
    /// The host's own network, with the ports permitted before. Running machines notice nothing.
    func ensureNetwork() async throws(Refusal)

    /// A tenant's network, as described from now on. Running machines notice nothing. Where its metadata service is to listen.
    @discardableResult func ensure(_ network: TenantNetwork) async throws(Refusal) -> MetadataPlace

    /// Refuses while a machine has a port on it.
    func ensureAbsent(_ network: NetworkID) async throws(Refusal)

    /// Those of tenants that are here.
    func networks() async throws(Refusal) -> [TenantNetwork]

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
