import ArgumentParser
import Connect
import Drivers
import Fleet
import ServiceKit

struct ConnectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect", abstract: "The seller's side: the control hub of a datacenter.", subcommands: [Serve.self])

    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run a connect.")
        @OptionGroup var options: ServeOptions
        @Option(help: "URL of the exchange's public listener.") var exchange: String
        @Option(help: "Name of the datacenter.") var name: String
        @Option var region: String
        @Option var zone: String
        @Option(help: "Port for the operator and for nodes that enrol.") var port = 7420
        @Option(help: "Port for buyers and nodes, with certificates.") var peerPort = 7421
        @Option(help: "host:port that buyers and nodes dial; --host and --peer-port when absent.") var advertise: String?
        @Option(help: "vCPU promised for each hardware thread, in thousandths.") var cpuOversubscription: Int64 = 8_000
        @Option(help: "Memory promised, in thousandths of what is there.") var memoryOversubscription: Int64 = 1_000
        @Option(help: "Disk promised, in thousandths of what is there.") var diskOversubscription: Int64 = 2_000
        @Option(help: "Seconds a guest gets to shut down when its contract has ended.") var contractGrace: Int64 = 30
        @Option(help: "Seconds for which disks are kept after a contract's end.") var retention: Int64 = 86_400
        @Option(help: "Longest stretch of one meter reading, in seconds.") var meterInterval: Int64 = 60
        @Option(help: "Command that switches hosts: COMMAND off|on|status NAME ID; status prints on or off.") var powerCommand: String?
        @Option(help: "POD=FOLDER: where the hosts of a pod on shared storage hold their leases; may be said again.")
        var leaseDirectory: [String] = []
        @Option(help: "Seconds of silence after which a host counts as failed.") var hostFail: Int64 = 120
        @Option(help: "Seconds between the announcement to an interruptible machine and its end.") var interruptionNotice: Int64 = 120

        @Option(help: "FIRST-LAST: ports at which hosts wait for machines that move while they run.") var movePorts = "49152-49215"
        @Option(help: "The most that one such move may send, in MiB a second.") var moveBandwidth: Int64 = 1_024
        @Option(help: "Milliseconds for which a machine may stand still at the end of its move.") var moveDowntime: Int64 = 300

        private var ports: ClosedRange<Int> {
            get throws {
                let ends = movePorts.split(separator: "-").compactMap { Int($0) }
                guard ends.count == 2, (1...65_535).contains(ends[0]), (ends[0]...65_535).contains(ends[1]) else {
                    throw ValidationError("'\(movePorts)' is no range of ports, such as 49152-49215.")
                }
                return ends[0]...ends[1]
            }
        }

        func validate() throws {
            _ = try ports
            guard (1...65_536).contains(moveBandwidth), (1...60_000).contains(moveDowntime) else {
                throw ValidationError("A move sends 1 to 65536 MiB a second, and a machine stands still for 1 to 60000 ms.")
            }
        }

        private var leases: [String: any LeaseStore] {
            get throws {
                var leases: [String: any LeaseStore] = [:]
                for text in leaseDirectory {
                    guard let cut = text.firstIndex(of: "="), cut != text.startIndex, text.index(after: cut) != text.endIndex else {
                        throw ValidationError("'\(text)' is not a pod and a folder, such as nas-1=/srv/nas-1/leases.")
                    }
                    leases[String(text[..<cut])] = FileLeases(directory: String(text[text.index(after: cut)...]))
                }
                return leases
            }
        }

        func run() async throws {
            HeapSettings.manyConnections()
            let logger = try options.prepare("connect")
            var configuration = ConnectConfiguration(
                dataDirectory: options.data, databaseURL: options.databaseURL("connect"), exchangeURL: exchange, name: name, region: region,
                zone: zone)
            configuration.enrolmentToken = options.enrolmentSecret
            configuration.operatorToken = options.operatorSecret
            configuration.host = options.host
            configuration.publicName = options.publicName
            configuration.publicPort = port
            configuration.peerPort = peerPort
            configuration.advertisedPeerAddress = advertise
            configuration.oversubscription = Oversubscription(
                cpu: cpuOversubscription, memory: memoryOversubscription, disk: diskOversubscription)
            configuration.contractGraceSeconds = contractGrace
            configuration.retentionSeconds = retention
            configuration.meterSeconds = meterInterval
            configuration.power = try powerCommand.map { try CommandPower(command: $0) }
            configuration.leases = try leases
            configuration.movePorts = try ports
            configuration.moveBandwidthMiB = moveBandwidth
            configuration.moveDowntimeMilliseconds = moveDowntime
            configuration.hostFailSeconds = hostFail
            configuration.interruptionNoticeSeconds = interruptionNotice
            let settled = configuration
            try await explained { try await Program.run(ConnectService(settled, logger: logger).services, logger: logger) }
        }
    }
}
