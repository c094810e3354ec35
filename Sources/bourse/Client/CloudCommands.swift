import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

struct InstanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "instance", abstract: "Machines.",
        subcommands: [
            List.self, Launch.self, Show.self, Start.self, Stop.self, Reboot.self, Terminate.self, Console.self, Retry.self, Move.self,
        ],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List machines, newest first.")
        @Flag(help: "Seller: only machines that are stuck or wait for a failed host, with why.") var stuck = false
        @Option(help: "Seller: the machines on this host, h-… or a name.") var host: String?
        @Flag(help: "Seller: the machines of all hosts and contracts of this datacenter.") var all = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            if stuck || all || host != nil { return try await SellersMachines.list(on: host, stuck: stuck, output) }
            let items = try await Target.manage.with { try await $0.items(of: ManageAPI.listInstances) }
            try output.list(items, columns: ["id", "name", "state", "type", "address", "zone", "seller", "charged", "reason"]) {
                [
                    $0.id.description, $0.name ?? "-", $0.state.rawValue, $0.offering, $0.address ?? "-", $0.zone ?? "-", $0.seller ?? "-",
                    "\($0.charged)", $0.reason?.message ?? "",
                ]
            }
        }
    }

    struct Launch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Launch machines.", discussion: "bourse instance launch --image bourse-guest --type m1.small --key demo")
        @Option(help: "ami-… or an image's name") var image: String
        @Option(help: "Instance type; see `bourse offering list`.") var type = "m1.small"
        @Option var count: Int64 = 1
        @Option(help: "Name of an ssh key; see `bourse key list`.") var key: String?
        @Option(help: "File whose contents the guest runs at first boot.") var userData: String?
        @Option var name: String?
        @Option(help: "vpc-…: the network they are on; see `bourse network list`.") var network: String?
        @OptionGroup var terms: TermsOptions
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let placement = try terms.terms
            let onNetwork = try network.map { text in
                guard let id = NetworkID(text) else { throw ValidationError("'\(text)' is not a network; see `bourse network list`.") }
                return id
            }
            let data = try userData.map { path in
                guard let data = FileManager.default.contents(atPath: path) else { throw ValidationError("\(path) cannot be read.") }
                return data.base64EncodedString()
            }
            let page = try await Target.manage.with { client in
                let images = try await client.items(of: ManageAPI.listImages)
                guard let image = images.first(where: { $0.id.description == image || $0.name == image }) else {
                    throw Failure(text: "There is no image '\(image)'; there are: \(images.map(\.name).joined(separator: ", ")).")
                }
                return try await client.call(
                    ManageAPI.launchInstances,
                    body: LaunchInstances(
                        image: image.id, offering: type, count: count, keyName: key, userData: data, name: name, placement: placement,
                        network: onNetwork))
            }
            try output.list(page.items, columns: ["id", "state"]) { [$0.id.description, $0.state.rawValue] }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one machine.")
        @Argument(help: "i-…") var instance: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.manage.with { try await $0.call(ManageAPI.showInstance, path: ["instance": instance]) }
            try show(view, output)
        }
    }

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start a stopped machine.")
        @Argument(help: "i-…") var instance: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(.start, instance, output) }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Stop a machine; its disk is kept.")
        @Argument(help: "i-…") var instance: String
        @Flag(help: "Switch it off without waiting for the guest.") var force = false
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(.stop, instance, output, force: force) }
    }

    struct Reboot: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Reboot a machine.")
        @Argument(help: "i-…") var instance: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(.reboot, instance, output) }
    }

    struct Terminate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Terminate a machine and delete its disk.")
        @Argument(help: "i-…") var instance: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(.terminate, instance, output) }
    }

    struct Console: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print the end of a machine's serial console.")
        @Argument(help: "i-…") var instance: String
        func run() async throws {
            let view = try await Target.manage.with { try await $0.call(ManageAPI.console, path: ["instance": instance]) }
            print(String(decoding: Data(base64Encoded: view.output) ?? Data(), as: UTF8.self))
        }
    }

    private static func act(_ action: InstanceAction, _ instance: String, _ output: OutputOptions, force: Bool = false) async throws {
        let body = ActOnInstance(action: action, force: force ? true : nil)
        try show(
            try await Target.manage.with { try await $0.call(ManageAPI.actOnInstance, path: ["instance": instance], body: body) }, output)
    }

    private static func show(_ view: ManagedInstanceView, _ output: OutputOptions) throws {
        try output.item(
            view,
            [
                ("Instance", view.id.description), ("Name", view.name), ("State", view.state.rawValue), ("Reason", view.reason?.message),
                ("Doing", view.step), ("Makes room at", view.interruption.map { timeText($0) + " UTC" }), ("Type", view.offering),
                ("Image", view.image.description), ("Address", view.address),
                ("Zone", view.zone),
                ("Host", view.host), ("Seller", view.seller), ("Contract", view.contract?.description),
                ("Launched", timeText(view.accepted) + " UTC"),
                ("Charged", "\(view.charged)"),
            ])
    }
}

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "Images.", subcommands: [List.self, Import.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List images.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.manage.with { try await $0.items(of: ManageAPI.listImages) }
            try output.list(items, columns: ["id", "name", "user", "memory MiB", "disk MiB", "description"]) {
                [$0.id.description, $0.name, $0.user, "\($0.minimumMemoryMiB)", "\($0.virtualSizeMiB)", $0.description]
            }
        }
    }
    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Seller: register an image from a folder on connect's machine.")
        @Argument(help: "Folder made by images/build-guest or images/build-debian.") var folder: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let path = URL(fileURLWithPath: folder).standardizedFileURL.path
            let view = try await Target.connect.with {
                try await $0.call(ConnectAPI.importImage, body: ImportImage(folder: path), deadline: .seconds(300))
            }
            try output.item(view, [("Image", view.id.description), ("Name", view.name)])
        }
    }
}

