import Fleet
import Foundation
import Primitives
import Traces

/// How much of the openb fleet's GPUs is allocated once 130 % of them were asked for, mean over seeds: the protocol of the FGD paper,
/// see docs/decisions/0022-gpu-fragmentation.md.
struct OpenbBench {
    /// Who places: the engine, or one of the paper's rivals.
    enum Policy: String, CaseIterable {
        case engine, random, bestFit = "best-fit", fgd
    }

    let trace: OpenbTrace
    /// Of the pod list: `default` for `openb_pod_list_default.csv`.
    let list: String
    var policy = Policy.engine
    var seeds: [UInt64] = Self.protocolSeeds

    static let protocolSeeds: [UInt64] = Array(42...46)
    static let percent: Int64 = 130

    init(nodes: String, pods: String) throws {
        trace = try OpenbTrace(nodes: String(contentsOfFile: nodes, encoding: .utf8), pods: String(contentsOfFile: pods, encoding: .utf8))
        let name = URL(fileURLWithPath: pods).deletingPathExtension().lastPathComponent
        list = name.hasPrefix("openb_pod_list_") ? String(name.dropFirst("openb_pod_list_".count)) : name
    }

    /// The files of the folder that `BOURSE_OPENB` names. Nil: none is named.
    init?(environment: [String: String]) throws {
        guard let folder = environment["BOURSE_OPENB"] else { return nil }
        try self.init(nodes: folder + "/openb_node_list_gpu_node.csv", pods: folder + "/openb_pod_list_default.csv")
    }

    struct Run: Encodable {
        var seed: UInt64
        var arrivals: Int
        var refused: Int
        var gpuPercent: Double
        var cpuPercent: Double
    }

    func run() throws -> [Run] { try seeds.map(run) }

    private func run(seed: UInt64) throws -> Run {
        var generator = SeededGenerator(seed: seed)
        let load = OpenbArrivals(trace, percent: Self.percent, using: &generator)
        let outcome = try outcome(load, &generator)
        let milliCPU = trace.nodes.reduce(0) { $0 + $1.milliCPU }
        return Run(
            seed: seed, arrivals: outcome.arrivals, refused: outcome.refused,
            gpuPercent: 100 * Double(outcome.milliGPU) / Double(trace.milliGPU),
            cpuPercent: 100 * Double(outcome.milliCPU) / Double(milliCPU))
    }

    private func outcome(_ load: OpenbArrivals, _ generator: inout SeededGenerator) throws -> OpenbReplay.Outcome {
        let rival: OpenbRival.Rule
        switch policy {
        case .engine:
            var replay = try OpenbReplay(trace, nodes: load.nodes, workload: GPUWorkload(typicalOf: trace.pods.map(\.shape)))
            return try replay.run(trace, pods: load.pods)
        case .random: rival = .random
        case .bestFit: rival = .bestFit
        case .fgd: rival = .fgd
        }
        var fleet = OpenbRival(rival, trace, nodes: load.nodes, generator)
        return fleet.run(load.pods)
    }

    static func mean(_ runs: [Run]) -> Double { runs.map(\.gpuPercent).reduce(0, +) / Double(max(runs.count, 1)) }

    /// The figure and what it is made of.
    func json(_ runs: [Run]) throws -> String {
        struct Report: Encodable {
            var list: String
            var policy: String
            var nodes: Int
            var gpus: Int64
            var arrivalsPercent: Int64
            var runs: [Run]
            var meanPercent: Double
            var figures: [String: Double]
        }
        let mean = Self.mean(runs)
        let report = Report(
            list: list, policy: policy.rawValue, nodes: trace.nodes.count, gpus: trace.milliGPU / 1_000, arrivalsPercent: Self.percent,
            runs: runs, meanPercent: mean, figures: ["packing.openb_\(list)_percent": mean])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }
}
