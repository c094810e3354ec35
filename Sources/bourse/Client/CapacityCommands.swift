import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

struct CapacityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capacity", abstract: "Seller: what of the hosts is set aside, for what, and what is free.",
        subcommands: [Show.self, Pods.self, Reservations.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lots set aside and free, product by product; and what the hosts have to give, pod by pod.",
            discussion:
                "`free` is what one more ask could offer for spot; products share the hosts, so what one takes is not there for another.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listProductCapacity) }
            let columns = ["product", "held", "reserved", "pending", "offered", "sold", "short", "free"]
            try output.list(items, columns: columns, empty: "This datacenter can deliver no product that is known here.") {
                [
                    $0.productName, "\($0.held)", "\($0.reserved)", "\($0.pending)", "\($0.offered)", "\($0.sold)", "\($0.short)",
                    "\($0.free)",
                ]
            }
            guard output.output == .table else { return }
            print("")
            try await Pods.show(output)
        }
    }

    struct Pods: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What the hosts of each pod promise and what of it is free, whatever is sold.",
            discussion:
                "Free is what is left on hosts that take instances now, together; no single instance may find all of it on one host.")
        @OptionGroup var output: OutputOptions
        func run() async throws { try await Self.show(output) }

        fileprivate static func show(_ output: OutputOptions) async throws {
            let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listPodCapacity) }
            let columns = ["pod", "zone", "hosts", "open", "vCPU", "vCPU free", "memory MiB", "memory free", "disk MiB", "disk free"]
            try output.list(items, columns: columns, empty: "There are no pods.") {
                [
                    $0.pod, $0.zone, "\($0.hosts)", "\($0.open)", decimalText(microUnits: $0.promised.milliCPU * 1_000),
                    decimalText(microUnits: $0.free.milliCPU * 1_000), "\($0.promised.memoryMiB)", "\($0.free.memoryMiB)",
                    "\($0.promised.diskMiB)", "\($0.free.diskMiB)",
                ]
            }
        }
    }

    struct Reservations: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What is set aside for which order, on which hosts; newest first.")
        @Flag(help: "Those given back, too.") var all = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let query = all ? [:] : ["state": "open"]
            let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listReservations, query: query, most: 1_000) }
            let columns = [
                "id", "product", "state", "pending", "offered", "sold", "released", "delivery", "order", "hosts", "since", "why",
            ]
            try output.list(items, columns: columns, empty: "Nothing is set aside.") { item in
                [
                    item.id.description, item.productName, item.state.rawValue, "\(item.pending)", "\(item.offered)", "\(item.sold)",
                    "\(item.released)", item.period.map { "\(timeText($0.start)) to \(timeText($0.end))" } ?? "spot",
                    item.order?.description ?? "-", item.hosts.map { "\($0.host): \($0.lots)" }.joined(separator: ", "),
                    timeText(item.changed), item.reason,
                ]
            }
        }
    }
}
