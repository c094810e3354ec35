import ArgumentParser
import CloudAPI
import CloudClient
import Documents
import Foundation
import Primitives

struct TopologyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topology", abstract: "Seller: the datacenter, from its zones to its hosts.",
        subcommands: [Show.self, Export.self, Plan.self, Apply.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the datacenter's pods, or all of it as a file.",
            discussion: "`bourse topology show --file > north.yaml` writes what `bourse topology apply north.yaml` makes again.")
        @Flag(help: "As a file (YAML) to change and apply.") var file = false
        @OptionGroup var output: OutputOptions
        func run() async throws {
            if file {
                return try await TopologyCommand.export()
            }
            let view = try await Target.connect.with { try await $0.call(ConnectAPI.topology) }
            guard output.output == .table else { return try output.item(view, []) }
            print("\(view.name), region \(view.region), \(view.datacenter); zones: \(view.zones.joined(separator: ", "))")
            try output.list(view.pods, columns: ["pod", "zone", "kind", "storage", "cpu", "memory", "disk", "joined"]) { pod in
                [
                    pod.name, pod.zone, pod.kind, pod.storage.rawValue, ratioText(pod.cpuOversubscription),
                    ratioText(pod.memoryOversubscription), ratioText(pod.diskOversubscription), "\(pod.hosts)",
                ]
            }
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write all of the datacenter as a file (YAML) to change and apply.",
            discussion: """
                The file says of which revision of the topology it is. Applied after somebody else has changed the topology, it is refused, and
                what was changed is named. Leave the line out of files that are always to win, such as those under version control.
                """)
        func run() async throws { try await TopologyCommand.export() }
    }

    struct Plan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what applying a topology file would change, and do nothing.",
            discussion:
                "`bourse topology apply FILE --revision N`, with the revision that was planned against, does what was planned or nothing.")
        @Argument(help: "The topology, YAML or JSON; - for standard input.") var file: String
        @OptionGroup var base: Base
        @OptionGroup var output: OutputOptions
        func run() async throws { try await TopologyCommand.apply(file, base, plan: true, output) }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the datacenter what a topology file says: all of it or nothing.",
            discussion: "docs/topology.md describes the file; docs/examples/topology.yaml is one.")
        @Argument(help: "The topology, YAML or JSON; - for standard input.") var file: String
        @Flag(help: "Say what would be done, and do nothing.") var plan = false
        @OptionGroup var base: Base
        @OptionGroup var output: OutputOptions
        func run() async throws { try await TopologyCommand.apply(file, base, plan: plan, output) }
    }

    /// The topology that a file is made to change.
    struct Base: ParsableArguments {
        @Option(help: "Only when the topology is at this revision, whatever the file says.") var revision: Int64?
        @Flag(help: "Whatever the topology is at, even if the file says a revision.") var force = false

        func validate() throws {
            if force, revision != nil { throw ValidationError("--force is for any revision: give it or --revision, not both.") }
        }

        func apply(to document: inout TopologyDocument) { document.revision = force ? nil : revision ?? document.revision }
    }

    private static func export() async throws {
        let document = try await Target.connect.with { try await $0.call(ConnectAPI.exportTopology) }
        print(try YAMLDocument.write(document), terminator: "")
    }

    private static func apply(_ file: String, _ base: Base, plan: Bool, _ output: OutputOptions) async throws {
        var document = try readYAML(TopologyDocument.self, file)
        base.apply(to: &document)
        let (endpoint, body) = (plan ? ConnectAPI.planTopology : ConnectAPI.applyTopology, document)
        let view = try await Target.connect.with { try await $0.call(endpoint, body: body, deadline: .seconds(60)) }
        try show(view, file, output)
        if !view.refusals.isEmpty { throw ExitCode(2) }
    }

    /// How many changes are shown one by one.
    private static let most = 200

    private static func show(_ view: TopologyPlanView, _ file: String, _ output: OutputOptions) throws {
        guard output.output == .table else { return try output.item(view, []) }
        try output.list(
            Array(view.changes.prefix(most)), columns: ["action", "kind", "name", "differences"],
            empty: "Everything is as the file says."
        ) { change in
            [change.action.rawValue, change.kind.rawValue, change.name, change.fields.map(\.text).joined(separator: ", ")]
        }
        if view.changes.count > most { print("… and \(view.changes.count - most) more") }
        let kinds = TopologyObjectKind.allCases.flatMap { kind in
            TopologyAction.allCases.compactMap { action -> String? in
                let count = view.changes.count { $0.kind == kind && $0.action == action }
                return count > 0 ? "\(action.rawValue) \(counted(count, kind.rawValue))" : nil
            }
        }
        if !kinds.isEmpty { print("\n\(view.applied ? "Done" : "Planned"): \(kinds.joined(separator: ", ")).") }
        if view.applied {
            if !kinds.isEmpty { print("The topology is at revision \(view.revision) now.") }
        } else {
            let hint =
                view.changes.isEmpty || !view.refusals.isEmpty
                ? "" : " `bourse topology apply \(file) --revision \(view.revision)` does just this, or nothing."
            print("Planned against revision \(view.revision).\(hint)")
        }
        for refusal in view.refusals {
            print(
                "Refused: \(refusal.message)" + (refusal.nearest.map { "\n  Nearest thing possible: \($0)" } ?? "") + " (\(refusal.rule))")
        }
    }
}

extension TopologyFieldChange {
    fileprivate var text: String {
        switch (before, after) {
        case (let before?, let after?): "\(name): \(before) → \(after)"
        case (nil, let after?): "\(name): \(after)"
        case (let before?, nil): "\(name): \(before) → none"
        case (nil, nil): name
        }
    }
}

/// Thousandths as people say them: `8:1`, `1.5:1`.
func ratioText(_ thousandths: Int64) -> String { decimalText(microUnits: thousandths * 1_000) + ":1" }

/// A document that a person wrote, from a file or standard input.
func readYAML<Value: Codable>(_ type: Value.Type, _ path: String) throws -> Value {
    let data = path == "-" ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: path)
    guard let data else { throw ValidationError("The file '\(path)' cannot be read.") }
    do {
        return try YAMLDocument.read(type, from: String(decoding: data, as: UTF8.self))
    } catch {
        throw Failure(text: "\(path): \(error.message)" + (error.nearest.map { "\nNearest thing possible: \($0)" } ?? ""))
    }
}
