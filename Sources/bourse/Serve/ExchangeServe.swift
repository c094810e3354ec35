import ArgumentParser
import Exchange
import ServiceKit

struct ExchangeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "exchange", abstract: "The marketplace.", subcommands: [Serve.self])

    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run an exchange.")
        @OptionGroup var options: ServeOptions
        @Option(help: "Name of the exchange, the domain of its certificates: lower-case letters, digits, hyphens.") var name: String
        @Option(help: "Port for people, tokens and programs that enrol.") var port = 7400
        @Option(help: "Port for programs, with certificates.") var peerPort = 7401
        @Option(help: "host:port that programs dial; --host and --peer-port when absent.") var advertise: String?

        func run() async throws {
            let logger = try options.prepare("exchange")
            var configuration = ExchangeConfiguration(
                name: name, dataDirectory: options.data, databaseURL: options.databaseURL("exchange"))
            configuration.operatorToken = options.operatorSecret
            configuration.host = options.host
            configuration.publicName = options.publicName
            configuration.publicPort = port
            configuration.peerPort = peerPort
            configuration.advertisedPeerAddress = advertise
            let settled = configuration
            try await explained { try await Program.run(ExchangeService(settled, logger: logger).services, logger: logger) }
        }
    }
}
