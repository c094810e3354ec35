import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

struct ParticipantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "participant", abstract: "Companies on the exchange.", subcommands: [List.self, Create.self, Deposit.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List participants.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listParticipants) }
            try output.list(items, columns: ["id", "name", "roles", "currency", "since"]) {
                [$0.id.description, $0.name, $0.roles.map(\.rawValue).joined(separator: ","), $0.currency.code, timeText($0.created)]
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Admit a company to the exchange.")
        @Argument var name: String
        @Option(help: "buyer, seller, or both with a comma") var roles = "buyer"
        @Option var currency = "EUR"
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let roles = try roles.split(separator: ",").map { text in
                guard let role = ParticipantRole(rawValue: String(text)) else {
                    throw ValidationError("'\(text)' is not a role; use buyer or seller.")
                }
                return role
            }
            guard let currency = Currency(currency) else { throw ValidationError("'\(currency)' is not a currency code such as EUR.") }
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.createParticipant, body: CreateParticipant(name: name, roles: roles, currency: currency))
            }
            try output.item(view, [("Participant", view.id.description), ("Name", view.name)])
        }
    }

    struct Deposit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Book money that came in from a participant's bank.")
        @Argument(help: "par-…") var participant: String
        @Argument(help: "e.g. 100.00; negative: a withdrawal") var amount: String
        @Option var currency = "EUR"
        @Option(help: "The bank's reference.") var reference = "bank transfer"
        @OptionGroup var output: OutputOptions
        func run() async throws {
            guard let units = microUnits(decimal: amount), let currency = Currency(currency) else {
                throw ValidationError("'\(amount) \(currency)' is not an amount such as 100.00 EUR.")
            }
            let posting = try await Target.exchange.with {
                try await $0.call(
                    ExchangeAPI.transfer, path: ["participant": participant],
                    body: Transfer(amount: Money(microUnits: units, currency), reference: reference))
            }
            try output.item(posting, [("Posting", posting.id.description), ("Reason", posting.reason)])
        }
    }
}

struct ProductCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "product", abstract: "Standard products.", subcommands: [List.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List products.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listProducts) }
            try output.list(items, columns: ["id", "name", "lot", "zone", "law", "tenancy", "storage", "firmness", "sla"]) { product in
                let definition = product.definition
                let lot =
                    "\(decimalText(microUnits: definition.lot.milliCPU * 1_000)) vCPU, \(definition.lot.memoryMiB) MiB, \(definition.lot.diskMiB / 1_024) GiB"
                return [
                    product.id.description, definition.name, lot, definition.zone ?? definition.region, definition.jurisdiction,
                    definition.tenancy.rawValue, definition.storage.rawValue, definition.firmness.rawValue, definition.slaProfile,
                ]
            }
        }
    }
}

struct SeriesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "series", abstract: "Products by delivery period.", subcommands: [List.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List series with their best prices per lot-hour.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listSeries) }
            try output.list(items, columns: ["id", "product", "kind", "period start", "period end", "bid", "ask", "last"]) {
                [
                    $0.id.description, $0.productName, $0.kind, timeText($0.period.start), timeText($0.period.end), priceText($0.bestBid),
                    priceText($0.bestAsk), priceText($0.lastPrice),
                ]
            }
        }
    }
}

struct BookCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "book", abstract: "Depth of a series.", subcommands: [Show.self], defaultSubcommand: Show.self)
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the order book of a series.")
        @Argument(help: "ser-…") var series: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let book = try await Target.exchange.with { try await $0.call(ExchangeAPI.book, path: ["series": series]) }
            guard output.output == .table else { return try output.item(book, []) }
            let levels = book.asks.reversed().map { ("ask", $0) } + book.bids.map { ("bid", $0) }
            try output.list(levels.map(\.1), columns: ["side", "price", "lots", "orders"], empty: "The book is empty.") { level in
                let side = book.asks.contains { $0.price == level.price } ? "ask" : "bid"
                return [side, priceText(level.price), "\(level.lots)", "\(level.orders)"]
            }
        }
    }
}

