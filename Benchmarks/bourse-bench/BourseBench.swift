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

    func run() async throws {
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

enum BenchGroup: String, CaseIterable, ExpressibleByArgument {
    case launch

    func measure() async throws -> [String: Double] {
        switch self {
        case .launch: try await LaunchBench().measure()
        }
    }
}
