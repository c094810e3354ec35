import Fleet
import Primitives
import Testing
import Traces

@Suite struct PredictionReplayTests {
    private static let flavours = "1,4 a\n2,8 b\n3,4 c\n"
    private static let bins = "0 0\n300 1\n600 2\n900 3\n1200 3\n"

    private func trace(_ arrivals: String, _ lifetimes: String) throws -> AzureTrace {
        try AzureTrace(flavours: Self.flavours, arrivals: arrivals, lifetimes: lifetimes, bins: Self.bins)
    }

    private let host = Resources(milliCPU: 4_000, memoryMiB: 16 * 1_024)

    /// Hosts of four processors. First: 3 + 1 on host 0, 2 on host 1. Next: the 3 is gone, the 1 and the 2 stay; a 2 comes to host 0.
    /// Then: the 1 and the second 2 end, the first 2 stays on host 1 and a 1 comes, to host 0, which is empty and the first.
    @Test func scoresAreCountedByHand() throws {
        let trace = try trace(
            "300 c,a,|,b,|\n600 b,|\n900 a,|\n",
            "300 U1,U2,|,C2,|\n600 U0,|\n900 U3,|\n")
        let outcome = try AzureReplay.run(trace, .firstFit, host: host)
        #expect(outcome.hosts == [0, 0, 1, 0, 0])
        #expect(outcome.hostIntervals == 2 + 2 + 2)
        // Six processors are two hosts, five are two, three are one.
        #expect(outcome.volumeIntervals == 2 + 2 + 1)
        #expect(outcome.intervals == 3)
        #expect(outcome.mostHosts == 2)
        #expect(outcome.ratio == 6.0 / 5.0)
    }

    @Test func batchesGiveTheirSize() throws {
        let trace = try trace("300 a,a,|,b,|\n", "300 U1,C0,|,U3,|\n")
        #expect(trace.arrivals.map(\.batch) == [2, 2, 1])
        #expect(trace.arrivals.map(\.lifetime) == [300, nil, 1_200])
        #expect(trace.arrivals[2].resources == Resources(milliCPU: 2_000, memoryMiB: 8_192))
    }

    @Test(arguments: [
        ("300 a,x,|\n", "300 U1,U1,|\n", "flavour `x`"), ("300 a,|\n", "300 U9,|\n", "`U9`"), ("300 a,|\n", "300 X1,|\n", "`X1`"),
        ("300 a,|\n", "600 U1,|\n", "does not go with"), ("300 a,a,|\n", "300 U1,|\n", "does not go with"),
        ("300 a,|\n", "300 U1,U1\n", "`U1` stands"), ("300 a,|\n300 a,|\n", "300 U1,|\n300 U1,|\n", "not after"),
        ("x a,|\n", "300 U1,|\n", "seconds item"), ("300 a,|\n", "", "1 lines of arrivals and 0"),
    ])
    func badLinesAreRefused(arrivals: String, lifetimes: String, says: String) throws {
        let refusal = #expect(throws: Refusal.self) { try trace(arrivals, lifetimes) }
        #expect(refusal?.message.contains(says) == true)
    }

    /// Days of two kinds: batches that end soon, and single ones of which some stay.
    private func town(seed: UInt64, intervals: Int, twist: Int = .max) throws -> AzureTrace {
        var (arrivals, lifetimes) = ("", "")
        for interval in 0..<intervals {
            var generator = SeededGenerator(seed: seed &+ UInt64(interval) &* 104_729)
            arrivals += "\((interval + 1) * 300) "
            lifetimes += "\((interval + 1) * 300) "
            for batch in 0..<4 {
                for _ in 0..<(batch < 2 ? 1 : 6) {
                    let flavour = ["a", "b", "c"].randomElement(using: &generator) ?? "a"
                    let stays = Int.random(in: 0..<8, using: &generator) == 0
                    let bin = Int.random(in: 0...3, using: &generator)
                    arrivals += flavour + ","
                    lifetimes += interval >= twist || (batch < 2 && stays) ? "C0," : "U\(bin),"
                }
                arrivals += "|,"
                lifetimes += "|,"
            }
            arrivals += "\n"
            lifetimes += "\n"
        }
        return try trace(arrivals, lifetimes)
    }

    @Test func laterLifetimesChangeNoDecisionBeforeThem() throws {
        let one = try AzureReplay.run(town(seed: 3, intervals: 100), .lifetimeAligned, host: host)
        let other = try AzureReplay.run(town(seed: 3, intervals: 100, twist: 60), .lifetimeAligned, host: host)
        let before = 60 * 14
        #expect(Array(one.hosts.prefix(before)) == Array(other.hosts.prefix(before)))
        #expect(one.hosts != other.hosts)
    }

    @Test func theSameTraceGivesTheSameHosts() throws {
        let trace = try town(seed: 4, intervals: 80)
        #expect(try AzureReplay.run(trace, .lifetimeAligned, host: host) == AzureReplay.run(trace, .lifetimeAligned, host: host))
    }
}
