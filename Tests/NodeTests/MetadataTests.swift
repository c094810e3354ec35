import CloudAPI
import Drivers
import Foundation
import Node
import Primitives
import Testing

@Suite struct MetadataTests {
    private let service = MetadataService(tokens: MetadataTokens())
    private let now = Instant(seconds: 1_767_225_600)
    private static let token = "x-aws-ec2-metadata-token"
    private static let lifetime = "x-aws-ec2-metadata-token-ttl-seconds"

    private func subject(_ number: UInt64 = 1) throws -> MetadataSubject {
        MetadataSubject(
            intent: sampleIntent(number), region: "eu-test-1", zone: "eu-test-1a", network: try #require(IPv4Prefix("10.99.0.1/16")),
            pending: now)
    }

    @Test func theNetworkIsTheTenants() throws {
        let network = NetworkID(bits: 0xe1)
        let intent = sampleIntent(1, address: "10.1.0.11").with { $0.network = network }
        let subject = MetadataSubject(
            intent: intent, region: "eu-test-1", zone: "eu-test-1a", network: try #require(IPv4Prefix("10.1.0.0/24")), pending: now)
        let folder = "/latest/meta-data/network/interfaces/macs/\(intent.macAddress)/"
        let wanted = [
            "vpc-id": "\(network)", "subnet-id": "\(SubnetID(bits: network.bits))", "subnet-ipv4-cidr-block": "10.1.0.0/24",
            "vpc-ipv4-cidr-block": "10.1.0.0/24", "local-ipv4s": "10.1.0.11",
        ]
        for (name, value) in wanted {
            let answer = service.answer(MetadataRequest(method: "GET", target: folder + name, headers: [:]), from: subject, at: now)
            #expect(answer.status == 200 && String(decoding: answer.body, as: UTF8.self) == value, "\(name)")
        }
    }

    private func get(
        _ path: String, _ headers: [String: String] = [:], method: String = "GET", from number: UInt64 = 1, at moment: Instant? = nil
    )
        throws -> (Int, String)
    {
        let answer = service.answer(
            MetadataRequest(method: method, target: path, headers: headers), from: try subject(number), at: moment ?? now)
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    @Test(arguments: [
        ("", "dynamic/\nmeta-data/\nuser-data"), ("/meta-data/instance-id", "i-00bad000000000001"),
        ("/meta-data/ami-id", "ami-00000000000000009"),
        ("/meta-data/ami-launch-index", "0"), ("/meta-data/instance-type", "general.small"), ("/meta-data/local-ipv4", "10.99.0.11"),
        ("/meta-data/mac", "02:00:00:00:01:01"), ("/meta-data/hostname", "ip-10-99-0-11.eu-test-1.internal"),
        ("/meta-data/local-hostname", "ip-10-99-0-11.eu-test-1.internal"), ("/meta-data/placement/availability-zone", "eu-test-1a"),
        ("/meta-data/placement/region", "eu-test-1"), ("/meta-data/placement", "availability-zone\nregion"),
        ("/meta-data/placement/", "availability-zone\nregion"), ("/meta-data/public-keys/", "0=demo"),
        ("/meta-data/public-keys/0", "openssh-key"),
        ("/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA demo"), ("/meta-data/reservation-id", "r-00000000000000001"),
        ("/meta-data/security-groups", "default"), ("/meta-data/block-device-mapping/", "ami\nroot"),
        ("/meta-data/block-device-mapping/ami", "vda"),
        ("/meta-data/network/interfaces/macs/", "02:00:00:00:01:01/"),
        ("/meta-data/network/interfaces/macs/02:00:00:00:01:01/device-number", "0"),
        ("/meta-data/network/interfaces/macs/02:00:00:00:01:01/subnet-ipv4-cidr-block", "10.99.0.0/16"),
        ("/meta-data/network/interfaces/macs/02%3A00%3a00:00:01:01/local-ipv4s", "10.99.0.11"), ("/meta-data/tags/instance/", "Name"),
        ("/meta-data/tags/instance/Name", "web"), ("/user-data", "#!/bin/sh\necho hello\n"), ("/dynamic/instance-identity", "document"),
    ]) func answers(path: String, body: String) throws {
        for version in ["/latest", "/2009-04-04", "/2021-03-23"] { #expect(try get(version + path) == (200, body)) }
    }

    /// As EC2 documents it: nothing is there before it is announced.
    @Test func anInterruptionIsToldOnceItIsAnnounced() throws {
        #expect(try get("/latest/meta-data/spot/instance-action").0 == 404)
        #expect(try get("/latest/meta-data/instance-life-cycle").1 == "on-demand")
        var announced = try subject()
        announced.intent.interruptible = true
        announced.intent.interruption = now + .milliseconds(120_500)
        func body(_ path: String) -> String {
            let request = MetadataRequest(method: "GET", target: "/latest/meta-data/" + path, headers: [:])
            return String(decoding: service.answer(request, from: announced, at: now).body, as: UTF8.self)
        }
        #expect(body("spot/instance-action") == #"{"action":"terminate","time":"2026-01-01T00:02:00Z"}"#)
        #expect(body("spot/termination-time") == "2026-01-01T00:02:00Z")
        #expect(body("instance-life-cycle") == "spot")
    }

    @Test func listsVersions() throws {
        #expect(try get("/").1.split(separator: "\n").contains("latest"))
        #expect(try get("/latest/meta-data/").1.split(separator: "\n").contains("public-keys/"))
    }

    @Test(arguments: [
        ("GET", "/latest/meta-data/no-such", [:], 404), ("GET", "/latest/meta-data/instance-id/more", [:], 404),
        ("GET", "/1999-01-01/meta-data", [:], 404),
        ("GET", "/latest/meta-data/../../etc/passwd", [:], 400), ("GET", "/latest/%", [:], 400), ("GET", "latest", [:], 400),
        ("DELETE", "/latest/meta-data/instance-id", [:], 405), ("POST", "/latest/meta-data/", [:], 405),
        ("PUT", "/latest/meta-data/", [:], 405),
        ("GET", "/latest/api/token", [:], 405), ("PUT", "/latest/api/token", [:], 400), ("PUT", "/latest/api/token", [lifetime: "0"], 400),
        ("PUT", "/latest/api/token", [lifetime: "21601"], 400), ("PUT", "/latest/api/token", [lifetime: "-5"], 400),
        ("PUT", "/latest/api/token", [lifetime: "abc"], 400),
        ("PUT", "/latest/api/token", [lifetime: "60", "x-forwarded-for": "1.2.3.4"], 403),
        ("GET", "/latest/meta-data/instance-id", ["x-forwarded-for": "1.2.3.4"], 403),
        ("GET", "/latest/meta-data/instance-id", [token: "AAAA"], 401),
        ("GET", "/latest/meta-data/instance-id", [token: ""], 401), ("PUT", "/latest/api/token", [lifetime: "1"], 200),
        ("PUT", "/latest/api/token", [lifetime: "21600"], 200), ("HEAD", "/latest/meta-data/instance-id", [:], 200),
    ]) func refuses(method: String, path: String, headers: [String: String], status: Int) throws {
        #expect(try get(path, headers, method: method).0 == status)
    }

    @Test func strangersLearnNothing() {
        let answer = service.answer(
            MetadataRequest(method: "GET", target: "/latest/meta-data/instance-id", headers: [:]), from: nil, at: now)
        #expect(answer.status == 404 && answer.body.isEmpty)
    }

    @Test func tokensAreForOneInstanceAndForATime() throws {
        let answer = service.answer(
            MetadataRequest(method: "PUT", target: "/latest/api/token", headers: [Self.lifetime: "60"]), from: try subject(), at: now)
        let token = String(decoding: answer.body, as: UTF8.self)
        #expect(answer.isToken && answer.headers[Self.lifetime] == "60" && token.utf8.count == 56)
        let path = "/latest/meta-data/instance-id"
        #expect(try get(path, [Self.token: token]).0 == 200)
        #expect(try get(path, [Self.token: token], at: now + .seconds(59)).0 == 200)
        #expect(try get(path, [Self.token: token], at: now + .seconds(60)).0 == 401)
        #expect(try get(path, [Self.token: token], from: 2).0 == 401, "another instance's")
        var forged = Array(token.utf8)
        for index in forged.indices.dropLast(2) {
            forged = Array(token.utf8)
            forged[index] = forged[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(try get(path, [Self.token: String(decoding: forged, as: UTF8.self)]).0 == 401)
        }
        #expect(!MetadataTokens().accepts(token, for: instance(1), at: now), "another key")
    }

    @Test func identityDocument() throws {
        let (status, text) = try get("/latest/dynamic/instance-identity/document")
        let document = try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
        #expect(status == 200 && document["instanceId"] == "i-00bad000000000001" && document["region"] == "eu-test-1")
        #expect(document["accountId"] == "acc-00000000000000006" && document["imageId"] == "ami-00000000000000009")
    }

    @Test func whatIsNotThereIsNotListed() throws {
        var bare = try subject()
        bare.intent = bare.intent.with { ($0.userData, $0.keys, $0.tags) = (nil, [], [:]) }
        func status(_ path: String) -> Int {
            service.answer(MetadataRequest(method: "GET", target: path, headers: [:]), from: bare, at: now).status
        }
        #expect(
            status("/latest/user-data") == 404 && status("/latest/meta-data/public-keys/") == 404 && status("/latest/meta-data/tags") == 404
        )
        #expect(status("/latest/meta-data/instance-id") == 200)
    }
}
