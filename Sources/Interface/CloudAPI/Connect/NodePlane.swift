public import Primitives

/// One-time token for a node; `bourse node serve --token` takes it.
public struct CreateNodeEnrolment: Codable, Sendable {
    /// Name of the pod the host joins; the datacenter's first pod when absent.
    public var pod: String?
    /// Name of the declared host that the node is for; any when absent.
    public var host: String?
    public init(pod: String? = nil, host: String? = nil) {
        self.pod = pod
        self.host = host
    }
}

/// A node introduces itself, at every start and whenever its hardware changes.
public struct NodeHello: Codable, Sendable {
    public var hostName: String
    /// The hardware, before oversubscription.
    public var capacity: Resources
    public var hypervisor: String
    public var agentVersion: String
    /// The network its guests live in, `address/prefix`; the address is the gateway's.
    public var guestNetwork: String
    /// Where it stands, as far as the node was told; counts when it joins first.
    public var rack: String?
    /// Fault domains beside those of its rack.
    public var domains: [String]?
    public var inventory: HostInventoryView?
    /// It holds a lease on its pod's storage, and stops its guests when it cannot renew that.
    public var holdsLease: Bool?
    /// Where other hosts send packets of networks that they share, an IPv4 address; absent: this host takes part in none.
    public var tunnelAddress: String?
    /// Bytes of a packet that the network between the hosts carries; 1500 when absent.
    public var tunnelMTU: Int64?
    /// Absent: its machines do not move while they run.
    public var moves: MoveOffer?
    public init(
        hostName: String, capacity: Resources, hypervisor: String, agentVersion: String, guestNetwork: String, rack: String? = nil,
        domains: [String]? = nil, inventory: HostInventoryView? = nil, holdsLease: Bool? = nil, tunnelAddress: String? = nil,
        tunnelMTU: Int64? = nil, moves: MoveOffer? = nil
    ) {
        self.hostName = hostName
        self.capacity = capacity
        self.hypervisor = hypervisor
        self.agentVersion = agentVersion
        self.guestNetwork = guestNetwork
        self.rack = rack
        self.domains = domains
        self.inventory = inventory
        self.holdsLease = holdsLease
        self.tunnelAddress = tunnelAddress
        self.tunnelMTU = tunnelMTU
        self.moves = moves
    }
}

public struct NodeWelcome: Codable, Sendable {
    public var host: HostID
    public var region: String
    public var zone: String
    /// Seconds between heartbeats when nothing else is to report.
    public var heartbeatSeconds: Int64
    /// Largest stretch of time in one meter reading.
    public var meterSeconds: Int64
    /// The highest meter sequence connect has stored for this host.
    public var meterSequence: Int64
    /// The host's fencing token, to be said in every report. Absent: 0.
    public var epoch: Int64?
    /// Other hosts reach the disks of this host's instances: after a start, nothing is launched before connect has said what is still here.
    public var sharesStorage: Bool?
    public init(
        host: HostID, region: String, zone: String, heartbeatSeconds: Int64, meterSeconds: Int64, meterSequence: Int64, epoch: Int64? = nil,
        sharesStorage: Bool? = nil
    ) {
        self.host = host
        self.region = region
        self.zone = zone
        self.heartbeatSeconds = heartbeatSeconds
        self.meterSeconds = meterSeconds
        self.meterSequence = meterSequence
        self.epoch = epoch
        self.sharesStorage = sharesStorage
    }
}

public enum DesiredState: String, Codable, Sendable, CaseIterable { case running, stopped, absent }

/// A file of an image, named by its content.
public struct ImageFile: Codable, Sendable, Hashable {
    public enum Part: String, Codable, Sendable, CaseIterable { case kernel, initrd, disk }
    public var part: Part
    /// SHA-256, hexadecimal.
    public var sha256: String
    public var bytes: Int64
    public init(part: Part, sha256: String, bytes: Int64) {
        self.part = part
        self.sha256 = sha256
        self.bytes = bytes
    }
}

public struct ImageManifest: Codable, Sendable, Hashable {
    public var id: ImageID
    public var name: String
    public var files: [ImageFile]
    /// Kernel command line, when there is a kernel.
    public var commandLine: String?
    public var minimumMemoryMiB: Int64
    public var virtualSizeMiB: Int64
    public init(id: ImageID, name: String, files: [ImageFile], commandLine: String?, minimumMemoryMiB: Int64, virtualSizeMiB: Int64) {
        self.id = id
        self.name = name
        self.files = files
        self.commandLine = commandLine
        self.minimumMemoryMiB = minimumMemoryMiB
        self.virtualSizeMiB = virtualSizeMiB
    }
}

