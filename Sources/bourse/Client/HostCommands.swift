import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host", abstract: "Seller: hosts.",
        subcommands: [
            List.self, Show.self, Create.self, Set.self, Enrol.self, Cordon.self, Uncordon.self, Drain.self, Moves.self, Fence.self,
            Release.self,
            Maintenance.self, Drift.self, Retire.self,
        ], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List hosts, those that wait for their node among them.")
        @Option(help: "Only hosts of this pod.") var pod: String?
        @Option(help: "Only hosts of this rack.") var rack: String?
        @Option(help: "Only hosts in this state: up, suspect, waiting, cordoned, draining, expected, ….") var state: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let query = ["pod": pod, "rack": rack, "state": state].compactMapValues { $0 }
            let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listHosts, query: query) }
            let columns = [
                "id", "name", "state", "zone", "pod", "rack", "vCPU used", "vCPU", "memory used", "memory MiB", "machines", "busy",
                "last seen",
            ]
            try output.list(items, columns: columns) {
                [
                    $0.id.description, $0.name, $0.state, $0.zone, $0.pod, $0.rack ?? "-",
                    decimalText(microUnits: $0.allocated.milliCPU * 1_000), decimalText(microUnits: $0.capacity.milliCPU * 1_000),
                    "\($0.allocated.memoryMiB)", "\($0.capacity.memoryMiB)", "\($0.instances)",
                    $0.load.map { "\($0.percent) %" } ?? "-", timeText($0.lastSeen),
                ]
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a host: its place, what becomes of it and what waits for it, its windows, and what its node found in it.")
        @Argument(help: "h-… or a name") var host: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.connect.with { try await $0.call(ConnectAPI.showHost, path: ["host": host]) }
            try HostCommand.show(view, output)
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare a host; its node takes the place when it joins.",
            discussion: "bourse host create r01-n07 --pod pod-1 --rack r01, then `bourse host enrol r01-n07` for the node's token.")
        @Argument(help: "Name") var host: String
        @Option var pod: String
        @Option var rack: String?
        @Option(help: "A fault domain beside those of its rack; may be said again.") var domain: [String] = []
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let settings = HostSettings(pod: pod, rack: rack, domains: domain.isEmpty ? nil : domain)
            try HostCommand.show(try await create(ConnectAPI.putHost, ["host": host], settings), output)
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Move a host, or say in which fault domains it is.")
        @Argument(help: "h-… or a name") var host: String
        @Option var pod: String?
        @Option(help: "A rack; - for none.") var rack: String?
        @Option(help: "A fault domain beside those of its rack, in place of those before; - for none; may be said again.")
        var domain: [String] = []
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await change(ConnectAPI.showHost, ConnectAPI.putHost, ["host": host], \.settings) { settings in
                settings.pod = pod ?? settings.pod
                settings.rack = cleared(rack, settings.rack)
                settings.domains = cleared(domain, settings.domains)
            }
            try HostCommand.show(view, output)
        }
    }

    struct Enrol: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a one-time token with which a node joins.")
        @Argument(help: "A host that is declared; any when absent.") var host: String?
        @Option(help: "The pod it joins; the first when absent.") var pod: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = CreateNodeEnrolment(pod: pod, host: host)
            let view = try await Target.connect.with { try await $0.call(ConnectAPI.createNodeEnrolment, body: body) }
            try output.item(view, [("Token", view.token), ("Good until", timeText(view.expires) + " UTC")])
        }
    }

    struct Cordon: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let nothing new go to a host; what runs there goes on.")
        @Argument(help: "h-… or a name") var host: String
        @Option(help: "For the people who wonder.") var reason: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await HostCommand.act(.cordon, host, reason, output) }
    }

    struct Uncordon: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring a host back: ends a cordon, a drain or maintenance, and a window that has begun.")
        @Argument(help: "h-… or a name") var host: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await HostCommand.act(.uncordon, host, nil, output) }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Trust a quarantined host again.")
        @Argument(help: "h-… or a name") var host: String
        @OptionGroup var output: OutputOptions
        func run() async throws { try await HostCommand.act(.release, host, nil, output) }
    }

    struct Drift: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What on a host differs from its pod's profile and baseline.")
        @Argument(help: "h-… or a name; all hosts when absent.") var host: String?
        @Option(help: "Only hosts of this pod.") var pod: String?
        @OptionGroup var output: OutputOptions
        func run() async throws { try await showDrift(pod: pod, host: host, output) }
    }

    struct Retire: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take an empty host out of the topology for good.")
        @Argument(help: "h-… or a name") var host: String
        func run() async throws {
            _ = try await Target.connect.with { try await $0.call(ConnectAPI.retireHost, path: ["host": host]) }
            print("Host \(host) is retired.")
        }
    }

    private static func act(_ action: HostAction, _ host: String, _ reason: String?, _ output: OutputOptions) async throws {
        let body = ActOnHost(action: action, reason: reason)
        try show(try await Target.connect.with { try await $0.call(ConnectAPI.actOnHost, path: ["host": host], body: body) }, output)
    }

    static func show(_ view: HostDetail, _ output: OutputOptions) throws {
        let inventory = view.inventory
        let cells = inventory.map { $0.cells.map { "\($0.cell): \($0.cpus) threads, \($0.memoryMiB) MiB" }.joined(separator: "; ") }
        try output.item(
            view,
            [
                ("Host", view.host.id.description), ("Name", view.host.name), ("State", view.host.state), ("Zone", view.host.zone),
                ("Pod", view.settings.pod), ("Rack", view.settings.rack),
                ("Domains", view.domains.isEmpty ? nil : view.domains.joined(separator: ", ")),
                ("Wanted", view.cordon.map { "\(view.life?.duty ?? "") by \($0.cause) since \(timeText($0.since)): \($0.reason)" }),
                ("Machines", "\(view.host.instances)"), ("Busy", view.host.load.map(\.text)), ("Last seen", timeText(view.host.lastSeen)),
                ("Product", inventory?.product),
                ("Serial", inventory?.serial), ("BIOS", inventory?.bios), ("NUMA cells", cells),
            ]
                + (view.life?.lines ?? []) + (view.tunnel?.lines ?? []) + view.windows.map { ("Window", $0.text) }
                + (view.endedWindows ?? []).map { ("Window", $0.text + "; ended early by this") }
                + (inventory?.devices ?? []).map {
                    ($0.kind.rawValue, "\($0.name) \($0.model)" + ($0.firmware.map { " (\($0))" } ?? ""))
                })
    }
}