struct OfferingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "offering", abstract: "Instance types.", subcommands: [List.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List instance types with what an hour costs now.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.manage.with { try await $0.call(ManageAPI.listOfferings) }.items
            try output.list(items, columns: ["name", "vCPU", "memory MiB", "disk GiB", "per hour"]) {
                [
                    $0.name, decimalText(microUnits: $0.resources.milliCPU * 1_000), "\($0.resources.memoryMiB)",
                    "\($0.resources.diskMiB / 1_024)",
                    $0.hourly.map { "\($0)" } ?? "not on offer",
                ]
            }
        }
    }
}

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "ssh keys.", subcommands: [List.self, Import.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List ssh keys.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.manage.with { try await $0.items(of: ManageAPI.listKeys) }
            try output.list(items, columns: ["id", "name", "fingerprint"]) { [$0.id.description, $0.name, $0.fingerprint] }
        }
    }
    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Register an ssh public key.")
        @Argument var name: String
        @Argument(help: "File with the public key.") var file: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            guard let data = FileManager.default.contents(atPath: file) else { throw ValidationError("\(file) cannot be read.") }
            let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            let view = try await Target.manage.with { try await $0.call(ManageAPI.importKey, body: ImportKey(name: name, publicKey: text)) }
            try output.item(view, [("Key", view.id.description), ("Name", view.name), ("Fingerprint", view.fingerprint)])
        }
    }
}

struct AccountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account", abstract: "Buyer's accounts.", subcommands: [List.self, Update.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List accounts.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.manage.with { try await $0.items(of: ManageAPI.listAccounts) }
            try output.list(items, columns: ["id", "name", "parent", "price cap", "vCPU quota", "volume quota MiB"]) {
                [
                    $0.id.description, $0.name, $0.parent?.description ?? "-", priceText($0.priceCap),
                    $0.quotaMilliCPU.map { decimalText(microUnits: $0 * 1_000) } ?? "-", $0.quotaVolumeMiB.map { "\($0)" } ?? "-",
                ]
            }
        }
    }
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change an account's price cap or its quota of volumes (operator).")
        @Argument(help: "acc-…") var account: String
        @Option(help: "Highest price per lot-hour, e.g. 0.05") var priceCap: String?
        @Option(help: "Most MiB in volumes.") var volumeQuota: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let cap = try priceCap.map { text in
                guard let cap = microUnits(decimal: text) else { throw ValidationError("'\(text)' is not a price such as 0.05.") }
                return cap
            }
            let body = UpdateAccount(priceCap: cap, quotaVolumeMiB: volumeQuota)
            let view = try await Target.manage.with {
                try await $0.call(ManageAPI.updateAccount, path: ["account": account], body: body)
            }
            try output.item(
                view,
                [
                    ("Account", view.id.description), ("Price cap", priceText(view.priceCap)),
                    ("Volume quota MiB", view.quotaVolumeMiB.map { "\($0)" }),
                ])
        }
    }
}

struct ChargeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "charge", abstract: "What users were charged.", subcommands: [List.self], defaultSubcommand: List.self)
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List charges, newest first.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.manage.with { try await $0.items(of: ManageAPI.listCharges, most: 1_000) }
            try output.list(items, columns: ["instance", "contract", "from", "to", "amount", "currency"]) {
                [
                    $0.instance.description, $0.contract.description, timeText($0.period.start), timeText($0.period.end),
                    decimalText(microUnits: $0.amount.microUnits), $0.amount.currency.code,
                ]
            }
        }
    }
}

struct AskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Seller: capacity on offer.", subcommands: [Create.self], defaultSubcommand: Create.self)
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Offer this datacenter's capacity on the exchange.")
        @Option(help: "ser-…") var series: String
        @Option var lots: Int64
        @Option(help: "Per lot-hour, e.g. 0.04") var price: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            guard let price = microUnits(decimal: price) else { throw ValidationError("'\(price)' is not a price such as 0.04.") }
            guard let series = SeriesID(series) else { throw ValidationError("'\(series)' is not a series; see `bourse series list`.") }
            let view = try await Target.connect.with {
                try await $0.call(ConnectAPI.createAsk, body: CreateAsk(series: series, lots: lots, price: price))
            }
            try output.item(
                view,
                [
                    ("Order", view.id.description), ("State", view.state.rawValue), ("Lots", "\(view.lots)"),
                    ("Price", priceText(view.price)),
                ])
        }
    }
}
