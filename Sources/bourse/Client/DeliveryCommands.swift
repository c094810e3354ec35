import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

/// What `bourse contract show` says of confirmation, delivery and what comes next.
func deliveryRows(of view: ContractView) -> [(String, String?)] {
    let confirmation = view.confirmation.map { confirmation in
        let sides = [("buyer", confirmation.buyer), ("seller", confirmation.seller)].map { side, at in
            "\(side) \(at.map { timeText($0) } ?? "not yet (until \(timeText(confirmation.deadline)))")"
        }
        return sides.joined(separator: ", ")
    }
    let credited = view.creditedMicroUnits.flatMap { $0 == 0 ? nil : "\(Money(microUnits: $0, view.currency))" }
    return [
        ("Given back", credited), ("Confirmed", confirmation), ("Outcome", view.outcome?.rawValue),
        ("Next", view.next.map { "\($0.kind.rawValue) at \(timeText($0.at)) UTC" }),
    ]
}

struct ContractDeliveries: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliveries", abstract: "What was delivered of a contract, stretch by stretch, and paid for it.")
    @Argument(help: "ctr-…") var contract: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let items = try await Target.exchange.with {
            try await $0.items(of: ExchangeAPI.listDeliveries, path: ["contract": contract], most: 1_000)
        }
        let columns = [
            "from", "until", "state", "basis", "available", "buyer says", "seller says", "charge", "paid", "back", "held", "dispute",
        ]
        try output.list(items, columns: columns, empty: "No stretch of it is over yet.") { view in
            [
                timeText(view.period.start), timeText(view.period.end), view.state.rawValue, view.basis ?? "-",
                view.availabilityThousandths.map { "\(decimalText(microUnits: $0 * 100_000)) %" } ?? "-", missing(view.buyerReport),
                missing(view.sellerReport),
                decimalText(microUnits: view.chargeMicroUnits), decimalText(microUnits: view.paidMicroUnits),
                decimalText(microUnits: view.creditedMicroUnits), decimalText(microUnits: view.heldMicroUnits),
                view.dispute?.description ?? "-",
            ]
        }
    }
}

/// What a report says was missing, e.g. `host 120 lot-s`.
private func missing(_ report: DeliveryReportView?) -> String {
    guard let report else { return "-" }
    let parts = report.unavailable.map { "\($0.cause.rawValue) \($0.lotMicroseconds / 1_000_000) lot-s" }
    return parts.isEmpty ? "all there" : parts.joined(separator: ", ")
}

struct DisputeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dispute", abstract: "Differences between what both sides report of a delivery.",
        subcommands: [List.self, Show.self, Answer.self, Rule.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List disputes.")
        @Flag(help: "Only those that are not resolved.") var open = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with {
                try await $0.items(of: ExchangeAPI.listDisputes, query: open ? ["open": "true"] : [:], most: 1_000)
            }
            try output.list(
                items, columns: ["id", "contract", "from", "amount", "currency", "state", "deadline", "buyer asks", "seller offers"]
            ) {
                [
                    $0.id.description, $0.contract.description, timeText($0.period.start), decimalText(microUnits: $0.amount.microUnits),
                    $0.amount.currency.code, $0.state, timeText($0.deadline), priceText($0.buyerAnswer?.toBuyerMicroUnits),
                    priceText($0.sellerAnswer?.toBuyerMicroUnits),
                ]
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a dispute with both reports and answers.")
        @Argument(help: "dsp-…") var dispute: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with { try await $0.call(ExchangeAPI.showDispute, path: ["dispute": dispute]) }
            try show(view, output)
        }
    }

    struct Answer: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what your side would settle for.", discussion: "Over as soon as the buyer asks no more than the seller offers.")
        @OptionGroup var word: Word
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = try word.body()
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.answerDispute, path: ["dispute": word.dispute], body: body)
            }
            try show(view, output)
        }
    }

    struct Rule: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: decide a dispute.")
        @OptionGroup var word: Word
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = try word.body()
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.ruleDispute, path: ["dispute": word.dispute], body: body)
            }
            try show(view, output)
        }
    }

    struct Word: ParsableArguments {
        @Argument(help: "dsp-…") var dispute: String
        @Argument(help: "To the buyer, e.g. 0.05; the rest of the amount is the seller's.") var toBuyer: String
        @Option(help: "For both sides to read.") var note = ""

        func body() throws -> AnswerDispute {
            guard let units = microUnits(decimal: toBuyer) else { throw ValidationError("'\(toBuyer)' is not an amount such as 0.05.") }
            return AnswerDispute(toBuyerMicroUnits: units, note: note)
        }
    }

    private static func show(_ view: DisputeView, _ output: OutputOptions) throws {
        func word(_ answer: DisputeAnswerView?) -> String? {
            answer.map { "\(Money(microUnits: $0.toBuyerMicroUnits, view.amount.currency)) to the buyer. \($0.note)" }
        }
        try output.item(
            view,
            [
                ("Dispute", view.id.description), ("Contract", view.contract.description),
                ("Period", "\(timeText(view.period.start)) to \(timeText(view.period.end)) UTC"), ("Amount", view.amount.description),
                ("State", view.state), ("Deadline", "\(timeText(view.deadline)) UTC"), ("Buyer reports", missing(view.buyerReport)),
                ("Seller reports", missing(view.sellerReport)), ("Buyer asks", word(view.buyerAnswer)),
                ("Seller offers", word(view.sellerAnswer)), ("Resolved", word(view.resolution)),
            ])
    }
}
