import CloudAPI
import CloudClient
import Connect
import Foundation
import Primitives
import ServiceKit
import TestSupport
import Testing

/// Every no names the nearest thing that would be a yes, and what is not understood is never passed over.
@Suite struct NearestTests {
    struct Wrong: Sendable, CustomTestStringConvertible {
        var method: CloudAPI.HTTPMethod
        var path: String
        var body: String
        var status: Int
        var rule: String
        /// What the nearest must have in it.
        var nearest: String

        init(_ method: CloudAPI.HTTPMethod, _ path: String, _ body: String = "", _ status: Int = 422, _ rule: String, _ nearest: String) {
            (self.method, self.path, self.body, self.status, self.rule, self.nearest) = (method, path, body, status, rule, nearest)
        }

        var testDescription: String { "\(method.rawValue) \(path) \(body)" }
    }

    private static let lot = #"{"milliCPU":1000,"memoryMiB":1024,"diskMiB":1024,"iops":0,"networkMbps":0,"milliGPU":0}"#
    private static let ratios = #"{"cpu":1000,"memory":1000,"disk":1000}"#
    private static let pod = #""zone":"demo-1a","kind":"virtual","storage":"das","oversubscription":\#(ratios)"#

    private static let operators: [Wrong] = [
        // Names there are not.
        Wrong(.get, "/v1/zones/Demo-1x", "", 404, "zone.unknown", "demo-1a"), Wrong(.get, "/v1/pods/pd-1", "", 404, "pod.unknown", "pod-1"),
        Wrong(.get, "/v1/racks/r", "", 404, "rack.unknown", "declared"), Wrong(.delete, "/v1/pods/nope", "", 404, "pod.unknown", "pod-1"),
        Wrong(.get, "/v1/racks?pod=nope", "", 404, "pod.unknown", "pod-1"),
        Wrong(.get, "/v1/hosts?pod=nope", "", 404, "pod.unknown", "pod-1"),
        Wrong(.get, "/v1/hosts?rack=nope", "", 404, "rack.unknown", "declared"),
        Wrong(.get, "/v1/hosts?state=nope", "", 422, "host.state", "cordoned"),
        Wrong(.get, "/v1/hosts/nope", "", 404, "host.unknown", "bourse host list"),
        Wrong(.get, "/v1/drift?pod=nope", "", 404, "pod.unknown", "pod-1"),
        Wrong(.get, "/v1/instances/nope", "", 404, "request.identifier", "i-"),
        Wrong(.get, "/v1/instances/\(InstanceID(bits: 7))", "", 404, "instance.unknown", "/v1/instances"),
        Wrong(.get, "/v1/instances/\(InstanceID(bits: 7))/move", "", 404, "move.unknown", "/v1/moves"),
        Wrong(.get, "/v1/volumes/\(VolumeID(bits: 7))", "", 404, "volume.unknown", "/v1/volumes"),
        Wrong(.get, "/v1/networks/\(NetworkID(bits: 7))", "", 404, "network.unknown", "/v1/networks"),
        Wrong(.delete, "/v1/maintenance-windows/\(MaintenanceID(bits: 7))", "", 404, "maintenance.unknown", "/v1/maintenance-windows"),
        Wrong(.post, "/v1/node-enrolments", #"{"pod":"nope"}"#, 404, "pod.unknown", "pod-1"),
        Wrong(.get, "/v1/pods/pod-1/rebalancing", "", 404, "rebalancing.unknown", "bourse pod rebalance pod-1 --apply"),
        // Queries.
        Wrong(.get, "/v1/instances?stuck=perhaps", "", 422, "request.query", "true"),
        Wrong(.get, "/v1/instances?cursor=i-0000", "", 400, "request.cursor", "next"),
        Wrong(.get, "/v1/pods?cursor=zzz", "", 400, "request.cursor", "next"),
        Wrong(.get, "/v1/hosts?cursor=a.b", "", 400, "request.cursor", "next"),
        Wrong(.get, "/v1/reservations?cursor=7", "", 400, "request.cursor", "next"),

        // Bodies.
        Wrong(.put, "/v1/pods/p", "{", 422, "request.body", "{}"), Wrong(.put, "/v1/pods/p", "[]", 422, "request.body", "zone"),
        Wrong(.put, "/v1/pods/p", #"{"zone":"demo-1a"}"#, 422, "request.body", "metal"),
        Wrong(.put, "/v1/pods/p", #"{\#(pod),"polici":"packing"}"#, 422, "request.unknown-field", "policy"),
        Wrong(.put, "/v1/pods/p", #"{\#(pod),"limits":{"hostz":3}}"#, 422, "request.unknown-field", "hosts"),
        Wrong(.put, "/v1/pods/p", #"{\#(pod),"limits":{"hosts":1.5}}"#, 422, "request.body", "2"),
        Wrong(
            .put, "/v1/pods/p", #"{"zone":"demo-1a","kind":"cloud","storage":"das","oversubscription":\#(ratios)}"#, 422, "request.body",
            "metal"),
        Wrong(.post, "/v1/hosts/h/actions", #"{"action":"explode"}"#, 422, "request.body", "cordon"),
        Wrong(.put, "/v1/racks/r", #"{"pod":"nope"}"#, 422, "topology.unknown", "pod-1"),
        Wrong(
            .post, "/v1/topology/plan", #"{"datacenter":"north","region":"demo-1","zones":[{"name":"demo-1a","colour":"red"}]}"#, 422,
            "request.unknown-field", "name"),
        Wrong(
            .post, "/v1/placement/simulate", #"{"mix":[{"name":"s","resources":\#(lot)}],"zone":"nope"}"#, 422, "placement.zone", "demo-1a"),
        Wrong(.post, "/v1/placement/simulate", #"{"mix":[{"name":"s","resources":\#(lot)}],"pod":"nope"}"#, 422, "placement.pod", "pod-1"),
        Wrong(.post, "/v1/placement/simulate", #"{"mix":[],"zone":"demo-1a"}"#, 422, "placement.mix", "100000 instances of 1 shape"),
        Wrong(
            .post, "/v1/placement/simulate", #"{"mix":[{"name":"s","resources":\#(lot)}],"most":1000000}"#, 422, "placement.mix",
            "200000 instances"),
        Wrong(
            .post, "/v1/placement/simulate", #"{"mix":[{"name":"s","resources":\#(lot)}],"contract":"\#(ContractID(bits: 7))"}"#, 404,
            "contract.unknown", "contract"),
        Wrong(
            .post, "/v1/placement/explain", #"{"resources":\#(lot),"contract":"\#(ContractID(bits: 7))"}"#, 404, "contract.unknown",
            "contract"),
        Wrong(
            .post, "/v1/placement/simulate", #"{"mix":[{"name":"s","resources":\#(lot),"placement":{"zone":"nope"}}]}"#, 422,
            "placement.zone", "demo-1a"),
        Wrong(.post, "/v1/placement/explain", #"{"resources":\#(lot),"placement":{"host":"nope"}}"#, 422, "placement.host", "a"),
        Wrong(
            .post, "/v1/placement/explain",
            #"{"resources":\#(lot),"placement":{"groups":[{"name":"g","rule":"apart"},{"name":"g","rule":"apart"}]}}"#, 422,
            "placement.groups", "once"),
        Wrong(
            .post, "/v1/placement/explain",
            #"{"resources":\#(lot),"placement":{"groups":[\#((0..<9).map { #"{"name":"g\#($0)","rule":"apart"}"# }.joined(separator: ","))]}}"#,
            422, "placement.groups", "8 groups"),
        Wrong(
            .post, "/v1/placement/explain", #"{"resources":\#(lot),"placement":{"groups":[{"name":"","rule":"apart"}]}}"#, 422,
            "placement.group-name", "255"),
        Wrong(.post, "/v1/images", #"{"folder":"/nowhere"}"#, 422, "image.manifest", "images/"),
        Wrong(.post, "/v1/enrol", #"{"token":"x","csr":"y","names":[]}"#, 403, "enrolment.token", "host enrol"),
        Wrong(.get, "/v1/nothing", "", 404, "http.not-found", "API"), Wrong(.put, "/v1/zones", "{}", 405, "http.method", "GET"),
    ]

    @Test(.timeLimit(.minutes(5))) func everyNoToAnOperatorNamesWhatIsNearest() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a"), PlacementScene.hello("b")]) { scene in
            let client = try CloudClient(base: scene.connect.publicURL, authentication: .bearer(ConnectFixture.operatorToken))
            try await client.closing { client in
                for wrong in Self.operators { try await Self.check(wrong, try await Self.send(wrong, client)) }
            }
        }
    }

    /// What a placement comes to that no host can take, for each reason there is.
    @Test(.timeLimit(.minutes(5))) func everyPlacementThatFailsHasANearest() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let terms: [(PlacementTerms, String)] = [
                (PlacementTerms(gpu: GPUTerm(count: 2)), "without GPUs"),
                (PlacementTerms(kind: .metal, storage: .san), "virtual hosts, and das storage"),
                (PlacementTerms(zone: "elsewhere", gpu: GPUTerm(models: ["H100"], count: 1)), "without GPUs, and zone demo-1a"),
                (PlacementTerms(zone: "elsewhere"), "zone demo-1a"), (PlacementTerms(jurisdiction: "XX"), "jurisdiction"),
            ]
            for (wanted, nearest) in terms {
                let forecast = try await scene.connect.manage(
                    ConnectAPI.explainPlacement, body: ExplainPlacement(resources: Town.lot, placement: wanted))
                #expect(forecast.rule == "placement.capacity" && forecast.nearest?.contains(nearest) == true, "\(forecast)")
            }
            // Nothing can be had while no host is up.
            _ = try await scene.connect.manage(
                ConnectAPI.actOnHost, path: ["host": scene.hosts[0].id.description], body: ActOnHost(action: .cordon, reason: "test"))
            let closed = try await scene.connect.manage(ConnectAPI.explainPlacement, body: ExplainPlacement(resources: Town.lot))
            #expect(closed.nearest == "the same once a host is up that can take it", "\(closed)")
        }
    }

    /// Buyers' bodies are read as strictly; those of nodes may know more than this connect.
    @Test(.timeLimit(.minutes(5))) func buyersAreHeardInFullAndNodesMayBeNewer() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let buyer = try await scene.buyer(1)
            let client = try scene.connect.client(as: buyer.credential)
            try await client.closing { client in
                let spec = String(decoding: try WireJSON.encode(scene.spec(5)), as: UTF8.self)
                let wrong: [Wrong] = [
                    Wrong(.post, "/v1/instances", spec.dropLast() + #","antiAfinity":"db"}"#, 422, "request.unknown-field", "one of"),
                    Wrong(
                        .post, "/v1/instances", spec.dropLast() + #","placement":{"tenancy":{"rack":{}}}}"#, 422, "request.unknown-field",
                        "pod"),
                    // Beyond ASCII it is read another way, and as strictly.
                    Wrong(.post, "/v1/instances", spec.dropLast() + #","größe":"db"}"#, 422, "request.unknown-field", "one of"),
                    Wrong(
                        .post, "/v1/instances", spec.replacing(scene.image.description, with: ImageID(bits: 9).description), 404,
                        "image.unknown", scene.image.description),
                    Wrong(.post, "/v1/volumes", #"{"id":"vol-1","sizeMiB":1,"account":"acc-1"}"#, 422, "request.body", "such as vol-0"),
                    Wrong(
                        .post, "/v1/volumes",
                        #"{"id":"\#(VolumeID(bits: 1))","sizeMiB":10,"account":"\#(AccountID(bits: 1))","pod":"nope"}"#,
                        404, "pod.unknown", "pod-1"),
                ]
                for one in wrong { try await Self.check(one, try await Self.send(one, client)) }
                let null = try await client.exchange(
                    .post, path: "/v1/instances", headers: [("content-type", "application/json; charset=utf-8")],
                    body: Data((spec.dropLast() + #","network":null}"#).utf8))
                #expect(null.status == 202, "\(String(decoding: null.body, as: UTF8.self))")
            }
            let node = try scene.connect.client(as: scene.hosts[0].credential)
            try await node.closing { node in
                let hello = String(decoding: try WireJSON.encode(PlacementScene.hello("a")), as: UTF8.self)
                let answer = try await node.exchange(
                    .post, path: "/v1/node/hello", headers: [], body: Data((hello.dropLast() + #","dreams":{"of":1.5}}"#).utf8))
                #expect(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func bodiesAreJSONAndNamesInPathsArePercentDecoded() async throws {
        try await PlacementScene.with(hosts: [PlacementScene.hello("a")]) { scene in
            let client = try CloudClient(base: scene.connect.publicURL, authentication: .bearer(ConnectFixture.operatorToken))
            try await client.closing { client in
                for (type, status) in [
                    ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/json;charset=UTF-8", 200),
                    ("application/merge-patch+json", 200), ("", 200),
                ] {
                    let answer = try await client.exchange(
                        .put, path: "/v1/zones/z2", headers: Self.headers + [("content-type", type)], body: Data("{}".utf8))
                    #expect(answer.status == status, "\(type): \(String(decoding: answer.body, as: UTF8.self))")
                    guard status == 415 else { continue }
                    let problem = try WireJSON.decode(ProblemDocument.self, from: answer.body)
                    #expect(problem.rule == "http.media-type" && problem.nearest?.contains("application/json") == true)
                }
                let named = try await client.exchange(.get, path: "/v1/pods/%70od%2D1", headers: Self.headers, body: Data())
                #expect(named.status == 200, "\(String(decoding: named.body, as: UTF8.self))")
            }
        }
    }

    /// Cursors that were given are taken, page after page, and by their own list only.
    @Test(.timeLimit(.minutes(5))) func cursorsAreOfTheirList() async throws {
        try await PlacementScene.with(hosts: ["a", "b", "c"].map { PlacementScene.hello($0) }) { scene in
            var (query, seen) = (["limit": "1"], [HostID]())
            while true {
                let page = try await scene.connect.manage(ConnectAPI.listHosts, query: query, body: Empty())
                seen += page.items.map(\.id)
                guard let next = page.next else { break }
                query["cursor"] = next
            }
            #expect(seen == scene.hosts.map(\.id).sorted())
            let cursor = try #require(query["cursor"])
            for wrong in [cursor + "0", String(cursor.dropLast()), "A" + cursor, ".", ""] {
                let asked = ["cursor": wrong]
                let problem = await scene.problem { _ = try await scene.connect.manage(ConnectAPI.listHosts, query: asked, body: Empty()) }
                #expect(problem?.status == 400 && problem?.rule == "request.cursor" && problem?.nearest != nil, "\(wrong)")
            }
            let other = await scene.problem {
                _ = try await scene.connect.manage(ConnectAPI.listInstances, query: ["cursor": cursor], body: Empty())
            }
            #expect(other?.rule == "request.cursor", "it is another list's")
        }
    }

    // MARK: -

    private static let headers = [(name: "authorization", value: "Bearer \(ConnectFixture.operatorToken)")]

    private static func send(_ wrong: Wrong, _ client: CloudClient) async throws -> (status: Int, body: Data) {
        try await client.exchange(
            wrong.method, path: wrong.path, headers: headers + [("content-type", "application/json")], body: Data(wrong.body.utf8))
    }

    private static func check(_ wrong: Wrong, _ answer: (status: Int, body: Data)) async throws {
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(answer.status == wrong.status, "\(wrong.testDescription): \(text)")
        guard let problem = try? WireJSON.decode(ProblemDocument.self, from: answer.body) else {
            Issue.record("\(wrong.testDescription): \(text)")
            return
        }
        #expect(problem.rule == wrong.rule, "\(wrong.testDescription): \(text)")
        #expect(problem.nearest?.contains(wrong.nearest) == true, "\(wrong.testDescription): \(text)")
        #expect(problem.detail.contains("Cannot initialize") == false)
    }
}
