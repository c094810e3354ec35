import Fleet
import Primitives
import Testing

@Suite struct TopologySizeTests {
    private func refusal(of racks: [TopologyFile.Rack]) throws -> (refusal: Refusal?, took: Duration) {
        let pod = TopologyFile.Pod(
            name: "p", kind: .virtual, storage: .das, oversubscription: .init(cpu: 1_000, memory: 1_000, disk: 1_000), racks: racks)
        let file = TopologyFile(region: "a", datacenter: "b", zones: [.init(name: "z", pods: [pod])])
        let start = ContinuousClock.now
        do throws(Refusal) {
            _ = try file.desired(over: Topology(region: "a", datacenter: "b"))
        } catch {
            return (error, .now - start)
        }
        return (nil, .now - start)
    }

    /// Two thousand letters that stand for four million hosts.
    @Test func aFileOfTooManyObjectsIsRefusedSoon() throws {
        let hosts = (10..<50).map { TopologyFile.Host(name: "a-rack-with-a-long-name-\($0)-n[00000-99999]") }
        #expect((1_500...2_500).contains(hosts.map(\.name.utf8.count).reduce(0, +)))
        let (refusal, took) = try refusal(of: [.init(name: "r", hosts: hosts)])
        #expect(refusal?.rule == "topology.size" && refusal?.facts["largest"] == 250_000)
        #expect(refusal?.message == "The file describes more than 250000 objects.")
        #expect(refusal?.nearest == "a datacenter of at most 250000 zones, pods, racks and hosts")
        #expect(took < .seconds(5), "\(took)")
    }

    @Test func theBoundItselfIsAllowed() throws {
        // A zone, a pod and a rack beside them.
        let hosts = ["n[00000-99999]", "m[00000-99999]", "k[00000-49996]"].map { TopologyFile.Host(name: $0) }
        #expect(try refusal(of: [.init(name: "r", hosts: hosts)]).refusal == nil)
        #expect(try refusal(of: [.init(name: "r", hosts: hosts), .init(name: "s")]).refusal?.rule == "topology.size")
    }

    /// The same with fault domains, of which each rack would have as many.
    @Test func aFileOfTooManyDomainsOfRacksIsRefusedSoon() throws {
        let (refusal, took) = try refusal(of: [.init(name: "r[0000-9999]", domains: ["d[00000-99999]"])])
        #expect(refusal?.rule == "topology.size" && refusal?.facts["largest"] == 1_000_000 && refusal?.nearest != nil)
        #expect(took < .seconds(5), "\(took)")
    }

    @Test func whatNoNumberHoldsIsPromisedAsTheMostThereIs() {
        let much = Oversubscription(cpu: .max, memory: .max, disk: .max)
        let promised = much.promised(of: Resources(milliCPU: .max, memoryMiB: 1 << 40, diskMiB: 1))
        #expect(promised.milliCPU == .max / 1_000 && promised.memoryMiB == .max / 1_000 && promised.diskMiB == .max / 1_000)
        #expect(
            Oversubscription(cpu: 4_000, memory: 1_500, disk: 1_000).promised(of: Resources(milliCPU: 1_000, memoryMiB: 3)).memoryMiB == 4)
    }
}
