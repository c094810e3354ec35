import Primitives
import Testing

@Suite struct NearestNamesTests {
    @Test func whatIsSpelledAlikeComesFirst() {
        let pods = ["pod-1", "pod-2", "metal", "storage", "gpu", "edge", "lab"]
        #expect(NearestNames.text(pods, to: "metl")?.hasPrefix("one of: metal, ") == true)
        #expect(NearestNames.text(pods, to: "POD-2")?.hasPrefix("one of: pod-2, pod-1, ") == true)
        #expect(NearestNames.text(pods, to: "x")?.hasSuffix(", and 2 more") == true)
        #expect(NearestNames.text(["only"], to: "x") == "only")
        #expect(NearestNames.text(["a", "b"], to: "b") == "one of: b, a")
        #expect(NearestNames.text([String](), to: "x") == nil)
    }

    @Test func ofVeryManyThoseThatBeginAlikeAreTold() {
        let hosts = (0..<10_000).map { "r\($0 / 100)-n\($0 % 100)" }
        #expect(NearestNames.text(hosts, to: "r42-n7x")?.hasPrefix("one of: r42-n7, r42-n70, ") == true)
    }

    @Test func oneIsNotMany() {
        #expect(counted(1, "host") == "1 host")
        #expect(counted(0, "host") == "0 hosts")
        #expect(counted(Int64(2), "switch", plural: "switches") == "2 switches")
    }
}