/// What connect wants of one instance on one host. The node drives the world there and refuses older generations.
public struct InstanceIntent: Codable, Sendable, Hashable {
    public var instance: InstanceID
    public var generation: Int64
    public var desired: DesiredState
    /// Goes up by one for each reboot asked for.
    public var reboots: Int64
    /// Seconds the guest gets to shut down before it is switched off; 0 switches off at once.
    public var graceSeconds: Int64
    public var contract: ContractID
    public var account: AccountID
    public var reservation: ReservationID
    public var launchIndex: Int64
    public var offering: String
    public var resources: Resources
    public var image: ImageManifest
    public var address: String
    public var macAddress: String
    public var hostName: String
    public var keys: [SSHKey]
    /// Base64.
    public var userData: String?
    public var tags: [String: String]
    /// With `absent`: it goes on elsewhere, and its disk stays.
    public var keepsDisk: Bool?
    /// When it is taken away; told to the guest.
    public var interruption: Instant?
    /// It may be taken away at two minutes' notice.
    public var interruptible: Bool?
    /// The tenant's network it is on; absent: the host's own.
    public var network: NetworkID?
    /// Whose it is, as 16 hexadecimal digits: on the host's own network, instances reach those of the same owner only. Absent: of nobody
    /// known, and reaches no other instance.
    public var owner: String?
    /// The NUMA cell that its processors and memory are from: the place in order of the cells its host has told of; absent: from any.
    public var cell: Int64?
    /// Places of the GPUs it has to itself or shares, in the order of `HostInventoryView.placedGPUs`; absent: none.
    public var gpus: [Int64]?
    /// It is on its way to this host or from it, and running all the time: nothing else is done about it.
    public var move: MoveIntent?
    public init(
        instance: InstanceID, generation: Int64, desired: DesiredState, reboots: Int64, graceSeconds: Int64, contract: ContractID,
        account: AccountID, reservation: ReservationID, launchIndex: Int64, offering: String, resources: Resources, image: ImageManifest,
        address: String, macAddress: String, hostName: String, keys: [SSHKey], userData: String?, tags: [String: String],
        keepsDisk: Bool? = nil, interruption: Instant? = nil, interruptible: Bool? = nil, network: NetworkID? = nil,
        owner: String? = nil, cell: Int64? = nil, gpus: [Int64]? = nil, move: MoveIntent? = nil
    ) {
        self.instance = instance
        self.generation = generation
        self.desired = desired
        self.reboots = reboots
        self.graceSeconds = graceSeconds
        self.contract = contract
        self.account = account
        self.reservation = reservation
        self.launchIndex = launchIndex
        self.offering = offering
        self.resources = resources
        self.image = image
        self.address = address
        self.macAddress = macAddress
        self.hostName = hostName
        self.keys = keys
        self.userData = userData
        self.tags = tags
        self.keepsDisk = keepsDisk
        self.interruption = interruption
        self.interruptible = interruptible
        self.network = network
        self.owner = owner
        self.cell = cell
        self.gpus = gpus
        self.move = move
    }
}

/// Intents that changed after the revision asked for. `full`: these are all of this host's instances, volumes and networks, others are none of its
/// business.
public struct IntentPage: Codable, Sendable {
    public var revision: Int64
    public var full: Bool
    public var intents: [InstanceIntent]
    /// Absent when there are none.
    public var volumes: [VolumeIntent]?
    /// Absent when there are none. Those an instance is on come no later than the instance.
    public var networks: [NetworkIntent]?
    public init(
        revision: Int64, full: Bool, intents: [InstanceIntent], volumes: [VolumeIntent]? = nil, networks: [NetworkIntent]? = nil
    ) {
        self.revision = revision
        self.full = full
        self.intents = intents
        self.volumes = volumes
        self.networks = networks
    }

    public var isEmpty: Bool { intents.isEmpty && volumes?.isEmpty ?? true && networks?.isEmpty ?? true }
}

public enum ObservedState: String, Codable, Sendable, CaseIterable {
    /// Nothing of it is left on the host.
    case absent
    /// Being made ready, or being taken away.
    case preparing
    case running, stopping, stopped
    /// The node gave up for now; `reason` says why. It goes on trying where that can help.
    case failed
}

