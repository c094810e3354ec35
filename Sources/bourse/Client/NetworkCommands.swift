import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

struct NetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network", abstract: "Networks: private addresses that machines have wherever they run in a datacenter.",
        subcommands: [List.self, Create.self, Show.self, Delete.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List networks.")
        @Flag(help: "As the seller's operator: all networks of the datacenter.") var seller = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            if seller {
                let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listNetworks) }
                return try output.list(
                    items, columns: ["id", "name", "state", "addresses", "vni", "machines", "free", "zone", "account", "buyer"]
                ) {
                    [
                        $0.id.description, $0.name ?? "-", $0.state.rawValue, $0.cidr, "\($0.vni)", "\($0.instances)",
                        "\($0.addressesFree)",
                        $0.zone ?? "-", $0.account.description, $0.buyer.description,
                    ]
                }
            }
            let items = try await Target.manage.with { try await $0.items(of: ManageAPI.listNetworks) }
            try output.list(items, columns: ["id", "name", "state", "addresses", "zone", "seller", "reason"]) {
                [
                    $0.id.description, $0.name ?? "-", $0.state.rawValue, $0.cidr, $0.zone ?? "-", $0.seller ?? "-", $0.step ?? "",
                ]
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a network where you have a contract.", discussion: "bourse network create --cidr 10.1.0.0/24 --name web")
        @Option(help: "A block of private addresses from /16 to /28; other networks may have the same.") var cidr: String
        @Option var name: String?
        @Option(help: "Machines on it run in this zone; that of a contract in force when absent.") var zone: String?
        @Flag(help: "Machines on it do not reach the world.") var isolated = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = CreateManagedNetwork(cidr: cidr, name: name, zone: zone, internet: isolated ? false : nil)
            try show(try await Target.manage.with { try await $0.call(ManageAPI.createNetwork, body: body) }, output)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one network, and on which hosts it is.")
        @Argument(help: "vpc-…") var network: String
        @Flag(help: "As the seller's operator.") var seller = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let path = ["network": network]
            if seller { return try show(try await Target.connect.with { try await $0.call(ConnectAPI.showNetwork, path: path) }, output) }
            try show(try await Target.manage.with { try await $0.call(ManageAPI.showNetwork, path: path) }, output)
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a network that no machine is on.",
            discussion: "At the seller it is `deleting` until each host that had machines on it has said that nothing of it is left.")
        @Argument(help: "vpc-…") var network: String
        @Flag(help: "As the seller's operator.") var seller = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let path = ["network": network]
            if seller { return try show(try await Target.connect.with { try await $0.call(ConnectAPI.deleteNetwork, path: path) }, output) }
            try show(try await Target.manage.with { try await $0.call(ManageAPI.deleteNetwork, path: path) }, output)
        }
    }

    private static func show(_ view: ManagedNetworkView, _ output: OutputOptions) throws {
        try output.item(
            view,
            [
                ("Network", view.id.description), ("Name", view.name), ("State", view.state.rawValue), ("Waiting for", view.step),
                ("Addresses", view.cidr), ("Zone", view.zone), ("Internet", view.internet ? "yes" : "no"), ("Seller", view.seller),
                ("Account", view.account.description), ("Made", timeText(view.created) + " UTC"),
            ] + (view.seen.map(facts) ?? []))
    }

    private static func show(_ view: NetworkView, _ output: OutputOptions) throws {
        try output.item(
            view,
            [
                ("Network", view.id.description), ("Name", view.name), ("State", view.state.rawValue), ("Addresses", view.cidr),
                ("Zone", view.zone), ("Internet", view.internet ? "yes" : "no"), ("Account", view.account.description),
                ("Buyer", view.buyer.description), ("Made", timeText(view.created) + " UTC"),
            ] + facts(view))
    }

    private static func facts(_ view: NetworkView) -> [(String, String?)] {
        let hosts = (view.hosts ?? []).map { member -> (String, String?) in
            let state = member.reason.map { "\(member.observed?.rawValue ?? "-"): \($0.message)" } ?? member.observed?.rawValue
            let isLeaving = member.desired == .absent ? ", to be taken away" : ""
            return ("Host \(member.hostName ?? member.host.description)", (state ?? "not heard yet") + isLeaving)
        }
        return [
            ("Gateway", view.gateway), ("Free", "\(view.addressesFree) of \(view.addresses)"), ("Machines", "\(view.instances)"),
            ("VNI", "\(view.vni)"),
        ] + hosts
    }
}