extension HostCommand {
    struct Maintenance: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Maintenance windows: a host is cordoned at the start and back at the end.",
            subcommands: [Plan.self, List.self, Cancel.self], defaultSubcommand: List.self)

        struct Plan: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Plan a window.",
                discussion: "bourse host maintenance plan n07 --from 2026-12-01T22:00:00Z --to 2026-12-02T02:00:00Z --reason 'new firmware'"
            )
            @Argument(help: "h-… or a name") var host: String
            @Option(help: "UTC, e.g. 2026-12-01T22:00:00Z; now when absent.") var from: String?
            @Option(help: "UTC, e.g. 2026-12-02T02:00:00Z") var to: String
            @Option(help: "For the people who wonder.") var reason: String
            @OptionGroup var output: OutputOptions
            func run() async throws {
                let start = try from.map(instant) ?? Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
                let end = try instant(to)
                guard start < end else {
                    throw ValidationError("A window ends after it begins: \(timeText(end)) is not after \(timeText(start)).")
                }
                let body = PlanMaintenance(period: Period(start: start, end: end), reason: reason)
                let view = try await Target.connect.with { try await $0.call(ConnectAPI.planMaintenance, path: ["host": host], body: body) }
                try Maintenance.show([view], output)
            }

            private func instant(_ text: String) throws -> Instant {
                guard let instant = Instant(text) else { throw ValidationError("'\(text)' is not a time such as 2026-12-01T22:00:00Z.") }
                return instant
            }
        }

        struct List: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "List windows, the latest first.")
            @Argument(help: "h-… or a name; all hosts when absent.") var host: String?
            @OptionGroup var output: OutputOptions
            func run() async throws {
                let query = host.map { ["host": $0] } ?? [:]
                try Maintenance.show(
                    try await Target.connect.with { try await $0.items(of: ConnectAPI.listMaintenance, query: query, most: 1_000) }, output)
            }
        }

        struct Cancel: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Cancel a window, or end it now.")
            @Argument(help: "mnt-…") var window: String
            @OptionGroup var output: OutputOptions
            func run() async throws {
                let view = try await Target.connect.with { try await $0.call(ConnectAPI.cancelMaintenance, path: ["window": window]) }
                try Maintenance.show([view], output)
            }
        }

        private static func show(_ views: [MaintenanceView], _ output: OutputOptions) throws {
            try output.list(views, columns: ["id", "host", "state", "from", "to", "reason"]) {
                [$0.id.description, $0.hostName, $0.state.rawValue, timeText($0.period.start), timeText($0.period.end), $0.reason]
            }
        }
    }
}

