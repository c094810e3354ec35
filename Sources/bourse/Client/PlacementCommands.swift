import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

struct PlacementCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "placement", abstract: "Seller: where instances would go, and how many still fit.",
        subcommands: [Explain.self, Simulate.self, Reservations.self, Release.self])

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What would happen with a launch now: the host, or the rules that hosts fall to and the nearest change.",
            discussion: "bourse placement explain --cpu 4 --memory 16384 --disk 40960 --group db:apart:rack")
        @OptionGroup var size: SizeOptions
        @Option(help: "Under the terms of this contract: ctr-…") var contract: String?
        @OptionGroup var terms: TermsOptions
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = ExplainPlacement(
                contract: try contract.map(contractID), resources: try size.resources, placement: try terms.terms)
            let view = try await Target.connect.with { try await $0.call(ConnectAPI.explainPlacement, body: body) }
            try output.item(view, Self.rows(view))
        }

        private static func rows(_ view: PlacementForecast) -> [(String, String?)] {
            var rows: [(String, String?)] = []
            rows.append(("Host", view.host.map { "\(view.hostName ?? "") \($0)" } ?? "none"))
            rows.append(("Pod", view.pod))
            rows.append(("Zone", view.zone))
            rows.append(("GPUs", view.gpus.map { $0.map { "\($0)" }.joined(separator: ", ") }))
            rows.append(("NUMA cell", view.cell.map { "\($0)" }))
            rows.append(("Hosts", "\(view.hosts), \(view.fitting) of them could take it"))
            for fallen in view.fallen { rows.append(("Fallen to \(fallen.rule)", "\(fallen.hosts)")) }
            rows.append(("Refused by", view.rule))
            rows.append(("Because", view.message))
            for change in view.changes { rows.append(("Would fit", change)) }
            if let preemption = view.preemption {
                let host = preemption.hostName ?? preemption.host.description
                rows.append(("Pre-emption", "of \(preemption.instances) on \(host), until \(timeText(preemption.until))"))
            }
            rows.append(("Nearest", view.nearest))
            return rows
        }
    }

    struct Simulate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "How many instances of a mix still fit, and which component is used up first.",
            discussion: "bourse placement simulate --shape small:1:4096:20480:3 --shape large:8:32768:102400:1")
        @Option(name: .customLong("shape"), help: "name:vCPU:memory MiB:disk MiB[:share], once or more") var shapes: [String]
        @Option(help: "Under the terms of this contract: ctr-…") var contract: String?
        @Option(help: "Only in this zone.") var zone: String?
        @Option(help: "Only in this pod, by name or identifier.") var pod: String?
        @Option(help: "Stop at so many, 1 to 200000; 100000 when absent.") var most: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = SimulatePlacement(
                mix: try shapes.map(shape), contract: try contract.map(contractID), zone: zone, pod: pod, most: most)
            let view = try await Target.connect.with {
                try await $0.call(ConnectAPI.simulatePlacement, body: body, deadline: .seconds(120))
            }
            try output.item(view, Self.rows(view))
        }

        private static func rows(_ view: PlacementSimulation) -> [(String, String?)] {
            var rows: [(String, String?)] = [("Instances", "\(view.instances) on \(counted(view.hosts, "host"))")]
            for shape in view.shapes { rows.append(("Of \(shape.name)", "\(shape.instances)")) }
            rows.append(("Ended at", view.endedAt ?? "the most that was asked for"))
            rows.append(("Binding", view.binding))
            for room in view.components ?? [] {
                rows.append(
                    (
                        "\(room.name) left",
                        "\(room.free) of \(room.promised), \(room.needed) needed; short on \(counted(room.hostsShort, "host"))"
                    ))
            }
            for fallen in view.fallen ?? [] { rows.append(("Fallen to \(fallen.rule)", "\(fallen.hosts)")) }
            return rows
        }

        private func shape(_ text: String) throws -> MixShape {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard (4...5).contains(parts.count), !parts[0].isEmpty, let cpu = microUnits(decimal: parts[1]), let memory = Int64(parts[2]),
                let disk = Int64(parts[3]), let share = parts.count == 5 ? Int64(parts[4]) : 1
            else { throw ValidationError("'\(text)' is not a shape such as small:1:4096:20480:3.") }
            return MixShape(
                name: parts[0], resources: Resources(milliCPU: cpu / 1_000, memoryMiB: memory, diskMiB: disk), share: share)
        }
    }

    struct Reservations: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List room that is held for instances which come later.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.connect.with { try await $0.items(of: ConnectAPI.listInstanceReservations) }
            try output.list(items, columns: ["id", "contract", "state", "until", "instances", "hosts"]) {
                [
                    $0.id.description, $0.contract.description, $0.state.rawValue, timeText($0.until), "\($0.places.count)",
                    Set($0.places.map { $0.hostName ?? $0.host.description }).sorted().joined(separator: ", "),
                ]
            }
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Give back room that is held.")
        @Argument(help: "hold-…") var reservation: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let view = try await Target.connect.with {
                try await $0.call(ConnectAPI.releaseInstanceReservation, path: ["reservation": reservation])
            }
            try output.item(view, [("Reservation", view.id.description), ("State", view.state.rawValue)])
        }
    }

    private static func contractID(_ text: String) throws -> ContractID {
        guard let id = ContractID(text) else { throw ValidationError("'\(text)' is not a contract; see `bourse contract list`.") }
        return id
    }
}

