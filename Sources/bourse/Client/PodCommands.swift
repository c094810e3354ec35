import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

struct PodCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pod", abstract: "Seller: pods, hosts that are all alike.",
        subcommands: [List.self, Show.self, Create.self, Set.self, Remove.self, Drift.self, Plan.self, Rebalance.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List pods and how many hosts they have room for.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listPods) }
            try output.list(items, columns: ["pod", "zone", "kind", "storage", "cpu", "memory", "disk", "racks", "hosts", "room", "by"]) {
                let ratios = $0.settings.oversubscription
                return [
                    $0.name, $0.settings.zone, $0.settings.kind.rawValue, $0.settings.storage.rawValue, ratioText(ratios.cpu),
                    ratioText(ratios.memory), ratioText(ratios.disk), "\($0.racks)", "\($0.hosts)",
                    $0.room.first.map { "\($0.hosts)" } ?? "-", $0.room.first?.limit ?? "-",
                ]
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a pod, its profile and its limits.")
        @Argument var pod: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show(try await Target.connect.with { try await $0.call(ConnectAPI.showPod, path: ["pod": pod]) }, output)
        }
    }

    /// What may be said of a pod; profile and baseline come with a topology file.
    struct Settings: ParsableArguments {
        @Option(help: "virtual or metal") var kind: String?
        @Option(help: "das, nas or san") var storage: String?
        @Option(help: "Thousandths of processors promised; 8000 is 8:1.") var cpu: Int64?
        @Option(help: "Thousandths of memory promised.") var memory: Int64?
        @Option(help: "Thousandths of disk promised.") var disk: Int64?
        @Option(help: "How hosts are chosen: packing, spreading, firstFit, lifetimeAligned or gpuFragmentation.") var policy: String?
        @Option(help: "Most hosts.") var hosts: Int64?
        @Option(help: "IOPS of its shared storage.") var storageIops: Int64?
        @Option(help: "MB/s of its shared storage.") var storageMbps: Int64?
        @Option(help: "Switch ports for hosts.") var networkPorts: Int64?
        @Option(help: "Guests in its broadcast domain.") var broadcastGuests: Int64?

        func apply(to settings: inout PodSettings) throws {
            if let kind {
                guard let value = HostingKind(rawValue: kind) else { throw ValidationError("The kind is virtual or metal.") }
                settings.kind = value
            }
            if let storage {
                guard let value = StorageArchitecture(rawValue: storage) else { throw ValidationError("The storage is das, nas or san.") }
                settings.storage = value
            }
            if let policy {
                guard let value = PodPolicy(rawValue: policy) else {
                    throw ValidationError("The policy is one of \(PodPolicy.allCases.map(\.rawValue).joined(separator: ", ")).")
                }
                settings.policy = value
            }
            settings.oversubscription.cpu = cpu ?? settings.oversubscription.cpu
            settings.oversubscription.memory = memory ?? settings.oversubscription.memory
            settings.oversubscription.disk = disk ?? settings.oversubscription.disk
            var limits = settings.limits ?? PodSizeLimits()
            limits.hosts = hosts ?? limits.hosts
            limits.storageIOPS = storageIops ?? limits.storageIOPS
            limits.storageMBps = storageMbps ?? limits.storageMBps
            limits.networkPorts = networkPorts ?? limits.networkPorts
            limits.broadcastGuests = broadcastGuests ?? limits.broadcastGuests
            settings.limits = limits == PodSizeLimits() ? nil : limits
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add a pod.")
        @Argument var pod: String
        @Option var zone: String
        @OptionGroup var given: Settings
        @OptionGroup var output: OutputOptions
        func run() async throws {
            var settings = PodSettings(
                zone: zone, kind: .virtual, storage: .das, oversubscription: OversubscriptionRatios(cpu: 1_000, memory: 1_000, disk: 1_000))
            try given.apply(to: &settings)
            try show(try await create(ConnectAPI.putPod, ["pod": pod], settings), output)
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change a pod.")
        @Argument var pod: String
        @OptionGroup var given: Settings
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await change(ConnectAPI.showPod, ConnectAPI.putPod, ["pod": pod], \.settings) { try given.apply(to: &$0) }
            try show(view, output)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Remove a pod that nothing is in.")
        @Argument var pod: String
        func run() async throws {
            _ = try await Target.connect.with { try await $0.call(ConnectAPI.removePod, path: ["pod": pod]) }
            print("Pod \(pod) is removed.")
        }
    }

    struct Drift: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Which hosts differ from the pod's profile and baseline, and in what.")
        @Argument(help: "All pods when absent.") var pod: String?
        @OptionGroup var output: OutputOptions
        func run() async throws { try await showDrift(pod: pod, host: nil, output) }
    }

    private static func show(_ view: PodDetail, _ output: OutputOptions) throws {
        let (settings, ratios) = (view.settings, view.settings.oversubscription)
        try output.item(
            view,
            [
                ("Pod", view.id.description), ("Name", view.name), ("Zone", settings.zone), ("Kind", settings.kind.rawValue),
                ("Storage", settings.storage.rawValue),
                (
                    "Oversubscription",
                    "cpu \(ratioText(ratios.cpu)), memory \(ratioText(ratios.memory)), disk \(ratioText(ratios.disk))"
                ), ("Policy", (settings.policy ?? .packing).rawValue), ("Profile", settings.profile?.name), ("Racks", "\(view.racks)"),
                ("Hosts", "\(view.hosts)"),
                ("Baseline", settings.baseline.map { "\($0.product ?? "any product"), BIOS \($0.bios ?? "any")" }),
            ] + view.room.map { ("Room by \($0.limit)", "\(counted($0.hosts, "host")) (\($0.total), \($0.perHost) each)") })
    }
}
