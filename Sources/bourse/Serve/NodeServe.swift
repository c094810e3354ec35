import ArgumentParser
import Logging
import Node
import ServiceKit

struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "The agent on one cloud node.", subcommands: [Serve.self, ShutDown.self])

    /// What serving a host and clearing it have in common.
    struct HostOptions: ParsableArguments {
        @Option(help: "Bridge the guests are on; 15 characters at most.") var bridge = "bourse0"
        @Option(help: "The guests' network; the address is the gateway's.") var guestNetwork = "10.77.0.1/16"
        @Option(help: "Port on the gateway address that answers for 169.254.169.254.") var metadataPort = 7431
        @Option(help: "Network namespace the guests live in.") var namespace: String?
        @Option(help: "Address of this host that others send packets of tenants' networks to; without one it takes part in none.")
        var tunnelAddress: String?
        @Option(name: .customLong("tunnel-mtu"), help: "Bytes of a packet that the network between the hosts carries.")
        var tunnelMTU: Int64 = 1_500

        func apply(to configuration: inout NodeConfiguration) {
            configuration.bridge = bridge
            configuration.guestNetwork = guestNetwork
            configuration.metadataPort = metadataPort
            configuration.namespace = namespace
            configuration.tunnelAddress = tunnelAddress
            configuration.tunnelMTU = tunnelMTU
        }
    }

    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run a node.")
        @OptionGroup var options: ServeOptions
        @OptionGroup var hostOptions: HostOptions
        @Option(help: "URL of connect's public listener.") var connect: String
        @Option(help: "Port for health, metrics and the status page.") var port = 7430
        @Option(help: "Name shown to operators; the host's own when absent.") var name: String?
        @Option(help: "Rack it stands in, when it joins first.") var rack: String?
        @Option(help: "Fault domain beside those of its rack, when it joins first; may be said again.") var faultDomain: [String] = []
        @Option(help: "Folder for volumes that all hosts of the pod share (NAS); a folder of the node's own when absent (DAS).")
        var volumes: String?
        @Option(
            help:
                "Folder for root disks and images that all hosts of the pod share (NAS), at the same path on each; a folder of the node's own when absent (DAS)."
        ) var storage: String?
        @Option(
            help: "Address at which other hosts reach this one for machines that move while they run; the one towards connect when absent."
        ) var moveAddress: String?
        @Option(help: "Longest stretch of one meter reading in seconds; connect's word when absent.") var meterInterval: Int64?

        @Option(help: "Folder on the storage that the pod's hosts share, where they hold their leases.") var leaseDirectory: String?
        @Option(help: "Seconds for which the host may write after a renewal of its lease.") var lease: Int64 = 30
        @Option(help: "Device that resets the host when its node hangs, e.g. /dev/watchdog; without one a lease proves nothing.")
        var watchdog: String?

        func validate() throws {
            guard (5...600).contains(lease) else { throw ValidationError("A lease lasts 5 to 600 seconds, not \(lease).") }
            guard watchdog == nil || leaseDirectory != nil else { throw ValidationError("--watchdog goes with --lease-directory.") }
        }

        func run() async throws {
            let logger = try options.prepare("node")
            var configuration = NodeConfiguration(
                dataDirectory: options.data, databaseURL: options.databaseURL("node"), connectURL: connect)
            configuration.enrolmentToken = options.enrolmentSecret
            configuration.operatorToken = options.operatorSecret
            configuration.hostName = name
            configuration.host = options.host
            configuration.port = port
            configuration.rack = rack
            configuration.domains = faultDomain
            configuration.meterSeconds = meterInterval
            configuration.leaseDirectory = leaseDirectory
            configuration.leaseMilliseconds = lease * 1_000
            configuration.watchdog = watchdog
            configuration.volumeDirectory = volumes
            configuration.storageDirectory = storage
            configuration.moveAddress = moveAddress
            hostOptions.apply(to: &configuration)
            let settled = configuration
            try await explained { try await Program.run(NodeService(settled, logger: logger).services, logger: logger) }
        }
    }

    struct ShutDown: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "shutdown", abstract: "Shut down all guests of a stopped node and remove their network; disks stay.")
        @Option(help: "Folder of the node.") var data: String
        @OptionGroup var hostOptions: HostOptions

        func run() async throws {
            var configuration = NodeConfiguration(dataDirectory: data, databaseURL: "sqlite:\(data)/node.db", connectURL: "")
            hostOptions.apply(to: &configuration)
            let settled = configuration
            var logger = Logger(label: "node")
            logger.logLevel = .warning
            try await explained { try await HostShutdown.run(settled, logger: logger) }
        }
    }
}
