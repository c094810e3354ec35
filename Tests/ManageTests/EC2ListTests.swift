import CloudAPI
import EC2
import Foundation
import Primitives
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct EC2ListTests {
    private func identifiers(_ answer: (status: Int, document: XMLElement)) -> [String] {
        (answer.document["reservationSet"]?.items ?? []).flatMap { $0["instancesSet"]?.items ?? [] }.compactMap { $0["instanceId"]?.text }
    }

    @Test func filtersPagesAndTags() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 20))
            let seven = manage.launchParameters.filter { !$0.0.hasSuffix("Count") } + [("MinCount", "7"), ("MaxCount", "7")]
            let (status, launched) = try await manage.ec2("RunInstances", seven)
            #expect(status == 200)
            let ids = (launched["instancesSet"]?.items ?? []).compactMap { $0["instanceId"]?.text }
            #expect(ids.count == 7)
            try await eventually("all run") {
                self.identifiers(
                    try await manage.ec2("DescribeInstances", ("Filter.1.Name", "instance-state-name"), ("Filter.1.Value.1", "running"))
                ).count == 7
            }
            let first = try await manage.ec2("DescribeInstances", ("MaxResults", "5"))
            let token = try #require(first.document["nextToken"]?.text)
            let second = try await manage.ec2("DescribeInstances", ("MaxResults", "5"), ("NextToken", token))
            #expect(Set(identifiers(first) + identifiers(second)) == Set(ids))
            #expect(identifiers(first).count == 5 && second.document["nextToken"] == nil)

            let tagged = try await manage.ec2(
                "CreateTags", ("ResourceId.1", ids[0]), ("ResourceId.2", ids[1]), ("Tag.1.Key", "role"), ("Tag.1.Value", "web"))
            #expect(tagged.document["return"]?.text == "true")
            let web = try await manage.ec2("DescribeInstances", ("Filter.1.Name", "tag:role"), ("Filter.1.Value.1", "w*"))
            #expect(Set(identifiers(web)) == Set(ids[0...1]))
            _ = try await manage.ec2("DeleteTags", ("ResourceId.1", ids[0]), ("Tag.1.Key", "role"), ("Tag.1.Value", "other"))
            #expect(try await manage.ec2("DescribeTags").document["tagSet"]?.items.count == 2, "the value was another")
            _ = try await manage.ec2("DeleteTags", ("ResourceId.1", ids[0]), ("Tag.1.Key", "role"))
            #expect(try await manage.ec2("DescribeTags").document["tagSet"]?.items.compactMap { $0["resourceId"]?.text } == [ids[1]])
            let statuses = try await manage.ec2("DescribeInstanceStatus").document["instanceStatusSet"]?.items
            #expect(statuses?.count == 7)
        }
    }

    @Test func keyPairs() async throws {
        try await withManage { manage in
            let made = try await manage.ec2("CreateKeyPair", ("KeyName", "one"), ("KeyType", "ed25519"))
            #expect(made.document["keyMaterial"]?.text.hasPrefix("-----BEGIN OPENSSH PRIVATE KEY-----") == true)
            #expect(errorCode(try await manage.ec2("CreateKeyPair", ("KeyName", "one"))) == "InvalidKeyPair.Duplicate")
            let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIaIN088oStYy6rgDdmUR3iJBTjd2Vk9E+cBRrObji6K me"
            let imported = try await manage.ec2(
                "ImportKeyPair", ("KeyName", "two"), ("PublicKeyMaterial", Data(line.utf8).base64EncodedString()))
            #expect(imported.document["keyFingerprint"]?.text == "OWqoy/wax1n6OVad+v1gASs99s5hkSSb25FtC5l5npg=")
            let listed = try await manage.ec2("DescribeKeyPairs", ("IncludePublicKey", "true"), ("KeyName.1", "two"))
            #expect(listed.document["keySet"]?.items.compactMap { $0["publicKey"]?.text } == [line])
            #expect(errorCode(try await manage.ec2("DescribeKeyPairs", ("KeyName.1", "three"))) == "InvalidKeyPair.NotFound")
            #expect(try await manage.ec2("DeleteKeyPair", ("KeyName", "one")).document["return"]?.text == "true")
            #expect(try await manage.ec2("DeleteKeyPair", ("KeyName", "one")).document["keyPairId"] == nil)
        }
    }

    @Test func theCatalogue() async throws {
        try await withManage { manage in
            let images = try await manage.ec2("DescribeImages", ("Filter.1.Name", "name"), ("Filter.1.Value.1", "gu*"))
            #expect(images.document["imagesSet"]?.items.compactMap { $0["imageId"]?.text } == [manage.town.image.description])
            #expect(errorCode(try await manage.ec2("DescribeImages", ("ImageId.1", "ami-0aaaaaaaaaaaaaaaa"))) == "InvalidAMIID.NotFound")
            let regions = try await manage.ec2("DescribeRegions")
            #expect(regions.document["regionInfo"]?.items.compactMap { $0["regionName"]?.text } == [Town.region])
            let types = try await manage.ec2("DescribeInstanceTypes", ("MaxResults", "5"))
            #expect(types.document["instanceTypeSet"]?.items.count == 5)
            #expect(types.document["nextToken"] != nil)
            #expect(errorCode(try await manage.ec2("DescribeInstanceTypes", ("InstanceType.1", "x.y"))) == "InvalidInstanceType")
            let offerings = try await manage.call(ManageAPI.listOfferings, body: Empty())
            #expect(offerings.items.contains { $0.name == "m1.small" })
        }
    }
}
