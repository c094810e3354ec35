import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

struct ParticipantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "participant", abstract: "Companies on the exchange.",
        subcommands: [
            List.self, Create.self, Token.self, Deposit.self, Withdraw.self, Credit.self, Suspend.self, Resume.self,
        ], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List participants.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listParticipants) }
            try output.list(items, columns: ["id", "name", "roles", "currency", "since", "suspended"]) {
                [
                    $0.id.description, $0.name, $0.roles.map(\.rawValue).joined(separator: ","), $0.currency.code, timeText($0.created),
                    $0.suspended ?? "",
                ]
            }
        }
    }

    struct Suspend: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The kill switch: cancel all of a participant's orders and take no more.",
            discussion: "A participant may do it to itself; only the operator lifts it with `bourse participant resume`.")
        @Argument(help: "par-…") var participant: String
        @Option(help: "The participant reads it with every order refused.") var reason: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with {
                try await $0.call(
                    ExchangeAPI.suspendParticipant, path: ["participant": participant], body: Suspension(reason: reason))
            }
            try output.item(view, [("Participant", view.id.description), ("Suspended", view.suspended)])
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: let a participant trade again.")
        @Argument(help: "par-…") var participant: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.resumeParticipant, path: ["participant": participant])
            }
            try output.item(view, [("Participant", view.id.description), ("Suspended", view.suspended ?? "no")])
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: admit a company to the exchange.")
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
}

struct ProductCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "product", abstract: "Standard products.", subcommands: [List.self, Apply.self, Versions.self],
        defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List products.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listProducts) }
            try output.list(items, columns: ["id", "name", "lot", "zone", "law", "tenancy", "storage", "firmness", "sla", "traded"]) {
                product in
                let definition = product.definition
                let lot =
                    "\(decimalText(microUnits: definition.lot.milliCPU * 1_000)) vCPU, \(definition.lot.memoryMiB) MiB, \(definition.lot.diskMiB / 1_024) GiB"
                return [
                    product.id.description, definition.name, lot, definition.zone ?? definition.region, definition.jurisdiction,
                    definition.tenancy.rawValue, definition.storage.rawValue, definition.firmness.rawValue, definition.slaProfile,
                    (["spot"] + (definition.forwards?.calendar ?? []).map(\.rawValue)).joined(separator: ","),
                ]
            }
        }
    }
}

struct BookCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "book", abstract: "Depth of a series.", subcommands: [Show.self, Watch.self], defaultSubcommand: Show.self)
}