struct OrderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "order", abstract: "Orders.", subcommands: [List.self, Create.self, Cancel.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List orders, newest first.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listOrders, most: 1_000) }
            try output.list(items, columns: ["id", "side", "type", "price", "lots", "filled", "state", "created"]) {
                [
                    $0.id.description, $0.side.rawValue, $0.type.rawValue, priceText($0.price), "\($0.lots)", "\($0.filled)",
                    $0.state.rawValue, timeText($0.created),
                ]
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Place an order (with a participant's token).", discussion: "bourse order create buy 2 --series ser-… --price 0.05")
        @Argument(help: "buy or sell") var side: String
        @Argument var lots: Int64
        @Option(help: "ser-…") var series: String
        @Option(help: "Per lot-hour, e.g. 0.05") var price: String
        @Option(help: "Sell orders: dc-…") var datacenter: String?
        @Flag(help: "Take what is there at once, cancel the rest.") var immediate = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            guard let side = OrderSide(rawValue: side) else { throw ValidationError("The side is buy or sell, not '\(side)'.") }
            guard let price = microUnits(decimal: price) else { throw ValidationError("'\(price)' is not a price such as 0.05.") }
            guard let series = SeriesID(series) else { throw ValidationError("'\(series)' is not a series; see `bourse series list`.") }
            let order = PlaceOrder(
                series: series, side: side, type: immediate ? .immediateOrCancel : .limit, price: price, lots: lots,
                datacenter: datacenter.flatMap { DatacenterID($0) })
            let view = try await Target.exchange.with { try await $0.call(ExchangeAPI.placeOrder, body: order) }
            try output.item(
                view,
                [
                    ("Order", view.id.description), ("State", view.state.rawValue), ("Filled", "\(view.filled) of \(view.lots) lots"),
                    ("Contracts", view.contracts.isEmpty ? nil : view.contracts.map(\.description).joined(separator: ", ")),
                ])
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a resting order out of the book.")
        @Argument(help: "ord-…") var order: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with { try await $0.call(ExchangeAPI.cancelOrder, path: ["order": order]) }
            try output.item(view, [("Order", view.id.description), ("State", view.state.rawValue)])
        }
    }
}

struct TradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trade", abstract: "Trades.", subcommands: [List.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List trades, newest first.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listTrades, most: 1_000) }
            try output.list(items, columns: ["id", "series", "price", "lots", "at", "contract"]) {
                [
                    $0.id.description, $0.series.description, priceText($0.price), "\($0.lots)", timeText($0.at),
                    $0.contract?.description ?? "-",
                ]
            }
        }
    }
}

struct ContractCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract", abstract: "Contracts.", subcommands: [List.self, Show.self, Stop.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List contracts, newest first.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listContracts, most: 1_000) }
            try output.list(items, columns: ["id", "state", "buyer", "seller", "product", "lots", "price", "until", "rolls", "settled"]) {
                [
                    $0.id.description, $0.state.rawValue, $0.buyerName, $0.sellerName, $0.productName, "\($0.lots)", priceText($0.price),
                    timeText($0.period.end), $0.rolls ? "yes" : "no", decimalText(microUnits: $0.settledMicroUnits),
                ]
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one contract.")
        @Argument(help: "ctr-…") var contract: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show(try await Target.exchange.with { try await $0.call(ExchangeAPI.showContract, path: ["contract": contract]) }, output)
        }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Stop rolling a contract: it ends with its current period.")
        @Argument(help: "ctr-…") var contract: String
        @Option(help: "For both sides to read.") var reason = "stopped by the user"
        @Flag(help: "The operator of the exchange only: end it now, revoke both certificates.") var now = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = StopContract(reason: reason, immediately: now ? true : nil)
            try show(
                try await Target.exchange.with { try await $0.call(ExchangeAPI.stopContract, path: ["contract": contract], body: body) },
                output)
        }
    }

    private static func show(_ view: ContractView, _ output: OutputOptions) throws {
        try output.item(
            view,
            [
                ("Contract", view.id.description), ("State", view.state.rawValue), ("Reason", view.reason),
                ("Buyer", "\(view.buyerName) (\(view.buyer))"),
                ("Seller", "\(view.sellerName) (\(view.seller))"), ("Product", view.productName), ("Volume", "\(view.lots) lots"),
                ("Price", "\(Money(microUnits: view.price, view.currency)) per lot-hour"),
                ("Period", "\(timeText(view.period.start)) to \(timeText(view.period.end)) UTC" + (view.rolls ? ", rolling" : "")),
                ("Delivered at", "\(view.datacenter) \(view.peerAddress)"), ("Terms", "SHA-256 \(view.termsHash)"),
                ("Settled", "\(Money(microUnits: view.settledMicroUnits, view.currency))"),
            ])
    }
}

struct BalanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "balance", abstract: "Ledger accounts.", subcommands: [List.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List ledger accounts.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listBalances) }
            try output.list(items, columns: ["participant", "account", "amount", "currency"]) {
                [
                    $0.participant?.description ?? "exchange", $0.account, decimalText(microUnits: $0.amount.microUnits),
                    $0.amount.currency.code,
                ]
            }
        }
    }
}

struct PostingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "posting", abstract: "Ledger postings.", subcommands: [List.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List ledger postings, newest first.")
        @Option(help: "Only of this contract.") var contract: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let query = contract.map { ["contract": $0] } ?? [:]
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listPostings, query: query, most: 1_000) }
            try output.list(items, columns: ["id", "at", "reason", "entries"]) { posting in
                let entries = posting.entries.map {
                    "\($0.participant?.description ?? "exchange")/\($0.account) \(decimalText(microUnits: $0.amount.microUnits))"
                }
                return [posting.id.description, timeText(posting.at), posting.reason, entries.joined(separator: "; ")]
            }
        }
    }
}
