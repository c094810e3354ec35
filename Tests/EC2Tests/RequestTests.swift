import EC2
import Primitives
import Testing

extension InstanceDescription {
    static func sample(
        id: UInt64 = 1, reservation: UInt64 = 1, state: InstanceStateName = .running, tags: [ResourceTag] = []
    ) -> InstanceDescription {
        InstanceDescription(
            id: InstanceID(bits: id), reservation: ReservationID(bits: reservation), owner: "acc-1", image: ImageID(bits: 1),
            instanceType: "t2.micro",
            virtualCPUs: 1, state: state, stateReasonCode: "Client.UserInitiatedShutdown", stateReasonMessage: "<stopped> & \"done\"",
            stateChanged: .zero, launched: Instant(microseconds: 1_769_860_800_123_456), launchIndex: 0, keyName: "k", clientToken: "t",
            zone: "demo-1a", architecture: "x86_64", privateAddress: "10.0.0.5", macAddress: "52:54:00:00:00:05", tags: tags)
    }
}

@Suite struct RequestTests {
    private func decode<Request: ActionRequest>(_ type: Request.Type, _ form: String) throws -> Request {
        var reader = try ParameterReader(try QueryForm.decode(query: form, body: []))
        let request = try Request(&reader)
        try reader.finish()
        return request
    }

    private func code<Request: ActionRequest>(_ type: Request.Type, _ form: String) -> ErrorCode? {
        do {
            _ = try decode(type, form)
            return nil
        } catch {
            return (error as? EC2Error)?.code
        }
    }

    private static let launch = "ImageId=ami-00000000000000001&InstanceType=t2.micro&MinCount=1&MaxCount=2"

    @Test func launchesAreReadInFull() throws {
        let request = try decode(
            RunInstances.self,
            Self.launch + "&KeyName=k&UserData=IyEvYmluL3NoCg%3D%3D&ClientToken=abc&Placement.AvailabilityZone=demo-1a&EbsOptimized=false"
                + "&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=web"
                + "&MetadataOptions.HttpTokens=optional&Monitoring.Enabled=false")
        #expect(request.image == ImageID(bits: 1))
        #expect((request.minimumCount, request.maximumCount) == (1, 2))
        #expect(request.userData == "IyEvYmluL3NoCg==")
        #expect(request.zone == "demo-1a")
        #expect(request.tags == [ResourceTag(key: "Name", value: "web")])
        #expect(request.clientToken == "abc")
    }

    private static let refusedLaunches: [(String, ErrorCode)] = [
        ("ImageId=junk&MinCount=1&MaxCount=1", ErrorCode.invalidImageMalformed),
        ("ImageId=ami-12c6146b&MinCount=1&MaxCount=1", .invalidImageNotFound),
        ("ImageId=ami-1234567890abcdef0&MinCount=1&MaxCount=1", .invalidImageNotFound), ("MinCount=1&MaxCount=1", .missingParameter),
        ("ImageId=ami-00000000000000001&MaxCount=1", .missingParameter), ("\(launch)&MinCount=3", .malformedQueryString),
        ("ImageId=ami-00000000000000001&MinCount=3&MaxCount=2", .invalidParameterCombination),
        ("ImageId=ami-00000000000000001&MinCount=0&MaxCount=2", .invalidParameterValue),
        ("\(launch)&UserData=%21%21", .invalidUserDataMalformed),
        ("\(launch)&SubnetId=subnet-1", .unsupported), ("\(launch)&SecurityGroup.1=default", .unsupported),
        ("\(launch)&EbsOptimized=true", .unsupported),
        ("\(launch)&NoSuch=1", .unknownParameter), ("\(launch)&Placement.NoSuch=1", .unknownParameter),
        ("\(launch)&TagSpecification.1.ResourceType=volume&TagSpecification.1.Tag.1.Key=a", .invalidParameterValue),
        ("\(launch)&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=aws:x", .invalidTagKeyMalformed),
        ("\(launch)&ClientToken=12345678901234567890123456789012345678901234567890123456789012345", .invalidParameterValue),
    ]

    @Test(arguments: refusedLaunches)
    func launchesAreRefusedWithEC2Codes(_ form: String, _ expected: ErrorCode) {
        #expect(code(RunInstances.self, form) == expected)
    }

    @Test func userDataHasEC2Limit() {
        let largest = String(repeating: "A", count: 16_384 / 3 * 4) + "AA%3D%3D"
        #expect(code(RunInstances.self, Self.launch + "&UserData=" + largest) == nil)
        #expect(code(RunInstances.self, Self.launch + "&UserData=AAAA" + largest) == .invalidParameterValue)
    }

