import Fleet
import Foundation
import Primitives
import Traces

/// Hosts in use on the Azure 2017 trace for each host that its volume needs at least, see docs/decisions/0021-lifetimes-predicted.md.
struct AzureBench {
    let trace: AzureTrace
    /// Of the arrivals: `dev` for `v1.dev.txt`.
    let part: String

    /// - Parameter files: flavours, arrivals, lifetimes, and the intervals that lifetimes are given in.
    init(files: [String]) throws {
        let texts = try files.map { try String(contentsOfFile: $0, encoding: .utf8) }
        trace = try AzureTrace(flavours: texts[0], arrivals: texts[1], lifetimes: texts[2], bins: texts[3])
        let name = URL(fileURLWithPath: files[1]).deletingPathExtension().lastPathComponent
        part = name.split(separator: ".").last.map(String.init) ?? name
    }

    /// The trace in the folder that `BOURSE_AZURE` names; nil when it names none.
    init?(environment: [String: String]) throws {
        guard let folder = environment["BOURSE_AZURE"] else { return nil }
        try self.init(files: ["flav_map", "v1.dev", "v1.dev.c2100000", "v1.interval_map"].map { "\(folder)/\($0).txt" })
    }

    func ratio() throws -> Double { try AzureReplay.run(trace, .lifetimeAligned).ratio }

    private struct Row: Encodable {
        var policy: String
        var ratio: Double
        var hosts: Double
        var mostHosts: Int64
        var seconds: Double
    }

    private struct Report: Encodable {
        var part: String
        var arrivals: Int
        var intervals: Int
        var volumeHosts: Double
        var policies: [Row]
        var figures: [String: Double]
    }

    /// The figure and what it is made of.
    func json() throws -> String {
        let policies: [PlacementPolicy] = [.firstFit, .packing, .lifetimeAligned]
        var rows: [Row] = []
        var volume = 0.0
        for policy in policies {
            let start = ContinuousClock.now
            let outcome = try AzureReplay.run(trace, policy)
            let (seconds, attoseconds) = (ContinuousClock.now - start).components
            let intervals = Double(max(1, outcome.intervals))
            volume = Double(outcome.volumeIntervals) / intervals
            rows.append(
                Row(
                    policy: "\(policy)", ratio: outcome.ratio, hosts: Double(outcome.hostIntervals) / intervals,
                    mostHosts: outcome.mostHosts, seconds: Double(seconds) + Double(attoseconds) / 1e18))
        }
        let report = Report(
            part: part, arrivals: trace.arrivals.count, intervals: trace.intervals.count, volumeHosts: volume, policies: rows,
            figures: ["packing.azure_\(part)_ratio": rows.last?.ratio ?? 0])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }
}
