import CloudAPI
import CloudClient
import EC2
import Foundation
import Primitives
import ServiceKit
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct AccessTests {
    @Test func onlySignedRequestsAreAnswered() async throws {
        try await withManage { manage in
            #expect(try await manage.ec2("DescribeRegions").status == 200)
            let stranger = AccessCredential(accessKey: "AKBOAAAAAAAAAAAAAAAA", secretKey: "x")
            let unknown = try await manage.ec2("DescribeRegions", credential: stranger)
            #expect(errorCode(unknown) == "AuthFailure")
            #expect(unknown.status == 401)
            var wrong = manage.credential
            wrong.secretKey += "x"
            #expect(errorCode(try await manage.ec2("DescribeRegions", credential: wrong)) == "SignatureDoesNotMatch")
            let now = SystemTime().now()
            #expect(errorCode(try await manage.ec2("DescribeRegions", at: now - .minutes(16))) == "RequestExpired")
            #expect(errorCode(try await manage.ec2("DescribeRegions", at: now + .minutes(16))) == "SignatureDoesNotMatch")
            let unsigned = SignableRequest(
                method: "POST", path: "/", query: "", headers: [("Host", "h")], body: Array("Action=DescribeRegions".utf8))
            #expect(errorCode(try await manage.send(unsigned)) == "MissingAuthenticationToken")
        }
    }

    @Test func presignedAddressesWork() async throws {
        try await withManage { manage in
            let host = manage.ec2Base.replacingOccurrences(of: "http://", with: "")
            let get = SignableRequest(
                method: "GET", path: "/", query: "Action=DescribeAvailabilityZones&Version=2016-11-15", headers: [("Host", host)], body: [])
            let signed = RequestSigner(manage.credential, region: Town.region).presign(get, at: SystemTime().now(), validSeconds: 60)
            let answer = try await manage.send(signed)
            #expect(answer.status == 200)
            #expect(answer.document["availabilityZoneInfo"]?.items.first?["zoneName"]?.text == Town.zone)
        }
    }

    @Test func malformedRequestsGetDocumentedErrors() async throws {
        try await withManage { manage in
            #expect(errorCode(try await manage.ec2("Nonsense")) == "InvalidAction")
            #expect(errorCode(try await manage.ec2("DescribeInstances", ("Bogus", "1"))) == "UnknownParameter")
            #expect(
                errorCode(try await manage.ec2("DescribeInstances", ("Filter.1.Name", "bogus"), ("Filter.1.Value.1", "x")))
                    == "InvalidParameterValue")
            let large = try await manage.ec2("RunInstances", ("UserData", String(repeating: "A", count: 1_048_600)))
            #expect(errorCode(large) == "RequestEntityTooLarge")
            #expect(large.status == 413)
        }
    }

    @Test func rightsAreApart() async throws {
        try await withManage(settle: false) { manage in
            try await manage.settle(rights: [.commercial])
            #expect(errorCode(try await manage.ec2("DescribeInstances")) == "UnauthorizedOperation")
            let launch = try await manage.ec2("RunInstances", manage.launchParameters + [("DryRun", "true")])
            #expect(errorCode(launch) == "UnauthorizedOperation")
            #expect(try await manage.call(ManageAPI.listCharges, body: Empty(), token: manage.user).items.isEmpty)
        }
        try await withManage(settle: false) { manage in
            try await manage.settle(rights: [.technical])
            let problem = await #expect(throws: ProblemDocument.self) {
                try await manage.call(ManageAPI.listCharges, body: Empty(), token: manage.user)
            }
            #expect(problem?.status == 403)
        }
    }

    @Test func accountsDoNotSeeEachOther() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            let id = try #require(try await manage.run().first)
            _ = try await manage.ec2("CreateKeyPair", ("KeyName", "mine"))
            let account = try await manage.call(
                ManageAPI.createAccount, body: CreateAccount(name: "Other", currency: .eur, priceCap: 50_000))
            let user = try await manage.call(
                ManageAPI.createUser, path: ["account": account.id.description], body: CreateUser(name: "bob", rights: UserRight.allCases))
            let key = try await manage.call(ManageAPI.createAccessKey, path: ["user": user.id.description], body: Empty())
            let other = AccessCredential(accessKey: key.accessKey, secretKey: key.secretKey)
            #expect(try await manage.ec2("DescribeInstances", credential: other).document["reservationSet"]?.items.isEmpty == true)
            #expect(try await manage.ec2("DescribeKeyPairs", credential: other).document["keySet"]?.items.isEmpty == true)
            for action in ["DescribeInstances", "TerminateInstances", "StopInstances"] {
                let answer = try await manage.ec2(action, ("InstanceId.1", id.description), credential: other)
                #expect(errorCode(answer) == "InvalidInstanceID.NotFound", "\(action)")
            }
            let tag = try await manage.ec2(
                "CreateTags", ("ResourceId.1", id.description), ("Tag.1.Key", "a"), ("Tag.1.Value", "b"), credential: other)
            #expect(errorCode(tag) == "InvalidInstanceID.NotFound")
            let token = try await manage.call(
                ManageAPI.createUserToken, path: ["user": user.id.description], body: CreateToken(description: "t")
            ).token
            let hidden = await #expect(throws: ProblemDocument.self) {
                try await manage.call(ManageAPI.showInstance, path: ["instance": id.description], body: Empty(), token: token)
            }
            #expect(hidden?.status == 404)
        }
    }

    @Test func theSameKeyGivesTheSameAnswer() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            let body = LaunchInstances(image: manage.town.image, offering: "t2.nano", name: "json")
            let first = try await manage.call(ManageAPI.launchInstances, body: body, token: manage.user, key: "one")
            let again = try await manage.call(ManageAPI.launchInstances, body: body, token: manage.user, key: "one")
            #expect(first.items.map(\.id) == again.items.map(\.id))
            let problem = await #expect(throws: ProblemDocument.self) {
                try await manage.call(
                    ManageAPI.launchInstances, body: LaunchInstances(image: manage.town.image, offering: "t2.micro"), token: manage.user,
                    key: "one")
            }
            #expect(problem?.rule == "idempotency.reused")
            try await eventually("one machine runs") { manage.connect.instances.count == 1 }
        }
    }
}
