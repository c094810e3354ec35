import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

// Bilateral trades: proposed to one participant, outside the book.

extension TradeCommand {
    struct Propose: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Propose a trade to another participant (with a participant's token).",
            discussion: """
                bourse trade propose buy 4 --to "Alps Cloud" --series ser-… --price 0.05
                It holds nothing. When it is accepted, everything is checked, and the contract is made, as for an order.
                """)
        @Argument(help: "buy or sell") var side: OrderSide
        @Argument var lots: Int64
        @Option(help: "Whom: par-… or a name.") var to: String
        @Option(help: "ser-…") var series: String
        @Option(help: "Per lot-hour, e.g. 0.05") var price: String
        @Option(help: "To sell: dc-…") var datacenter: String?
        @Option(help: "For the other side to read.") var note: String?
        @Option(help: "E.g. 2026-12-24T18:00:00Z; an hour from now when absent, seven days at most.") var expires: String?
        @OptionGroup var output: OutputOptions

        func run() async throws {
            guard let price = microUnits(decimal: price) else { throw ValidationError("'\(price)' is not a price such as 0.05.") }
            guard let series = SeriesID(series) else { throw ValidationError("'\(series)' is not a series; see `bourse series list`.") }
            let expires = try expires.map { text in
                guard let moment = Instant(text) else { throw ValidationError("'\(text)' is not a time such as 2026-12-24T18:00:00Z.") }
                return moment
            }
            let proposal = CreateProposal(
                counterparty: to, series: series, side: side, price: price, lots: lots, datacenter: try datacenterID(datacenter),
                note: note, expires: expires)
            try output.proposal(try await Target.exchange.with { try await $0.call(ExchangeAPI.propose, body: proposal) })
        }
    }

    struct Proposals: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List proposals by you and to you, newest first; or show one.")
        @Argument(help: "prp-…") var proposal: String?
        @Option(help: "open, accepted, refused, withdrawn or expired") var state: String?
        @OptionGroup var output: OutputOptions

        func run() async throws {
            if let proposal {
                let path = ["proposal": proposal]
                return try output.proposal(try await Target.exchange.with { try await $0.call(ExchangeAPI.showProposal, path: path) })
            }
            let query = state.map { ["state": $0] } ?? [:]
            let items = try await Target.exchange.with {
                try await $0.items(of: ExchangeAPI.listProposals, query: query, most: 1_000)
            }
            try output.list(items, columns: ["id", "state", "from", "to", "side", "price", "lots", "series", "expires", "contract"]) {
                [
                    $0.id.description, $0.state.rawValue, $0.proposerName, $0.counterpartyName, $0.side.rawValue, priceText($0.price),
                    "\($0.lots)", $0.series.description, timeText($0.expires), $0.contract?.description ?? "",
                ]
            }
        }
    }

    struct Accept: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Accept a proposal: the trade is made now.")
        @Argument(help: "prp-…") var proposal: String
        @Option(help: "When you sell: dc-…, where the lots are delivered.") var datacenter: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = AcceptProposal(datacenter: try datacenterID(datacenter))
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.acceptProposal, path: ["proposal": proposal], body: body)
            }
            try output.proposal(view)
        }
    }

    struct Refuse: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Say no to a proposal.")
        @Argument(help: "prp-…") var proposal: String
        @Option(help: "For the other side to read.") var reason: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.refuseProposal, path: ["proposal": proposal], body: RefuseProposal(reason: reason))
            }
            try output.proposal(view)
        }
    }

    struct Withdraw: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take your own proposal back.")
        @Argument(help: "prp-…") var proposal: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let path = ["proposal": proposal]
            try output.proposal(try await Target.exchange.with { try await $0.call(ExchangeAPI.withdrawProposal, path: path) })
        }
    }
}

private func datacenterID(_ text: String?) throws -> DatacenterID? {
    try text.map { text in
        guard let id = DatacenterID(text) else { throw ValidationError("'\(text)' is not a datacenter; see `bourse datacenter list`.") }
        return id
    }
}

extension OutputOptions {
    fileprivate func proposal(_ view: ProposalView) throws {
        try item(
            view,
            [
                ("Proposal", view.id.description), ("State", view.state.rawValue), ("From", view.proposerName),
                ("To", view.counterpartyName), ("Side", view.side.rawValue), ("Price", priceText(view.price)), ("Lots", "\(view.lots)"),
                ("Series", view.series.description), ("Datacenter", view.datacenter?.description), ("Note", view.note),
                ("Expires", "\(timeText(view.expires)) UTC"), ("Reason", view.reason), ("Contract", view.contract?.description),
            ])
    }
}
