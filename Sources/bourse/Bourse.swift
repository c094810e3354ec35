import ArgumentParser

/// The one executable: every program of the cloud, the cloud on this machine, and the client of all of it.
@main
struct Bourse: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bourse", abstract: "An IaaS cloud exchange with the cloud control system on both sides of it.",
        discussion: """
            Start with `bourse up`: it runs a whole market on this machine. `bourse status` shows what runs, `bourse env` prints \
            what clients need. The client commands take `-o json` for programs.
            """,
        subcommands: [],
        groupedSubcommands: [
            CommandGroup(name: "This machine", subcommands: [Up.self, Down.self, Status.self, PrintEnvironment.self]),
            CommandGroup(
                name: "Programs",
                subcommands: [ExchangeCommand.self, ManageCommand.self, ConnectCommand.self, NodeCommand.self, SimulateCommand.self]),
            CommandGroup(
                name: "Market",
                subcommands: [
                    ParticipantCommand.self, EnrolmentCommand.self, ProductCommand.self, SeriesCommand.self, QuoteCommand.self,
                    BookCommand.self,
                    OrderCommand.self,
                    TradeCommand.self,
                    ContractCommand.self, DisputeCommand.self, LedgerCommand.self,
                    StatementCommand.self, DocumentCommand.self, DatacenterCommand.self, SurveillanceCommand.self, AuditCommand.self,
                ]),
            CommandGroup(
                name: "Cloud",
                subcommands: [
                    InstanceCommand.self, VolumeCommand.self, NetworkCommand.self, ImageCommand.self, OfferingCommand.self, KeyCommand.self,
                    AccountCommand.self,
                    ChargeCommand.self,
                    TopologyCommand.self, ZoneCommand.self, FaultDomainCommand.self, PodCommand.self, RackCommand.self, HostCommand.self,
                    PlacementCommand.self, CapacityCommand.self, AskCommand.self,
                ]),
            CommandGroup(name: "Shell", subcommands: [Completion.self, OpenAPICommand.self]),
        ])
}

/// Prints a completion script for a shell.
struct Completion: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a completion script: bourse completion bash > /etc/bash_completion.d/bourse")

    @Argument(help: "bash, zsh or fish")
    var shell: String

    func run() throws {
        guard let shell = CompletionShell(rawValue: shell) else {
            throw ValidationError("'\(shell)' is not a shell completions are made for; use bash, zsh or fish.")
        }
        print(Bourse.completionScript(for: shell))
    }
}
