public import Primitives

/// What connect knows of an instance's life. The names are EC2's.
public enum InstanceState: String, Codable, Sendable, CaseIterable {
    case pending, running, stopping, stopped
    case shuttingDown = "shutting-down"
    case terminated
}

/// Why an instance is in its state: a stable code and a sentence.
public struct StateReason: Codable, Sendable, Hashable {
    /// e.g. `Server.ContractEnded`, `Client.UserInitiatedShutdown`
    public var code: String
    public var message: String
    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }
}

public struct SSHKey: Codable, Sendable, Hashable {
    public var name: String
    /// OpenSSH public key line.
    public var publicKey: String
    public init(name: String, publicKey: String) {
        self.name = name
        self.publicKey = publicKey
    }
}

/// Why an instance does not get where it should.
public struct StuckView: Codable, Sendable, Hashable {
    public var reason: StateReason
    /// When its deadline passed.
    public var since: Instant
    /// What would help.
    public var nearest: String
    public init(reason: StateReason, since: Instant, nearest: String) {
        self.reason = reason
        self.since = since
        self.nearest = nearest
    }
}

/// A buyer's request for one instance under the contract whose certificate it presents.
public struct CreateInstance: Codable, Sendable {
    /// Chosen by the buyer's manage; the same request sent again is answered with the same instance.
    public var id: InstanceID
    public var image: ImageID
    /// Name of the offering, shown to the guest as its instance type.
    public var offering: String
    public var resources: Resources
    public var keys: [SSHKey]
    /// Base64.
    public var userData: String?
    public var reservation: ReservationID
    /// Index of this instance in its launch request.
    public var launchIndex: Int64
    /// How many instances that request launched; when absent, as many as the index tells of.
    public var launchCount: Int64?
    /// The buyer's account, shown to the guest.
    public var account: AccountID
    public var tags: [String: String]
    public var zone: String?
    /// Volumes it is to have attached later: it is placed where that is possible.
    public var volumes: [VolumeID]?
    /// The buyer's and account's network it is on; absent: its host's own.
    public var network: NetworkID?
    /// The address it is to have on that network; the lowest that is free when absent.
    public var address: String?
    public var placement: PlacementTerms?
    /// Whether a firm instance that finds no host gives interruptible ones notice that are in its way; yes when absent.
    public var preempt: Bool?
    /// It may be taken away with two minutes' notice when firm contracts need the room: `placement.firmness` in short. Always so when its
    /// contract's product is interruptible.
    public var interruptible: Bool?
    /// Which instances of a failed host start elsewhere first, 0 to 100, higher first; 50 when absent.
    public var restartPriority: Int64?
    public init(
        id: InstanceID, image: ImageID, offering: String, resources: Resources, keys: [SSHKey], userData: String?,
        reservation: ReservationID,
        launchIndex: Int64, account: AccountID, tags: [String: String], zone: String?, interruptible: Bool? = nil,
        restartPriority: Int64? = nil, placement: PlacementTerms? = nil, preempt: Bool? = nil, volumes: [VolumeID]? = nil,
        network: NetworkID? = nil, address: String? = nil, launchCount: Int64? = nil
    ) {
        self.id = id
        self.image = image
        self.offering = offering
        self.resources = resources
        self.keys = keys
        self.userData = userData
        self.reservation = reservation
        self.launchIndex = launchIndex
        self.launchCount = launchCount
        self.account = account
        self.tags = tags
        self.zone = zone
        self.placement = placement
        self.preempt = preempt
        self.interruptible = interruptible
        self.restartPriority = restartPriority
        self.volumes = volumes
        self.network = network
        self.address = address
    }
}

