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
        @Option(help: "Seconds of silence after which a host counts as failed.") var hostFail: Int64 = 120
        @Option(help: "Seconds between the announcement to an interruptible machine and its end.") var interruptionNotice: Int64 = 120

        func run() async throws {
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
            configuration.hostFailSeconds = hostFail
            configuration.interruptionNoticeSeconds = interruptionNotice
            let settled = configuration
            try await explained { try await Program.run(ConnectService(settled, logger: logger).services, logger: logger) }
        }
    }
}