extension HostLoadView {
    fileprivate var percent: Int64 { milliCPU * 100 / max(1, hardwareMilliCPU) }
    fileprivate var text: String {
        let (used, all) = (decimalText(microUnits: milliCPU * 1_000), decimalText(microUnits: hardwareMilliCPU * 1_000))
        return "\(used) of \(all) hardware threads (\(percent) %), \(memoryMiB) MiB of memory in use; told \(timeText(at))"
    }
}

extension MaintenanceView {
    fileprivate var text: String { "\(id) \(state.rawValue), \(timeText(period.start)) to \(timeText(period.end))" }
}

extension TunnelView {
    fileprivate var lines: [(String, String?)] {
        guard let refusal else { return [("Tunnel", address)] }
        return [("Tunnel", "none: " + refusal.message), ("", refusal.nearest.map { "Nearest: \($0)" })]
    }
}

/// A value that was given in place of the one before; `-` is none.
func cleared(_ given: String?, _ before: String?) -> String? { given.map { $0 == "-" ? nil : $0 } ?? before }
func cleared(_ given: [String], _ before: [String]?) -> [String]? { given.isEmpty ? before : given == ["-"] ? nil : given }

func showDrift(pod: String?, host: String?, _ output: OutputOptions) async throws {
    let query = ["pod": pod, "host": host].compactMapValues { $0 }
    let report = try await Target.connect.with { try await $0.call(ConnectAPI.showDrift, query: query) }
    guard output.output == .table else { return try output.item(report, []) }
    try output.list(report.differences, columns: ["host", "what", "expected", "found"], empty: report.nothing) {
        [$0.hostName, $0.what, $0.expected, $0.found]
    }
    if report.hosts > 0 { print("\n" + report.counts) }
}

extension DriftReport {
    /// What it means that no difference was found.
    var nothing: String {
        if hosts == 0 { return "There are no hosts to compare." }
        if unknown == hosts { return "Nothing was compared: no host has told its inventory yet." }
        if unstated == hosts { return "Nothing was compared: no pod of these hosts states a profile or a baseline." }
        return unknown + unstated == 0 ? "Nothing differs." : "Nothing differs on the hosts that could be compared."
    }

    var counts: String {
        let told = unknown == 0 ? "all have told their inventory" : "\(unknown) have not told their inventory yet"
        let stated = unstated == 0 ? "" : "; \(unstated) are in pods without profile and baseline"
        return "\(drifted) of \(hosts) hosts differ; \(told)\(stated)."
    }
}
