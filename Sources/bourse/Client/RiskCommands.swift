import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

// What is done about risk: reference prices, credit lines, busts.

extension SeriesCommand {
    struct Reference: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Operator: set what a series is worth, until enough trades after it say otherwise.",
            discussion: "Collars and volatility bands lie around it; `bourse series list` shows them.")
        @Argument(help: "ser-…") var series: String
        @Argument(help: "Per lot-hour, e.g. 0.05") var price: String
        @Option(help: "For the audit trail.") var reason: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            guard let price = microUnits(decimal: price) else { throw ValidationError("'\(price)' is not a price such as 0.05.") }
            let view = try await Target.exchange.with {
                try await $0.call(
                    ExchangeAPI.setReferencePrice, path: ["series": series], body: SetReferencePrice(price: price, reason: reason))
            }
            try output.item(
                view,
                [
                    ("Series", view.id.description), ("Reference", priceText(view.referencePrice)),
                    ("Orders from", view.collar.map(rangeText)), ("Trades from", view.volatilityBand.map(rangeText)),
                ])
        }
    }
}

extension ParticipantCommand {
    struct Credit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a participant's credit line; the operator sets it.",
            discussion: """
                bourse participant credit par-… --set 100.00 --reason "annual review"
                Orders and contracts may use it, withdrawals never do.
                """)
        @Argument(help: "par-…") var participant: String
        @Option(name: .customLong("set"), help: "How far below zero the cash may go, e.g. 100.00; 0 takes the line away.") var amount:
            String?
        @Option var currency = "EUR"
        @Option(help: "Kept with the change.") var reason: String?
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let path = ["participant": participant]
            let view: CreditLineView
            if let amount {
                guard let units = microUnits(decimal: amount), let currency = Currency(currency) else {
                    throw ValidationError("'\(amount) \(currency)' is not an amount such as 100.00 EUR.")
                }
                guard let reason else { throw ValidationError("Say why: --reason \"…\"") }
                let grant = GrantCreditLine(amount: Money(microUnits: units, currency), reason: reason)
                view = try await Target.exchange.with { try await $0.call(ExchangeAPI.grantCreditLine, path: path, body: grant) }
            } else {
                view = try await Target.exchange.with { try await $0.call(ExchangeAPI.showCreditLine, path: path) }
            }
            try show(view)
        }

        private func show(_ view: CreditLineView) throws {
            try output.item(
                view,
                [
                    ("Participant", view.participant.description), ("Credit line", "\(view.amount)"), ("Used", "\(view.used)"),
                    ("Available", "\(view.available)"),
                ])
            guard output.output == .table, !view.changes.isEmpty else { return }
            print("")
            try output.list(view.changes, columns: ["#", "at", "from", "to", "reason"]) {
                [
                    "\($0.number)", timeText($0.at), decimalText(microUnits: $0.previous.microUnits),
                    decimalText(microUnits: $0.amount.microUnits), $0.reason,
                ]
            }
        }
    }
}

extension TradeCommand {
    struct Bust: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Operator: declare a trade void.",
            discussion: "Its contract ends now, and everything paid and put aside for it goes back. The trade stays visible, as busted.")
        @Argument(help: "trd-…") var trade: String
        @Option(help: "Everybody who lists trades reads it.") var reason: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.bustTrade, path: ["trade": trade], body: BustTrade(reason: reason))
            }
            try output.item(
                view,
                [
                    ("Trade", view.id.description), ("Busted", timeText(view.busted?.at)), ("Reason", view.busted?.reason),
                    ("Paid back", view.busted?.paidBackMicroUnits.map { decimalText(microUnits: $0) }),
                    ("Contract", view.contract?.description),
                ])
        }
    }
}

extension ContractCommand {
    struct Settlement: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what of a contract is charged, paid and put aside.")
        @Argument(help: "ctr-…") var contract: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.showSettlement, path: ["contract": contract])
            }
            try output.item(
                view,
                [
                    ("Contract", view.contract.description), ("State", view.state.rawValue),
                    ("Busted", view.busted.map { "\(timeText($0.at)) UTC: \($0.reason)" }),
                    ("Buyer charged", "\(view.charged)"), ("Buyer's fee", "\(view.buyerFee)"), ("Seller paid", "\(view.paid)"),
                    ("Seller's fee", "\(view.sellerFee)"), ("Back to the buyer", "\(view.credited)"),
                    ("Awaits reports", "\(view.awaited)"), ("Put aside", "\(view.held), for fees \(view.feesHeld)"),
                    ("Charged until", "\(timeText(view.settledUntil)) UTC"),
                    ("Remaining", view.remaining.map { "\(timeText($0.start)) to \(timeText($0.end)) UTC" }),
                    ("Next payment", view.nextSettlement.map { "\(timeText($0)) UTC" }),
                ])
        }
    }
}

func rangeText(_ range: PriceRange) -> String { "\(priceText(range.lowest)) to \(priceText(range.highest))" }
