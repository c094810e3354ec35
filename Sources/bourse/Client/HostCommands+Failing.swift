import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

/// Hosts that fail or are emptied.
extension HostCommand {
    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move everything off a host; nothing new goes there until it is uncordoned.")
        @Argument(help: "h-… or a name") var host: String
        @Option(help: "For the people who wonder.") var reason: String
        @Flag(help: "Running machines may be shut down and started again elsewhere.") var restart = false
        @Option(help: "Moves at once, 1 to 50.") var moves: Int64 = 2
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = DrainHost(reason: reason, mayRestart: restart, concurrentMoves: moves)
            try HostCommand.show(
                try await Target.connect.with { try await $0.call(ConnectAPI.drainHost, path: ["host": host], body: body) }, output)
        }
    }

    struct Fence: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Switch a host off by its power driver, or vouch that it is off.",
            discussion: "Vouch only for a host you have seen off: if it runs, machines run twice and destroy their disks.")
        @Argument(help: "h-… or a name") var host: String
        @Flag(help: "It is off: I have seen it.") var vouchOff = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = FenceHost(vouchedOff: vouchOff)
            try HostCommand.show(
                try await Target.connect.with { try await $0.call(ConnectAPI.fenceHost, path: ["host": host], body: body) }, output)
        }
    }
}

extension HostLifeView {
    /// What a person wants to know beside the state.
    var lines: [(String, String?)] {
        var lines: [(String, String?)] = [
            ("Health", "\(health) since \(timeText(since))"), ("Known to be off", proof), ("Trouble", trouble), ("Quarantine", quarantine),
        ]
        if let drain {
            lines.append(
                (
                    "Drain",
                    drain.done
                        ? "done"
                        : "\(drain.underWay) moving, \(drain.settling) starting or stopping, \(drain.queued) to go, \(drain.blockedCount) blocked"
                ))
        }
        let held = (drain?.blocked ?? []) + (drain?.unsettled ?? []) + waiting
        lines += held.map { ("\($0.instance)", $0.message + ($0.nearest.map { " Nearest: \($0)" } ?? "")) }
        guard let drain else { return lines }
        let more = drain.blockedCount + drain.settling - Int64(drain.blocked.count + drain.unsettled.count)
        return more > 0 ? lines + [("", "… and \(more) more that hold the drain up")] : lines
    }
}

/// Machines as the seller sees them.
enum SellersMachines {
    static func list(on host: String?, stuck: Bool, _ output: OutputOptions) async throws {
        if stuck { return try await listStuck(on: host, output) }
        let items = try await Target.connect.with {
            try await $0.items(of: ConnectAPI.listInstances, query: host.map { ["host": $0] } ?? [:])
        }
        let columns = ["id", "state", "host", "contract", "vCPU", "memory MiB", "disk MiB", "address", "since", "reason"]
        try output.list(items, columns: columns, empty: "There are no machines.") {
            [
                $0.id.description, $0.state.rawValue, $0.hostName ?? "-", $0.contract.description,
                decimalText(microUnits: $0.resources.milliCPU * 1_000), "\($0.resources.memoryMiB)", "\($0.resources.diskMiB)",
                $0.privateAddress ?? "-", timeText($0.stateChanged), $0.reason?.message ?? "",
            ]
        }
    }

    /// Those that do not get where they should.
    private static func listStuck(on host: String?, _ output: OutputOptions) async throws {
        let query = ["stuck": "true"].merging(host.map { ["host": $0] } ?? [:]) { first, _ in first }
        let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listInstances, query: query) }
        try output.list(items, columns: ["id", "state", "host", "since", "why", "nearest"], empty: "Nothing is stuck.") {
            [
                $0.id.description, $0.state.rawValue, $0.hostName ?? "-", $0.stuck.map { timeText($0.since) } ?? "-",
                $0.stuck?.reason.message ?? "", $0.stuck?.nearest ?? "",
            ]
        }
    }
}

extension MoveView {
    /// How far it is.
    var progress: String {
        let left = leftMiB.map { "\(doneMiB ?? 0) MiB done, \($0) MiB left" }
        let still = downtimeMilliseconds.map { "\(ended == nil ? "would stand" : "stood") still for \($0) ms" }
        return [left, still].compactMap { $0 }.joined(separator: ", ")
    }
}

extension HostCommand {
    struct Moves: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The latest moves of machines between hosts: live or cold, how far, and why.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listMoves) }
            try output.list(
                items, columns: ["machine", "mode", "phase", "from", "to", "began", "progress", "why"], empty: "Nothing has moved."
            ) {
                [
                    $0.instance.description, $0.mode.rawValue, $0.phase, $0.sourceName ?? $0.source.description,
                    $0.targetName ?? $0.target.description, timeText($0.began), $0.progress, $0.why ?? "",
                ]
            }
        }
    }
}

extension InstanceCommand {
    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seller: the latest move of a machine from one host to another, and how far it is.")
        @Argument(help: "i-…") var instance: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.connect.with { try await $0.call(ConnectAPI.showMove, path: ["instance": instance], body: Empty()) }
            try output.item(
                view,
                [
                    ("Mode", view.mode.rawValue), ("Cause", view.cause), ("Phase", view.phase),
                    ("From", view.sourceName ?? view.source.description), ("To", view.targetName ?? view.target.description),
                    ("Began", timeText(view.began)), ("Ended", view.ended.map { timeText($0) }),
                    ("Given up at", view.ended == nil ? view.deadline.map { timeText($0) } : nil), ("Progress", view.progress),
                    ("Why", view.why),
                ])
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Seller: ask the host of a stuck machine again.")
        @Argument(help: "i-…") var instance: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.connect.with {
                try await $0.call(ConnectAPI.retryInstance, path: ["instance": instance], body: Empty())
            }
            try output.item(view, [("State", view.state.rawValue), ("Generation", "\(view.generation)")])
        }
    }
}
