package import Primitives

/// What a node needs to know to start.
package struct NodeConfiguration: Sendable {
    package var dataDirectory: String
    package var databaseURL: String
    /// Connect's public listener; used to enrol.
    package var connectURL: String
    package var enrolmentToken: String?
    /// For the status page.
    package var operatorToken: String?
    /// Shown to operators; the host's own name when nil.
    package var hostName: String?
    /// Where health, metrics and the status page are served.
    package var host = "127.0.0.1"
    package var port = 7430

    package var bridge = "bourse0"
    /// The guests' network; the address is the gateway's, on the bridge.
    package var guestNetwork = "10.77.0.1/16"
    /// Port on the gateway address that answers for 169.254.169.254:80.
    package var metadataPort = 7431
    /// Address the metadata service listens on; the gateway's when nil.
    package var metadataHost: String?
    /// Network namespace guests live in (name below /run/netns); nil is the node's own.
    package var namespace: String?

    /// What the host offers; measured when nil.
    package var capacity: Resources?
    /// Where it stands, for connect, when it joins first: its rack, and fault domains beside the rack's.
    package var rack: String?
    package var domains: [String] = []
    /// Below which the kernel's files are found.
    package var hardwareRoot = "/"
    /// Memory the host keeps for itself when capacity is measured.
    package var reservedMemoryMiB: Int64 = 2_048
    /// Where volumes are kept: a folder that all hosts of a pod share (NAS); in the data directory when nil (DAS).
    package var volumeDirectory: String?
    /// Where root disks and images are kept: a folder that all hosts of a pod share (NAS), at the same path; in the data directory when nil.
    package var storageDirectory: String?
    /// Address at which other hosts reach this one for machines that move while they run; the one towards connect when nil.
    package var moveAddress: String?
    /// Disk no new guest or image may take, so that running guests can write.
    package var reservedDiskMiB: Int64 = 1_024
    /// Largest stretch of a meter reading in seconds; connect's word when nil.
    package var meterSeconds: Int64?

    /// Seconds between two tellings of how busy the host and its machines are.
    package var loadSeconds: Int64 = 30

    /// On the storage that the pod's hosts share: where they hold their leases. Nil: this host holds none.
    package var leaseDirectory: String?
    /// How long the host may go on writing after a renewal of its lease.
    package var leaseMilliseconds: Int64 = 30_000
    /// Device that resets the host when its node hangs, e.g. `/dev/watchdog`; without one a lease that runs out proves nothing.
    package var watchdog: String?

    package init(dataDirectory: String, databaseURL: String, connectURL: String) {
        self.dataDirectory = dataDirectory
        self.databaseURL = databaseURL
        self.connectURL = connectURL
    }
}
