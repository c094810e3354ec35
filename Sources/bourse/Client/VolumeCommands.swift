import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume", abstract: "Volumes: disks that outlive the machines they are attached to.",
        subcommands: [List.self, Create.self, Show.self, Attach.self, Detach.self, Resize.self, Delete.self, Retry.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List volumes.")
        @Flag(help: "As the seller's operator: all volumes of the datacenter.") var seller = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            if seller {
                let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listVolumes) }
                return try output.list(
                    items, columns: ["id", "state", "MiB", "IOPS", "host", "pod", "instance", "device", "contract", "reason"]
                ) {
                    [
                        $0.id.description, $0.state.rawValue, "\($0.sizeMiB)", "\($0.iops)", $0.hostName ?? "-", $0.pod,
                        $0.instance?.description ?? "-", $0.device ?? "-", $0.contract.description, $0.reason?.message ?? "",
                    ]
                }
            }
            let items = try await Target.manage.with { try await $0.items(of: ManageAPI.listVolumes) }
            try output.list(items, columns: ["id", "name", "state", "MiB", "IOPS", "instance", "device", "zone", "host", "reason"]) {
                [
                    $0.id.description, $0.name ?? "-", $0.state.rawValue, "\($0.sizeMiB)", "\($0.iops)", $0.instance?.description ?? "-",
                    $0.device ?? "-", $0.zone ?? "-", $0.host ?? "-", $0.reason?.message ?? $0.step ?? "",
                ]
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a volume.", discussion: "bourse volume create --size 2048 --instance i-… --name data")
        @Option(help: "MiB") var size: Int64
        @Option(help: "Operations per second promised, and the most allowed; without it, none are promised.") var iops: Int64?
        @Option var zone: String?
        @Option(help: "Put it where this machine can have it.") var instance: String?
        @Option var name: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = CreateManagedVolume(sizeMiB: size, iops: iops, zone: zone, instance: try identifier(of: instance), name: name)
            try show(try await Target.manage.with { try await $0.call(ManageAPI.createVolume, body: body) }, output)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one volume.")
        @Argument(help: "vol-…") var volume: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show(try await Target.manage.with { try await $0.call(ManageAPI.showVolume, path: ["volume": volume]) }, output)
        }
    }

    struct Attach: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Give a machine a volume, running or not.")
        @Argument(help: "vol-…") var volume: String
        @Argument(help: "i-…") var instance: String
        @Option(help: "vdb to vdu; the first that is free when absent.") var device: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try await act(ActOnManagedVolume(action: .attach, instance: try identifier(of: instance), device: device), volume, output)
        }
    }

    struct Detach: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a volume from its machine; unmount it there first.")
        @Argument(help: "vol-…") var volume: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(ActOnManagedVolume(action: .detach), volume, output) }
    }

    struct Resize: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a volume larger, also while a machine has it.")
        @Argument(help: "vol-…") var volume: String
        @Option(help: "MiB") var size: Int64?
        @Option var iops: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(ActOnManagedVolume(action: .resize, sizeMiB: size, iops: iops), volume, output) }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a volume and what is on it.")
        @Argument(help: "vol-…") var volume: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(ActOnManagedVolume(action: .delete), volume, output) }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Have another try at a volume that is in error or stuck.")
        @Argument(help: "vol-…") var volume: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await act(ActOnManagedVolume(action: .retry), volume, output) }
    }

    private static func identifier(of text: String?) throws -> InstanceID? {
        try text.map { text in
            guard let id = InstanceID(text) else { throw ValidationError("'\(text)' is not a machine; see `bourse instance list`.") }
            return id
        }
    }

    private static func act(_ body: ActOnManagedVolume, _ volume: String, _ output: OutputOptions) async throws {
        try show(
            try await Target.manage.with { try await $0.call(ManageAPI.actOnVolume, path: ["volume": volume], body: body) }, output)
    }

    private static func show(_ view: ManagedVolumeView, _ output: OutputOptions) throws {
        try output.item(
            view,
            [
                ("Volume", view.id.description), ("Name", view.name), ("State", view.state.rawValue), ("Reason", view.reason?.message),
                ("Doing", view.step), ("MiB", "\(view.sizeMiB)"), ("MiB now", "\(view.actualMiB)"), ("IOPS", "\(view.iops)"),
                ("Machine", view.instance?.description), ("Device", view.device), ("Zone", view.zone), ("Pod", view.pod),
                ("Host", view.host), ("Seller", view.seller), ("Contract", view.contract.description),
                ("Made", timeText(view.created) + " UTC"),
            ])
    }
}
