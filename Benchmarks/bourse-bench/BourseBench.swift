import ArgumentParser
import Foundation

/// Measures, prints a table, and writes `.build/bench.json`: a flat object of figure name and number.
@main
struct BourseBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bourse-bench", abstract: "Measure. Groups: \(BenchGroup.allCases.map(\.rawValue).joined(separator: ", ")).")

    @Argument(help: "One group; all when absent.")
    var only: BenchGroup?
    @Option(help: "Where the figures go as JSON.") var output = ".build/bench.json"
    @Option(help: "With `matching`: run this file of operations and print what came of it as JSON.") var stream: String?
    @Option(help: "With `matching`: write the operations measured to this file instead of measuring.") var record: String?
    @Option(help: "With --record: how many books.") var books = 1
    @Option(parsing: .upToNextOption, help: "With `packing`: replay these files of the openb trace, nodes and pods, and print JSON.")
    var openb: [String] = []
    @Option(help: "With --openb: a seed, more than once for more; 42 to 46 when absent.") var seed: [UInt64] = []
    @Option(help: "With --openb: who places; one of \(OpenbBench.Policy.allCases.map(\.rawValue).joined(separator: ", ")).")
    var policy = OpenbBench.Policy.engine
    @Option(
        parsing: .upToNextOption,
        help: "With `packing`: replay these files of the Azure 2017 trace, flavours, arrivals, lifetimes and intervals, and print JSON.")
    var azure: [String] = []

    func run() async throws {
        if !openb.isEmpty { return try replayOpenb() }
        if !azure.isEmpty { return try replayAzure() }
        if let stream { return print(MatchingBench.run(try MatchingStream(file: stream)).json) }
        if let record {
            return try MatchingStream(seed: 1, books: books, resting: books == 1 ? 20_000 : 200 * books, operations: 5_000_000).write(
                to: record)
        }
        var figures: [String: Double] = [:]
        for group in only.map({ [$0] }) ?? BenchGroup.allCases {
            for (name, value) in try await group.measure() { figures["\(group.rawValue).\(name)"] = value }
        }
        let width = figures.keys.map(\.count).max() ?? 0
        for (name, value) in figures.sorted(by: { $0.key < $1.key }) {
            print(name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + String(format: value < 100 ? "%.3f" : "%.0f", value))
        }
        let data = try JSONSerialization.data(withJSONObject: figures, options: [.prettyPrinted, .sortedKeys])
        try data.write(to: URL(fileURLWithPath: output), options: .atomic)
    }
}

extension BourseBench {
    private func replayAzure() throws {
        guard azure.count == 4 else { throw ValidationError("--azure takes four files: flavours, arrivals, lifetimes and intervals.") }
        print(try AzureBench(files: azure).json())
    }

    private func replayOpenb() throws {
        guard openb.count == 2 else { throw ValidationError("--openb takes two files: nodes and pods.") }
        var bench = try OpenbBench(nodes: openb[0], pods: openb[1])
        bench.policy = policy
        if !seed.isEmpty { bench.seeds = seed }
        print(try bench.json(bench.run()))
    }
}

extension OpenbBench.Policy: ExpressibleByArgument {}

enum BenchGroup: String, CaseIterable, ExpressibleByArgument {
    case matching, orders, launch, packing, placement, connect

    func measure() async throws -> [String: Double] {
        switch self {
        case .matching: MatchingBench().measure()
        case .orders: try await OrdersBench().measure()
        case .launch: try await LaunchBench().measure()
        case .packing: try Self.replays()
        case .placement: PlacementBench().measure()
        case .connect: try await ConnectBench().measure()
        }
    }

    /// Replays of traces, of those that the environment names.
    private static func replays() throws -> [String: Double] {
        let environment = ProcessInfo.processInfo.environment
        var figures: [String: Double] = [:]
        if let bench = try OpenbBench(environment: environment) {
            figures["openb_\(bench.list)_percent"] = OpenbBench.mean(try bench.run())
        }
        if let bench = try AzureBench(environment: environment) { figures["azure_\(bench.part)_ratio"] = try bench.ratio() }
        return figures
    }
}
