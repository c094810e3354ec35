package import Drivers
package import Fleet
import Primitives
import ServiceKit

/// What a connect needs to know to start. Durations in seconds.
package struct ConnectConfiguration: Sendable {
    package var dataDirectory: String
    package var databaseURL: String
    package var exchangeURL: String
    package var enrolmentToken: String?
    package var operatorToken: String?
    package var name: String
    package var region: String
    package var zone: String
    package var host = "127.0.0.1"
    /// A name or address clients use beside `host`; goes into the certificate.
    package var publicName: String?
    package var publicPort = 7420
    package var peerPort = 7421
    /// Address buyers and nodes dial, `host:port`; made from host and peer port when nil.
    package var advertisedPeerAddress: String?
    package var oversubscription = Oversubscription(cpu: 8_000, memory: 1_000, disk: 2_000)
    /// Time a guest gets to shut down when its contract has ended.
    package var contractGraceSeconds: Int64 = 30
    /// How long the disks of an ended contract are kept.
    package var retentionSeconds: Int64 = 86_400
    /// How long networks without instances are kept whose buyer has no contract any more.
    package var networkRetentionSeconds: Int64 = 30 * 86_400
    package var heartbeatSeconds: Int64 = 5
    package var meterSeconds: Int64 = 60
    /// How long capacity stays set aside for an order of which the exchange knows nothing: longer than any request to it lasts.
    package var pendingSeconds: Int64 = 180
    /// Between two comparisons of what is set aside with all the exchange knows.
    package var comparisonSeconds: Int64 = 60

    /// What switches hosts off that have failed; nil: nothing does, and instances wait until an operator vouches that their host is off.
    package var power: (any PowerDriver)?
    /// Where hosts of a pod hold their leases, by the pod's name; for pods whose storage this connect reaches.
    package var leases: [String: any LeaseStore] = [:]
    /// Silence after which a host counts as failed.
    package var hostFailSeconds: Int64 = 120
    /// Silence after which nothing new goes to a host; six heartbeats when nil.
    package var suspectSeconds: Int64?
    /// A host that came back so often within an hour is quarantined.
    package var flapLimit = 3
    /// Between the announcement to an interruptible instance and its end.
    package var interruptionNoticeSeconds: Int64 = 120

    /// At which hosts wait for machines that move while they run; one port for each at a time.
    package var movePorts = 49_152...49_215
    /// The most that one move may send, in MiB a second.
    package var moveBandwidthMiB: Int64 = 1_024
    /// How long a guest may stand still at the end of its move.
    package var moveDowntimeMilliseconds: Int64 = 300

    package init(dataDirectory: String, databaseURL: String, exchangeURL: String, name: String, region: String, zone: String) {
        self.dataDirectory = dataDirectory
        self.databaseURL = databaseURL
        self.exchangeURL = exchangeURL
        self.name = name
        self.region = region
        self.zone = zone
    }

    func hostPolicy(heartbeatSeconds: Int64) -> HostPolicy {
        let suspect = suspectSeconds ?? heartbeatSeconds * 6
        return HostPolicy(suspectAfter: .seconds(suspect), failAfter: .seconds(max(suspect + 1, hostFailSeconds)), flapLimit: flapLimit)
    }

    var names: [String] {
        let advertised = advertisedPeerAddress.flatMap { address in address.lastIndex(of: ":").map { String(address[..<$0]) } }
        return certificateNames(listeningOn: host, publicName, advertised)
    }
}
