import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

struct ZoneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zone", abstract: "Seller: zones, which fail alone.",
        subcommands: [List.self, Show.self, Create.self, Set.self, Remove.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List zones.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show(try await Target.connect.with { try await $0.items(of: ConnectAPI.listZones) }, output)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a zone.")
        @Argument var zone: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show([try await Target.connect.with { try await $0.call(ConnectAPI.showZone, path: ["zone": zone]) }], output)
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add a zone.")
        @Argument var zone: String
        @Option(help: "Country code, e.g. SE.") var jurisdiction: String?
        @Option(help: "Building, hall or floor.") var site: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show(
                [try await create(ConnectAPI.putZone, ["zone": zone], ZoneSettings(jurisdiction: jurisdiction, site: site))], output)
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change a zone.")
        @Argument var zone: String
        @Option(help: "Country code, e.g. SE; - for none.") var jurisdiction: String?
        @Option(help: "Building, hall or floor; - for none.") var site: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await change(ConnectAPI.showZone, ConnectAPI.putZone, ["zone": zone], \.settings) { settings in
                settings.jurisdiction = cleared(jurisdiction, settings.jurisdiction)
                settings.site = cleared(site, settings.site)
            }
            try show([view], output)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Remove a zone that nothing is in.")
        @Argument var zone: String
        func run() async throws {
            _ = try await Target.connect.with { try await $0.call(ConnectAPI.removeZone, path: ["zone": zone]) }
            print("Zone \(zone) is removed.")
        }
    }

    private static func show(_ views: [ZoneView], _ output: OutputOptions) throws {
        try output.list(views, columns: ["zone", "jurisdiction", "site", "pods", "racks", "hosts"]) {
            [$0.name, $0.settings.jurisdiction ?? "-", $0.settings.site ?? "-", "\($0.pods)", "\($0.racks)", "\($0.hosts)"]
        }
    }
}

struct FaultDomainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fault-domain", abstract: "Seller: power, network and facility domains.",
        subcommands: [List.self, Create.self, Set.self, Remove.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List fault domains and what they bear.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show(try await Target.connect.with { try await $0.items(of: ConnectAPI.listFaultDomains) }, output)
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add a fault domain.")
        @Argument(help: "Name") var domain: String
        @Option(help: "power, network or facility") var kind: String
        @Option var zone: String
        @Option(help: "Watts, or ports of a switch; none when absent.") var limit: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let settings = FaultDomainSettings(kind: try faultDomainKind(kind), zone: zone, limit: limit)
            try show([try await create(ConnectAPI.putFaultDomain, ["domain": domain], settings)], output)
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change a fault domain.")
        @Argument(help: "Name") var domain: String
        @Option(help: "power, network or facility") var kind: String?
        @Option var zone: String?
        @Option(help: "Watts, or ports of a switch; - for none.") var limit: String?
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if let limit, limit != "-", Int64(limit) == nil { throw ValidationError("The limit is a whole number, or - for none.") }
        }

        func run() async throws {
            let kind = try kind.map(faultDomainKind)
            let view = try await change(ConnectAPI.showFaultDomain, ConnectAPI.putFaultDomain, ["domain": domain], \.settings) { settings in
                settings.kind = kind ?? settings.kind
                settings.zone = zone ?? settings.zone
                if let limit { settings.limit = Int64(limit) }
            }
            try show([view], output)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Remove a fault domain that nothing is in.")
        @Argument(help: "Name") var domain: String
        func run() async throws {
            _ = try await Target.connect.with { try await $0.call(ConnectAPI.removeFaultDomain, path: ["domain": domain]) }
            print("Fault domain \(domain) is removed.")
        }
    }

    private static func show(_ views: [FaultDomainView], _ output: OutputOptions) throws {
        try output.list(views, columns: ["domain", "kind", "zone", "limit", "load", "hosts"]) {
            [
                $0.name, $0.settings.kind.rawValue, $0.settings.zone, $0.settings.limit.map(String.init) ?? "-", "\($0.load)",
                "\($0.hosts)",
            ]
        }
    }
}

private func faultDomainKind(_ text: String) throws -> FaultDomainKind {
    guard let kind = FaultDomainKind(rawValue: text) else { throw ValidationError("The kind is power, network or facility.") }
    return kind
}

struct RackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rack", abstract: "Seller: racks.",
        subcommands: [List.self, Show.self, Create.self, Set.self, Remove.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List racks.")
        @Option(help: "Only racks of this pod.") var pod: String?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let query = pod.map { ["pod": $0] } ?? [:]
            try show(try await Target.connect.with { try await $0.items(of: ConnectAPI.listRacks, query: query) }, output)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a rack.")
        @Argument var rack: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            try show([try await Target.connect.with { try await $0.call(ConnectAPI.showRack, path: ["rack": rack]) }], output)
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add a rack.")
        @Argument var rack: String
        @Option var pod: String
        @Option(help: "Height in rack units.") var units: Int64?
        @Option(help: "What its power distribution bears.") var watts: Int64?
        @Option(help: "A fault domain its hosts are in; may be said again.") var domain: [String] = []
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let settings = RackSettings(pod: pod, units: units, watts: watts, domains: domain.isEmpty ? nil : domain)
            try show([try await create(ConnectAPI.putRack, ["rack": rack], settings)], output)
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change a rack.")
        @Argument var rack: String
        @Option(help: "Height in rack units.") var units: Int64?
        @Option(help: "What its power distribution bears.") var watts: Int64?
        @Option(help: "A fault domain its hosts are in, in place of those before; - for none; may be said again.")
        var domain: [String] = []
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await change(ConnectAPI.showRack, ConnectAPI.putRack, ["rack": rack], \.settings) { settings in
                settings.units = units ?? settings.units
                settings.watts = watts ?? settings.watts
                settings.domains = cleared(domain, settings.domains)
            }
            try show([view], output)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Remove a rack that nothing is in.")
        @Argument var rack: String
        func run() async throws {
            _ = try await Target.connect.with { try await $0.call(ConnectAPI.removeRack, path: ["rack": rack]) }
            print("Rack \(rack) is removed.")
        }
    }

    private static func show(_ views: [RackView], _ output: OutputOptions) throws {
        try output.list(views, columns: ["rack", "zone", "pod", "units", "watts", "hosts", "domains"]) {
            [
                $0.name, $0.zone, $0.settings.pod, $0.settings.units.map(String.init) ?? "-", $0.settings.watts.map(String.init) ?? "-",
                "\($0.hosts)", ($0.settings.domains ?? []).joined(separator: ", "),
            ]
        }
    }
}
