import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

// How a company gets its money, its token and its programs onto the exchange.

extension ParticipantCommand {
    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a bearer token of a participant; it is shown once.",
            discussion: "Whoever has it acts for the company. A participant may make more of its own.")
        @Argument(help: "par-…") var participant: String
        @Option(help: "Whom or what it is for.") var description: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let created = try await Target.exchange.with {
                try await $0.call(
                    ExchangeAPI.createParticipantToken, path: ["participant": participant], body: CreateToken(description: description))
            }
            try output.item(created, [("Token", created.token), ("Known as", created.id.description)])
        }
    }

    struct Deposit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: book money that came in from a participant's bank.")
        @OptionGroup var money: BankMoney
        @OptionGroup var output: OutputOptions
        func run() async throws { try await money.book(sign: 1, output) }
    }

    struct Withdraw: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: book money that goes out to a participant's bank.")
        @OptionGroup var money: BankMoney
        @OptionGroup var output: OutputOptions
        func run() async throws { try await money.book(sign: -1, output) }
    }

    struct BankMoney: ParsableArguments {
        @Argument(help: "par-…") var participant: String
        @Argument(help: "More than zero, e.g. 100.00") var amount: String
        @Option var currency = "EUR"
        @Option(help: "The bank's reference.") var reference = "bank transfer"

        /// - Parameter sign: 1 for money that came in, -1 for money that goes out.
        func book(sign: Int64, _ output: OutputOptions) async throws {
            guard let units = microUnits(decimal: amount), units > 0, let currency = Currency(currency) else {
                throw ValidationError("'\(amount) \(currency)' is not an amount such as 100.00 EUR.")
            }
            let posting = try await Target.exchange.with {
                try await $0.call(
                    ExchangeAPI.transfer, path: ["participant": participant],
                    body: Transfer(amount: Money(microUnits: sign * units, currency), reference: reference))
            }
            try output.item(posting, [("Posting", posting.id.description), ("Reason", posting.reason)])
        }
    }
}

struct EnrolmentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enrolment", abstract: "How programs come to their identities.", subcommands: [Create.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a one-time token with which a manage or a connect enrols; it is shown once.",
            discussion: "The program takes it as --enrolment-token or BOURSE_ENROLMENT_TOKEN at its first start.")
        @Argument(help: "par-…") var participant: String
        @Argument(help: "manage or connect") var role: String
        @Option(help: "Of a program that enrols anew; the exchange makes one when absent.") var id: String?
        @Option(help: "60 to 604800; 3600 when absent.") var validSeconds: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            guard let participant = ParticipantID(participant) else {
                throw ValidationError("'\(participant)' is not a participant, par-…")
            }
            guard let role = ProgramRole(rawValue: role) else {
                throw ValidationError("'\(role)' is not a program; use manage or connect.")
            }
            let made = try await Target.exchange.with {
                try await $0.call(
                    ExchangeAPI.createEnrolment,
                    body: CreateEnrolment(participant: participant, role: role, id: id, validSeconds: validSeconds))
            }
            try output.item(made, [("Token", made.token), ("Expires", timeText(made.expires))])
        }
    }
}