public struct InstanceView: Codable, Sendable {
    public var id: InstanceID
    public var contract: ContractID
    public var state: InstanceState
    public var reason: StateReason?
    /// Counts intents; goes up with every accepted change.
    public var generation: Int64
    public var image: ImageID
    public var offering: String
    public var resources: Resources
    public var zone: String
    public var host: HostID?
    public var hostName: String?
    public var privateAddress: String?
    /// The network that the private address is on; absent: its host's own.
    public var network: NetworkID?
    public var macAddress: String?
    public var accepted: Instant
    /// When the hypervisor process was started, as the node saw it.
    public var executed: Instant?
    public var stateChanged: Instant
    /// The terms it is under, those of the product among them; names as identifiers.
    public var placement: PlacementTerms?
    /// Numbers of the host's GPUs it has.
    public var gpus: [Int64]?
    /// The NUMA cell it is bound to.
    public var cell: Int64?
    /// Absent: it is where it should be, or on its way in time.
    public var stuck: StuckView?
    /// When it is taken away for firm contracts; absent: not announced.
    public var interruption: Instant?
    public init(
        id: InstanceID, contract: ContractID, state: InstanceState, reason: StateReason?, generation: Int64, image: ImageID,
        offering: String,
        resources: Resources, zone: String, host: HostID?, hostName: String?, privateAddress: String?, macAddress: String?,
        accepted: Instant,
        executed: Instant?, stateChanged: Instant, stuck: StuckView? = nil, interruption: Instant? = nil,
        placement: PlacementTerms? = nil, gpus: [Int64]? = nil, cell: Int64? = nil, network: NetworkID? = nil
    ) {
        self.id = id
        self.contract = contract
        self.state = state
        self.reason = reason
        self.generation = generation
        self.image = image
        self.offering = offering
        self.resources = resources
        self.zone = zone
        self.host = host
        self.hostName = hostName
        self.privateAddress = privateAddress
        self.macAddress = macAddress
        self.accepted = accepted
        self.executed = executed
        self.stateChanged = stateChanged
        self.placement = placement
        self.gpus = gpus
        self.cell = cell
        self.stuck = stuck
        self.interruption = interruption
        self.network = network
    }
}

public enum InstanceAction: String, Codable, Sendable, CaseIterable { case start, stop, reboot, terminate }

public struct ActOnInstance: Codable, Sendable {
    public var action: InstanceAction
    /// For `stop`: do not wait for the guest.
    public var force: Bool?
    public init(action: InstanceAction, force: Bool? = nil) {
        self.action = action
        self.force = force
    }
}

/// The end of the guest's serial console.
public struct ConsoleView: Codable, Sendable {
    public var instance: InstanceID
    /// Base64, 64 KiB at most.
    public var output: String
    public var at: Instant
    public init(instance: InstanceID, output: String, at: Instant) {
        self.instance = instance
        self.output = output
        self.at = at
    }
}

extension ConnectAPI {
    public static let createInstance = Endpoint(
        "createInstance", .post, "/v1/instances", "Run an instance under this contract.", access: [.buyer], success: 202,
        request: CreateInstance.self, response: InstanceView.self)
    public static let listInstances = Endpoint(
        "listInstances", .get, "/v1/instances", "Instances of this contract; the operator sees all.", access: [.buyer, .operator],
        query: QueryParameter.paging + [
            QueryParameter("stuck", .boolean, "Only instances that are stuck or wait for a failed host."),
            QueryParameter("host", .string, "Only those that are on this host now, by identifier or name; for the operator."),
        ],
        request: Empty.self, response: Page<InstanceView>.self)
    public static let retryInstance = Endpoint(
        "retryInstance", .post, "/v1/instances/{instance}/retry", "Ask the host of a stuck instance again.", access: [.operator],
        success: 202, request: Empty.self, response: InstanceView.self)
    public static let showInstance = Endpoint(
        "showInstance", .get, "/v1/instances/{instance}", "One instance.", access: [.buyer, .operator], request: Empty.self,
        response: InstanceView.self)
    public static let actOnInstance = Endpoint(
        "actOnInstance", .post, "/v1/instances/{instance}/actions", "Start, stop, reboot or terminate an instance.",
        access: [.buyer, .operator],
        success: 202, request: ActOnInstance.self, response: InstanceView.self)
    public static let console = Endpoint(
        "showConsole", .get, "/v1/instances/{instance}/console", "The end of the serial console.", access: [.buyer, .operator],
        request: Empty.self, response: ConsoleView.self)
    public static let contractChanges = Endpoint(
        "listContractChanges", .get, "/v1/changes", "Change feed of this contract; the operator sees all.", access: [.buyer, .operator],
        query: QueryParameter.feed, request: Empty.self, response: ChangePage.self)
}
