import CloudAPI
import Documents
import Primitives
import Testing

@Suite struct YAMLDocumentTests {
    private static let text = """
        # one zone
        region: north
        datacenter: north-1
        zones:
          - name: z1
            domains:
              - {name: feed-a, kind: power, limit: 400000}
            pods:
              - name: pod-1
                kind: virtual
                storage: nas
                oversubscription: {cpu: 4000, memory: 1000, disk: 1500}
                limits: {hosts: 1000}
                baseline:
                  firmware: {"PM9A3": "1.0"}
                racks:
                  - name: r[01-10]
                    domains: [feed-a]
                    hosts: [{name: "{rack}-n[01-40]"}]
        """

    private func read(_ text: String) throws -> TopologyDocument { try YAMLDocument.read(TopologyDocument.self, from: text) }

    @Test func aTopologyIsRead() throws {
        let document = try read(Self.text)
        let pod = try #require(document.zones.first?.pods?.first)
        #expect(pod.storage == .nas && pod.limits == PodSizeLimits(hosts: 1_000) && pod.hosts == nil)
        #expect(pod.baseline?.firmware == ["PM9A3": "1.0"], "a version is text, whatever it looks like")
        #expect(pod.racks == [RackEntry(name: "r[01-10]", domains: ["feed-a"], hosts: [HostEntry(name: "{rack}-n[01-40]")])])
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        let document = try read(Self.text)
        #expect(try read(try YAMLDocument.write(document)) == document)
        #expect(try read(try WireJSON.text(document)) == document, "JSON is YAML")
    }

    @Test(arguments: [
        ("    limits:", "    limmits:", "line 13, column 9: 'limmits' is not known here"),
        ("cpu: 4000", "cpu: 4000, gpu: 1", "line 12, column 39: 'gpu' is not known here, beside cpu, disk, memory."),
        ("cpu: 4000", "cpu: many", "line 12, column 33: the field 'zones.0.pods.0.oversubscription.cpu'"),
        ("kind: virtual", "kind: virtuell", "line 10, column 15: the field 'zones.0.pods.0.kind'"),
        ("        storage: nas\n", "", "line 9, column 9: the field 'zones.0.pods.0.storage' is missing"),
        ("domains: [feed-a]", "domains:", "line 18, column 13: 'domains' has no value."),
        ("name: z1", "name: z1\n    name: z2", "a key stands twice: name"),
        ("zones:", "zones: [", "line "),
    ])
    func mistakesAreShownWhereTheyAre(_ right: String, _ wrong: String, _ message: String) throws {
        let text = Self.text.replacing(right, with: wrong, maxReplacements: 1)
        #expect(text != Self.text)
        let refusal = #expect(throws: Refusal.self) { try read(text) }
        #expect(refusal?.message.contains(message) == true, "\(refusal?.message ?? "")")
    }

    @Test(arguments: ["", "# nothing", "- 1", "just text"]) func whatIsNoDocumentIsRefused(_ text: String) {
        #expect(throws: Refusal.self) { try read(text) }
    }
}
