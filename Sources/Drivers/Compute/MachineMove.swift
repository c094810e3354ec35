public import Fleet
public import Primitives

// A machine that goes from one host to another while it runs: what a driver can do about it. The order of things is `MoveDecision`'s.

/// Files by which two hypervisors know each other: `ca-cert.pem`, and `server-…` and `client-cert.pem` and `-key.pem`.
public struct MoveCredentials: Codable, Sendable, Hashable {
    public var folder: String
    public init(folder: String) { self.folder = folder }

    /// Writes the files, in place of those of a certificate before.
    /// - Parameter chainPEM: the certificate, then the authorities above it without the root.
    public func write(rootPEM: String, chainPEM: String, keyPEM: String) async throws(Refusal) {
        let folder = folder
        try await Blocking.run { () throws(Refusal) in
            try Files.makeDirectory(folder)
            // The hypervisor checks the certificate itself against the authorities, without what stands between them in the chain.
            let end = "-----END CERTIFICATE-----\n"
            let authorities = chainPEM.firstRange(of: end).map { String(chainPEM[$0.upperBound...]) } ?? ""
            try Files.write(Array((rootPEM + "\n" + authorities).utf8), to: folder + "/ca-cert.pem")
            for side in ["server", "client"] {
                try Files.write(Array(chainPEM.utf8), to: "\(folder)/\(side)-cert.pem")
                try Files.write(Array(keyPEM.utf8), to: "\(folder)/\(side)-key.pem")
            }
        }
    }
}

/// How a machine is to be received.
public struct MoveReception: Sendable, Hashable {
    public var attempt: Int64
    /// Where to listen; the first free port.
    public var address: String
    public var ports: ClosedRange<Int>
    public var credentials: MoveCredentials
    /// Host and exchange in the certificate of the only one that may send.
    public var sender: MoveSender

    public init(attempt: Int64, address: String, ports: ClosedRange<Int>, credentials: MoveCredentials, sender: MoveSender) {
        self.attempt = attempt
        self.address = address
        self.ports = ports
        self.credentials = credentials
        self.sender = sender
    }
}

/// The subject of a node's certificate.
public struct MoveSender: Sendable, Hashable {
    public var host: HostID
    public var exchange: String
    public init(host: HostID, exchange: String) {
        self.host = host
        self.exchange = exchange
    }

    /// As a distinguished name. Versions of GnuTLS differ in the order of its parts.
    var names: [String] { ["O=\(exchange),CN=\(host)", "CN=\(host),O=\(exchange)"] }
}

/// How a machine is to be sent.
public struct MoveSending: Sendable, Hashable {
    public var attempt: Int64
    /// `address:port`
    public var endpoint: String
    public var credentials: MoveCredentials
    /// Host name that the receiver's certificate must have.
    public var receiver: String
    public var bandwidthMiB: Int64
    /// The longest that the guest may stand still at the end.
    public var downtimeMilliseconds: Int64

    public init(
        attempt: Int64, endpoint: String, credentials: MoveCredentials, receiver: String, bandwidthMiB: Int64, downtimeMilliseconds: Int64
    ) {
        self.attempt = attempt
        self.endpoint = endpoint
        self.credentials = credentials
        self.receiver = receiver
        self.bandwidthMiB = bandwidthMiB
        self.downtimeMilliseconds = downtimeMilliseconds
    }
}

public struct MoveStatus: Sendable, Hashable {
    public var sight: MoveSight
    /// Where a machine is waited for.
    public var port: Int?
    public var progress: LiveMove.Progress?
    /// What the hypervisor says went wrong.
    public var failure: String?

    public init(sight: MoveSight, port: Int? = nil, progress: LiveMove.Progress? = nil, failure: String? = nil) {
        self.sight = sight
        self.port = port
        self.progress = progress
        self.failure = failure
    }
}

/// Moving machines that run. Each call is idempotent and has a deadline of its own; what is laid down outlives driver and host.
public protocol MachineMover: Sendable {
    /// What two hosts must have in common for a machine to go from one to the other while it runs; nil: not known yet.
    var movePlatform: String? { get async }

    func moveStatus(_ instance: InstanceID) async throws(Refusal) -> MoveStatus

    // MARK: The target

    /// Makes a machine that waits for another's memory. It does not run, whatever arrives, before `take`.
    func beginReceiving(_ machine: MachineSpec, _ reception: MoveReception) async throws(Refusal)

    /// Lays down that the machine is this host's, then lets it run. Refuses before everything has arrived.
    @discardableResult func take(_ instance: InstanceID, attempt: Int64) async throws(Refusal) -> MachineObservation

    /// Lays down that what may have arrived never runs here, and removes it. Refuses when it was taken.
    func layDownVoid(_ instance: InstanceID, attempt: Int64) async throws(Refusal)

    // MARK: The source

    func beginSending(_ instance: InstanceID, _ sending: MoveSending) async throws(Refusal)

    /// Stops sending unless everything has been sent. The machine runs on.
    func cancelSending(_ instance: InstanceID) async throws(Refusal)

    /// Lays down that the machine is not sent in this attempt any more. Refuses while it is, or when it has been.
    func layDownStaying(_ instance: InstanceID, attempt: Int64) async throws(Refusal)

    /// The target is void: a machine that was sent runs on here. A run begins; the one before ended when everything was sent.
    func resume(_ instance: InstanceID, attempt: Int64) async throws(Refusal)
}

/// What is kept of a machine's latest part in a move.
struct MoveRecord: Codable, Sendable, Hashable {
    enum Part: String, Codable, Sendable { case source, target }
    var attempt: Int64
    var part: Part
    var ruling: MoveSight.Ruling?
    var port: Int?
}

extension MachineMover {
    static func moveConflict(_ instance: InstanceID, _ why: String) -> Refusal {
        Refusal("compute.move", .conflict, "machine \(instance) \(why)", facts: ["instance": .text("\(instance)")])
    }
}
