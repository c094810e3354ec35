import ArgumentParser
import Manage
import ServiceKit

struct ManageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manage", abstract: "The buyer's side: self-service, sourcing, charges.", subcommands: [Serve.self])

    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run a manage.")
        @OptionGroup var options: ServeOptions
        @Option(help: "URL of the exchange's public listener.") var exchange: String
        @Option(help: "The region the EC2 API speaks for.") var region: String
        @Option(help: "Port for the web page and the JSON API.") var port = 7410
        @Option(help: "Port of the EC2 API.") var ec2Port = 7411
        @Option(help: "Seconds after which a contract without machines is not rolled again.") var idleContract: Int64 = 300

        func run() async throws {
            let logger = try options.prepare("manage")
            var configuration = ManageConfiguration(
                dataDirectory: options.data, databaseURL: options.databaseURL("manage"), exchangeURL: exchange, region: region)
            configuration.enrolmentToken = options.enrolmentSecret
            configuration.operatorToken = options.operatorSecret
            configuration.host = options.host
            configuration.publicName = options.publicName
            configuration.publicPort = port
            configuration.ec2Port = ec2Port
            configuration.idleContractSeconds = idleContract
            let settled = configuration
            try await explained { try await Program.run(ManageService(settled, logger: logger).services, logger: logger) }
        }
    }
}
