import Fleet
import Primitives
import Testing
import Traces

@Suite struct OpenbTraceTests {
    private static let nodes = "sn,cpu_milli,memory_mib,gpu,model\nn-0,64000,262144,2,P100\nn-1,96000,393216,8,G2\n"
    private static let columns =
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
    private static let pods = """
        \(columns)
        p-0,12000,16384,1,1000,,LS,Running,0,12537496,0
        p-1,6000,12288,1,460,V100M32|V100M16,LS,Running,427061,12902960,427061
        p-2,88000,327680,8,1000,,Burstable,Succeeded,9437497,10769854,9437497
        p-3,8000,30517,0,0,,BE,Running,11811762,11827364,11811762

        """

    @Test func linesAreRead() throws {
        let trace = try OpenbTrace(nodes: Self.nodes, pods: Self.pods)
        #expect(trace.nodes.map(\.gpus) == [2, 8])
        #expect(trace.milliGPU == 10_000)
        #expect(
            trace.pods.map(\.shape) == [
                GPUShape(milliCPU: 12_000, memoryMiB: 16_384, gpus: 1),
                GPUShape(milliCPU: 6_000, memoryMiB: 12_288, gpus: 1, milliEach: 460, models: ["V100M16", "V100M32"]),
                GPUShape(milliCPU: 88_000, memoryMiB: 327_680, gpus: 8), GPUShape(milliCPU: 8_000, memoryMiB: 30_517, gpus: 0),
            ])
    }

    @Test func linesMayEndAsOnWindows() throws {
        let windows = Self.nodes.replacing("\n", with: "\r\n")
        #expect(try OpenbTrace(nodes: windows, pods: Self.pods).nodes.map(\.model) == ["P100", "G2"])
    }

    @Test(arguments: [
        ("p-4,x,1,1,1000,,a,b,1,2,3", "cpu_milli"), ("p-4,-1,1,1,1000,,a,b,1,2,3", "cpu_milli"),
        ("p-4,1,,1,1000,,a,b,1,2,3", "memory_mib"), ("p-4,1,1,17,1000,,a,b,1,2,3", "num_gpu"),
        ("p-4,1,1,1,1001,,a,b,1,2,3", "gpu_milli"), ("p-4,1,1,1,0,,a,b,1,2,3", "gpu_milli"), ("p-4,1,1,2,500,,a,b,1,2,3", "gpu_milli"),
        ("p-4,1,1,1,1000", nil), ("p-4,1,1,1,1000,,a,b,1,2,3,4", nil), ("p-4,99999999999999999999,1,1,1000,,a,b,1,2,3", "cpu_milli"),
    ]) func badLinesAreRefused(line: String, column: String?) {
        let refusal = #expect(throws: Refusal.self) { try OpenbTrace(nodes: Self.nodes, pods: Self.pods + line + "\n") }
        #expect(refusal?.rule == "openb.line")
        #expect(refusal?.facts["line"] == .number(6))
        #expect(refusal?.facts["file"] == .text("pods"))
        #expect(refusal?.facts["column"] == column.map(Refusal.Fact.text))
    }

    @Test func otherFilesAreRefused() {
        let swapped = #expect(throws: Refusal.self) { try OpenbTrace(nodes: Self.pods, pods: Self.nodes) }
        #expect(swapped?.rule == "openb.header" && swapped?.facts["file"] == .text("nodes"))
        let empty = #expect(throws: Refusal.self) { try OpenbTrace(nodes: Self.nodes, pods: Self.columns + "\n") }
        #expect(empty?.rule == "openb.empty")
    }

    // MARK: Arrivals

    private static func load(_ seed: UInt64, _ trace: OpenbTrace, percent: Int64 = 130) -> OpenbArrivals {
        var random = SeededGenerator(seed: seed)
        return OpenbArrivals(trace, percent: percent, using: &random)
    }

    @Test(arguments: UInt64(1)...20) func everyPodComesOnceAndThenSomeAgainUpToTheLoad(seed: UInt64) throws {
        let nodes = Self.nodes + (2...9).map { "n-\($0),96000,393216,8,G2\n" }.joined()
        let trace = try OpenbTrace(nodes: nodes, pods: Self.pods)
        let load = Self.load(seed, trace)
        #expect(load.pods.prefix(4).sorted() == [0, 1, 2, 3])
        #expect(load.nodes.sorted() == Array(trace.nodes.indices))
        let wanted = load.pods.reduce(0) { $0 + trace.pods[$1].shape.milliGPU }
        // 74 GPUs; the last pod may bring seven more than it was counted for.
        #expect(wanted <= 96_200 + 7_000 && wanted > 96_200 - 1_000)
        #expect(load == Self.load(seed, trace))
    }

    @Test func aListThatWantsMoreIsCut() throws {
        let trace = try OpenbTrace(nodes: Self.nodes, pods: Self.pods)
        let load = Self.load(3, trace, percent: 50)
        #expect(load.pods.reduce(0) { $0 + trace.pods[$1].shape.milliGPU } <= 5_000)
        #expect(Set(load.pods).count == load.pods.count && !load.pods.contains(2))
    }
}

@Suite struct OpenbReplayTests {
    /// The first three need two GPUs, so that one of them lies on the second node, and the fourth finds nowhere 16 processors; nothing
    /// here is an A10.
    @Test func aSmallTraceByHand() throws {
        let trace = try OpenbTrace(
            nodes: "sn,cpu_milli,memory_mib,gpu,model\na,8000,100000,1,T4\nb,16000,100000,2,T4\n",
            pods: """
                name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec
                p-0,4000,1000,1,1000,
                p-1,4000,1000,1,500,
                p-2,4000,1000,1,500,T4
                p-3,16000,1000,1,1000,
                p-4,4000,1000,1,500,A10

                """)
        let workload = GPUWorkload(typicalOf: trace.pods.map(\.shape))
        var replay = try OpenbReplay(trace, nodes: [0, 1], workload: workload)
        let outcome = try replay.run(trace, pods: [0, 1, 2, 3, 4])
        var wanted = OpenbReplay.Outcome()
        (wanted.arrivals, wanted.refused, wanted.milliGPU, wanted.milliCPU) = (5, 2, 2_000, 12_000)
        #expect(outcome == wanted)
    }
}