/// How large an instance is.
struct SizeOptions: ParsableArguments {
    @Option(help: "vCPU, e.g. 0.5") var cpu: String
    @Option(help: "MiB") var memory: Int64
    @Option(help: "MiB") var disk: Int64

    var resources: Resources {
        get throws {
            guard let cpu = microUnits(decimal: cpu) else { throw ValidationError("'\(cpu)' is not a number of vCPU such as 0.5.") }
            return Resources(milliCPU: cpu / 1_000, memoryMiB: memory, diskMiB: disk)
        }
    }
}

/// The terms of placement a launch may ask for.
struct TermsOptions: ParsableArguments {
    @Option(help: "Only in this zone.") var zone: String?
    @Option(help: "Only in this pod.") var pod: String?
    @Option(help: "Only on this host.") var host: String?
    @Option(name: .customLong("avoid"), help: "Not on this host; once or more.") var avoiding: [String] = []
    @Option(help: "With whom the host is shared: shared, group or exclusive.") var tenancy: String?
    @Option(name: .customLong("group"), help: "name:together|apart|spread[:host|rack|pod|zone|power|network|facility[:skew]]; up to 8")
    var groups: [String] = []
    @Flag(help: "Processor and memory from one NUMA cell.") var numa = false
    @Option(help: "Whole GPUs.") var gpus: Int64?
    @Option(help: "Thousandths of one GPU.") var gpuShare: Int64?
    @Option(help: "GPU model; once or more for any of them.") var gpuModel: [String] = []
    @Option(help: "das, nas or san") var storage: String?
    @Option(help: "ISO 3166 code of the law that applies.") var jurisdiction: String?
    @Option(help: "Largest oversubscription of processors in thousandths.") var oversubscription: Int64?
    @Flag(help: "Make room for firm instances when asked to, with two minutes of notice.") var interruptible = false
    @Option(help: "Among interruptible ones, lower go first: -100 to 100.") var priority: Int64?

    /// Nil: nothing was asked for.
    var terms: PlacementTerms? {
        get throws {
            var terms = PlacementTerms(zone: zone, pod: pod, host: host, jurisdiction: jurisdiction, priority: priority)
            terms.avoiding = avoiding.isEmpty ? nil : avoiding
            terms.tenancy = try tenancy.map { TenancyTerms(host: TenancyTerm(try Self.value($0, "tenancy"))) }
            terms.groups = groups.isEmpty ? nil : try groups.map(group)
            terms.numa = numa ? true : nil
            if let count = gpus ?? gpuShare.map({ _ in 1 }) {
                terms.gpu = GPUTerm(models: gpuModel.isEmpty ? nil : gpuModel, count: count, milliEach: gpuShare)
            }
            terms.storage = try storage.map { try Self.value($0, "storage") }
            terms.largestOversubscription = oversubscription.map {
                OversubscriptionRatios(cpu: $0, memory: 1_000_000, disk: 1_000_000)
            }
            terms.firmness = interruptible ? .interruptible : nil
            return terms == PlacementTerms() ? nil : terms
        }
    }

    private func group(_ text: String) throws -> GroupTerm {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (2...4).contains(parts.count), !parts[0].isEmpty else {
            throw ValidationError("'\(text)' is not a group such as db:apart:rack.")
        }
        var term = GroupTerm(name: parts[0], rule: try Self.value(parts[1], "rule"))
        if parts.count > 2 { term.domain = try Self.value(parts[2], "domain") }
        if parts.count > 3 {
            guard let skew = Int64(parts[3]) else { throw ValidationError("'\(parts[3])' is not a skew such as 1.") }
            term.maxSkew = skew
        }
        return term
    }

    private static func value<Value: RawRepresentable<String> & CaseIterable>(_ text: String, _ what: String) throws -> Value {
        guard let value = Value(rawValue: text) else {
            throw ValidationError("The \(what) is one of \(Value.allCases.map(\.rawValue).joined(separator: ", ")), not '\(text)'.")
        }
        return value
    }
}