struct OrderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "order", abstract: "Orders.", subcommands: [List.self, Create.self, Replace.self, Cancel.self, CancelAll.self],
        defaultSubcommand: List.self)

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
        @Option(help: "limit, goodTillDate, immediateOrCancel, market (with --price as its cap) or fillOrKill.") var type = OrderType.limit
        @Flag(help: "The same as --type immediateOrCancel.") var immediate = false
        @OptionGroup var conditions: ConditionOptions
        @OptionGroup var output: OutputOptions
        func run() async throws {
            guard let side = OrderSide(rawValue: side) else { throw ValidationError("The side is buy or sell, not '\(side)'.") }
            guard let price = microUnits(decimal: price) else { throw ValidationError("'\(price)' is not a price such as 0.05.") }
            guard let series = SeriesID(series) else { throw ValidationError("'\(series)' is not a series; see `bourse series list`.") }
            let order = PlaceOrder(
                series: series, side: side, type: immediate ? .immediateOrCancel : type, price: price, lots: lots,
                datacenter: datacenter.flatMap { DatacenterID($0) }, conditions: try conditions.view())
            let view = try await Target.exchange.with { try await $0.call(ExchangeAPI.placeOrder, body: order) }
            try output.item(
                view,
                [
                    ("Order", view.id.description), ("State", view.state.rawValue),
                    ("Filled", "\(view.filled) of \(counted(view.lots, "lot"))"),
                    ("Contracts", view.contracts.isEmpty ? nil : view.contracts.map(\.description).joined(separator: ", ")),
                ])
        }
    }

    struct ConditionOptions: ParsableArguments {
        @Option(help: "With --type goodTillDate: when it expires, e.g. 2026-12-24T18:00:00Z.") var expires: String?
        @Option(help: "Iceberg: show at most this many lots at a time.") var display: Int64?
        @Flag(help: "Trade all lots at once or none.") var allOrNone = false
        @Flag(help: "Refuse the order when any of it would trade at once.") var postOnly = false
        @Option(help: "Refuse the order when fewer lots would trade at once.") var minimum: Int64?
        @Option(help: "When it would trade with your own order: refuse, cancel-newest, cancel-oldest or cancel-both.")
        var selfMatch: SelfMatchMode?

        func view() throws -> OrderConditionsView? {
            let moment = try expires.map { text in
                guard let moment = Instant(text) else { throw ValidationError("'\(text)' is not a time such as 2026-12-24T18:00:00Z.") }
                return moment
            }
            let view = OrderConditionsView(
                expires: moment, display: display, allOrNone: allOrNone ? true : nil, postOnly: postOnly ? true : nil, minimumLots: minimum,
                selfMatch: selfMatch)
            return view == OrderConditionsView() ? nil : view
        }
    }

    struct Replace: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change price or volume of a resting order; fewer lots at the same price keep its place.")
        @Argument(help: "ord-…") var order: String
        @Option(help: "Per lot-hour, e.g. 0.05") var price: String?
        @Option(help: "Of the whole order, what is filled included.") var lots: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let micro = try price.map { text in
                guard let micro = microUnits(decimal: text) else { throw ValidationError("'\(text)' is not a price such as 0.05.") }
                return micro
            }
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.replaceOrder, path: ["order": order], body: ReplaceOrder(price: micro, lots: lots))
            }
            try output.item(
                view,
                [
                    ("Order", view.id.description), ("State", view.state.rawValue), ("Price", priceText(view.price)),
                    ("Filled", "\(view.filled) of \(counted(view.lots, "lot"))"),
                ])
        }
    }

    struct CancelAll: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take all your orders out of the books, or those of a series or side.")
        @Option(help: "ser-…") var series: String?
        @Option(help: "buy or sell") var side: OrderSide?
        @Option(help: "For the operator: par-…") var participant: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let wanted = CancelOrders(
                series: series.flatMap { SeriesID($0) }, side: side, participant: participant.flatMap { ParticipantID($0) })
            if let series, wanted.series == nil { throw ValidationError("'\(series)' is not a series; see `bourse series list`.") }
            let answer = try await Target.exchange.with { try await $0.call(ExchangeAPI.cancelOrders, body: wanted) }
            try output.item(answer, [("Cancelled", counted(answer.orders.count, "order"))])
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
        commandName: "trade", abstract: "Trades, in the book and bilateral.",
        subcommands: [List.self, Propose.self, Proposals.self, Accept.self, Refuse.self, Withdraw.self, Bust.self],
        defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List trades, newest first.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listTrades, most: 1_000) }
            try output.list(items, columns: ["id", "series", "price", "lots", "at", "contract", "bilateral", "busted"]) {
                [
                    $0.id.description, $0.series.description, priceText($0.price), "\($0.lots)", timeText($0.at),
                    $0.contract?.description ?? "-", $0.bilateral == true ? "yes" : "", $0.busted?.reason ?? "",
                ]
            }
        }
    }
}

struct ContractCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract", abstract: "Contracts.",
        subcommands: [List.self, Show.self, Stop.self, Settlement.self, ContractDeliveries.self],
        defaultSubcommand: List.self)

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
        static let configuration = CommandConfiguration(
            abstract: "Stop rolling a contract: it ends when what is paid for is over.",
            discussion:
                "A spot contract is paid a period at a time, in the last sixth of the one before: from then on it ends with the next.")
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
                ("Seller", "\(view.sellerName) (\(view.seller))"), ("Product", view.productName), ("Volume", counted(view.lots, "lot")),
                ("Price", "\(Money(microUnits: view.price, view.currency)) per lot-hour"),
                ("Period", "\(timeText(view.period.start)) to \(timeText(view.period.end)) UTC" + (view.rolls ? ", rolling" : "")),
                ("Delivered at", "\(view.datacenter) \(view.peerAddress)"), ("Terms", "SHA-256 \(view.termsHash)"),
                ("Settled", "\(Money(microUnits: view.settledMicroUnits, view.currency))"),
            ] + deliveryRows(of: view))
    }
}