    @Test func sameLaunchesHaveTheSameTextAndOthersAnother() throws {
        let variants = [
            "", "&KeyName=a", "&KeyName=ab", "&UserData=YQ%3D%3D", "&Placement.AvailabilityZone=a",
            "&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=bc",
            "&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=ab&TagSpecification.1.Tag.1.Value=c",
        ]
        let texts = try variants.map { try decode(RunInstances.self, Self.launch + $0).canonicalText }
        #expect(Set(texts).count == variants.count)
        #expect(try decode(RunInstances.self, Self.launch + "&ClientToken=other").canonicalText == texts[0])
    }

    @Test func identifiersAreMalformedOrNotFound() {
        #expect(code(DescribeInstances.self, "InstanceId.1=junk") == .invalidInstanceMalformed)
        #expect(code(DescribeInstances.self, "InstanceId.1=i-1aaaaaaaaaaaaaaaa") == .invalidInstanceNotFound)
        #expect(code(DescribeInstances.self, "InstanceId.1=i-0aaaaaaaaaaaaaaaa") == nil)
        #expect(code(DescribeInstances.self, "InstanceId.1=i-0aaaaaaaaaaaaaaaa&MaxResults=5") == .invalidParameterCombination)
        #expect(code(TerminateInstances.self, "") == .missingParameter)
    }

    @Test func keysAreImportedInOpenSSHForm() throws {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIaIN088oStYy6rgDdmUR3iJBTjd2Vk9E+cBRrObji6K user@host"
        let encoded = QueryForm.encode([("KeyName", "k"), ("PublicKeyMaterial", base64(line))])
        #expect(try decode(ImportKeyPair.self, encoded).publicKey.line == line)
        #expect(code(ImportKeyPair.self, "KeyName=k&PublicKeyMaterial=AAAA") == .invalidKeyFormat)
        #expect(code(DeleteKeyPair.self, "") == .missingParameter)
        #expect(code(DeleteKeyPair.self, "KeyName=a&KeyPairId=b") == .invalidParameterCombination)
        #expect(code(CreateKeyPair.self, "KeyName=a&KeyType=rsa") == .unsupported)
    }

    private func base64(_ text: String) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let bytes = Array(text.utf8)
        var out = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            out +=
                String([18, 12, 6, 0].prefix(group.count + 1).map { letters[value >> $0 & 63] })
                + String(repeating: "=", count: 3 - group.count)
        }
        return out
    }
}

@Suite struct SSHKeyTests {
    @Test func fingerprintsAreThoseOfEC2() throws {
        let ed25519 = try #require(
            SSHPublicKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIaIN088oStYy6rgDdmUR3iJBTjd2Vk9E+cBRrObji6K user@host"))
        // `ssh-keygen -l`, padded as EC2 shows it.
        #expect(ed25519.fingerprint == "OWqoy/wax1n6OVad+v1gASs99s5hkSSb25FtC5l5npg=")
        let rsa = try #require(
            SSHPublicKey(
                "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC8tc8ykaavtarWzxkC8rTgVrdMXF8dItWKhG3lCk0A4UHawjNPyvjT5aTFgV5kAGxkRtqK4Dn8xtW3jqrcYtbXv6VrL7LHbacDTBSurQia5pOVac7xwf26g39BNFSnUtfn6FONqzNojqVoNnfcz/cJBntJJqB1tMkHybJ0x/jsXn4nRSiZ9xLgRKmGQTnhEHaJf8VsDDmCM22dtK446nUCYwnv9NSB17sxjYgZPG4j2y8zU8MGOYDVKZDJR0qmt9TfuaRuxkwtS7ywFGhfHPNiniKfBTL7IwBbodIkRz1sav0R4+jr1ushzF3gH4HIF1rVPguz9KQxuJlVtayp/I2l two words"
            ))
        // `ssh-keygen -e -m PKCS8 | openssl rsa -pubin -outform DER | openssl md5 -c`
        #expect(rsa.fingerprint == "07:fb:da:40:7f:3e:d1:34:eb:f5:3b:cb:18:94:26:02")
    }

    @Test(arguments: [
        "", "ssh-ed25519", "ssh-ed25519 !!!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIaIN088oStYy6rgDdmUR3iJBTjd2Vk9E+cBRrObji6K",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIaIN088", "a b\nc d", "-----BEGIN RSA PRIVATE KEY-----",
    ])
    func otherTextIsNoKey(_ text: String) { #expect(SSHPublicKey(text) == nil) }

    @Test func newPairsAreOfTheFormOpenSSHReads() throws {
        let pair = SSHKeyPair(comment: "web key")
        #expect(pair.publicKey.kind == .ed25519)
        let lines = pair.privateKey.split(separator: "\n")
        #expect(lines.first == "-----BEGIN OPENSSH PRIVATE KEY-----")
        #expect(lines.last == "-----END OPENSSH PRIVATE KEY-----")
        let file = try #require(decodeBase64(lines.dropFirst().dropLast().joined()))
        #expect(file.starts(with: Array("openssh-key-v1\0".utf8)))
        #expect(SSHKeyPair(comment: "").privateKey != pair.privateKey)
    }
}
