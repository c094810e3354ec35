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
        @Option(help: "Orders, replacements and cancellations a second that one participant may send on average.")
        var commandsPerSecond = FairnessLimits().commandsPerSecond
        @Option(help: "How many of them at once.") var commandBurst = FairnessLimits().burst

        func validate() throws {
            guard (1...1_000_000).contains(commandsPerSecond), (1...1_000_000_000).contains(commandBurst) else {
                throw ValidationError("--commands-per-second is 1 to 1,000,000, --command-burst 1 to 1,000,000,000.")
            }
        }

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
            configuration.fairness.commandsPerSecond = commandsPerSecond
            configuration.fairness.burst = commandBurst
            let settled = configuration
            try await explained { try await Program.run(ExchangeService(settled, logger: logger).services, logger: logger) }
        }
    }
}