public struct InstanceObservation: Codable, Sendable, Hashable {
    public var instance: InstanceID
    /// The generation the node was driving towards when it saw this.
    public var generation: Int64
    public var state: ObservedState
    public var reason: StateReason?
    /// When the hypervisor process that runs now was started.
    public var executed: Instant?
    public var at: Instant
    /// Of its part in a live move.
    public var move: MoveReport?
    public init(
        instance: InstanceID, generation: Int64, state: ObservedState, reason: StateReason?, executed: Instant?, at: Instant,
        move: MoveReport? = nil
    ) {
        self.instance = instance
        self.generation = generation
        self.state = state
        self.reason = reason
        self.executed = executed
        self.at = at
        self.move = move
    }
}

public struct NodeReport: Codable, Sendable {
    public var at: Instant
    public var observations: [InstanceObservation]
    /// In order of sequence, without gaps.
    public var meters: [MeterReading]
    public var consoles: [ConsoleView]
    /// Of everything settled on the host, by which connect finds out that something never reached it.
    public var settled: SettledDigest?
    /// The fencing token the host was welcomed under. Absent: 0.
    public var epoch: Int64?
    /// Absent when there is nothing to tell of any.
    public var volumes: [VolumeObservation]?
    /// Absent when there is nothing to tell of any.
    public var networks: [NetworkObservation]?
    /// Twice a minute or so.
    public var load: HostLoadReport?
    public init(
        at: Instant, observations: [InstanceObservation], meters: [MeterReading], consoles: [ConsoleView], settled: SettledDigest? = nil,
        epoch: Int64? = nil, volumes: [VolumeObservation]? = nil, networks: [NetworkObservation]? = nil, load: HostLoadReport? = nil
    ) {
        self.at = at
        self.observations = observations
        self.meters = meters
        self.consoles = consoles
        self.settled = settled
        self.epoch = epoch
        self.volumes = volumes
        self.networks = networks
        self.load = load
    }
}

/// A digest of the instances of a host that are as they should be: running or stopped, at a generation.
public struct SettledDigest: Codable, Sendable, Hashable {
    public var instances: Int64
    /// The wrapping sum of a mix of (identifier, generation, 1 for running or 2 for stopped) of each, in 16 hexadecimal digits.
    public var sum: String
    public init(_ digest: SetDigest) {
        instances = digest.count
        sum = digest.text
    }
}

public struct NodeReportAnswer: Codable, Sendable {
    /// Readings up to this sequence are stored; the node may forget them.
    public var meterSequence: Int64
    /// Connect may have missed something: all observations are to be told again.
    public var tellAll: Bool?
    public init(meterSequence: Int64, tellAll: Bool? = nil) {
        self.meterSequence = meterSequence
        self.tellAll = tellAll
    }
}

extension ConnectAPI {
    public static let createNodeEnrolment = Endpoint(
        "createNodeEnrolment", .post, "/v1/node-enrolments", "Make a one-time enrolment token for a node.", access: [.operator],
        success: 201,
        request: CreateNodeEnrolment.self, response: EnrolmentView.self)
    /// The same as the exchange's own: nodes know nobody else.
    public static let authority = Endpoint(
        "authority", .get, "/v1/authority", "Name and root certificate of the exchange this datacenter delivers to.", access: [.anyone],
        request: Empty.self, response: AuthorityView.self)
    /// On connect's public listener; connect has the exchange sign the request.
    public static let enrolNode = Endpoint(
        "enrolNode", .post, "/v1/enrol", "Exchange a one-time token and a signing request for a node's identity.", access: [.anyone],
        success: 201, request: Enrol.self, response: IdentityView.self)
    public static let renewNode = Endpoint(
        "renewNode", .post, "/v1/node/renew", "A new certificate for the node that asks.", access: [.node], success: 201,
        request: RenewIdentity.self, response: IdentityView.self)
    public static let hello = Endpoint(
        "sayHello", .post, "/v1/node/hello", "A node introduces itself.", access: [.node], request: NodeHello.self,
        response: NodeWelcome.self)
    public static let intents = Endpoint(
        "listIntents", .get, "/v1/node/intents", "What this host should run; waits for the next change when asked to.", access: [.node],
        query: QueryParameter.feed, request: Empty.self, response: IntentPage.self)
    public static let report = Endpoint(
        "postReport", .post, "/v1/node/reports", "Observations, meter readings and consoles.", access: [.node], request: NodeReport.self,
        response: NodeReportAnswer.self)
    /// Path of an image file's bytes, `GET` on the peer listener, with `Range` support.
    public static func imageFilePath(sha256: String) -> String { "/v1/node/image-files/\(sha256)" }
}
