import CloudAPI
import Documents
import Fleet
import Foundation
import Testing

/// The examples in docs are what they say they are.
@Suite struct ExampleTests {
    private func example(_ name: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "docs/examples/\(name)"), encoding: .utf8)
    }

    @Test func theTopologyIsRead() throws {
        let document = try YAMLDocument.read(TopologyDocument.self, from: try example("topology.yaml"))
        #expect(document.zones.flatMap { $0.pods ?? [] }.map(\.name) == ["a-das", "b-nas", "b-metal"])
        let patterns = document.zones.flatMap { $0.pods ?? [] }.flatMap { $0.racks ?? [] }
        let hosts = try patterns.map { rack in
            try NamePattern(rack.name).count * (rack.hosts ?? []).map { try NamePattern($0.name).count }.reduce(0, +)
        }
        #expect(hosts.reduce(0, +) == 1_188)
    }

    @Test func thePodIsPlanned() throws {
        let input = try YAMLDocument.read(PodPlanInput.self, from: try example("pod-plan.yaml"))
        let plan = try PodPlan(input)
        #expect(plan.bindingLimit != nil && plan.podLimits.count > 5 && plan.steps.last?.month == 24)
        #expect(try YAMLDocument.read(PodPlanInput.self, from: try YAMLDocument.write(input)) == input)
    }
}
