import EC2
import Primitives
import Testing

@Suite struct DocumentTests {
    private let identifier = requestIdentifier(0x0123_4567_89AB_CDEF, 0xFFFF_FFFF_FFFF_FFFF)

    @Test func requestIdentifiersAreRandomUUIDs() {
        #expect(identifier == "01234567-89ab-4def-bfff-ffffffffffff")
        #expect(requestIdentifier(0, 0) == "00000000-0000-4000-8000-000000000000")
    }

    @Test func errorsAreDocumentsWithoutANamespace() throws {
        let bytes = EC2Error(.invalidInstanceNotFound, "The instance ID 'i-<&>' does not exist").document(requestID: identifier)
        let document = try #require(XMLElement(document: bytes))
        #expect(document.name == "Response")
        let error = try #require(document["Errors"]?["Error"])
        #expect(error["Code"]?.text == "InvalidInstanceID.NotFound")
        #expect(error["Message"]?.text == "The instance ID 'i-<&>' does not exist")
        #expect(document["RequestID"]?.text == identifier)
        #expect(!String(decoding: bytes, as: UTF8.self).contains("xmlns"))
    }

    @Test func answersCarryNamespaceAndRequest() throws {
        let reservations = ReservationDescription.grouping([.sample(id: 1), .sample(id: 2, reservation: 2), .sample(id: 3)])
        #expect(reservations.map(\.instances.count) == [2, 1])
        let answer = AnsweredAction(
            action: .describeInstances, response: DescribeInstances.Response(reservations: reservations, nextToken: "abc"))
        let bytes = answer.document(requestID: identifier)
        #expect(
            String(decoding: bytes, as: UTF8.self).contains(
                #"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">"#))
        let document = try #require(XMLElement(document: bytes))
        #expect(document["requestId"]?.text == identifier)
        #expect(document["nextToken"]?.text == "abc")
        let instance = try #require(document["reservationSet"]?.items.first?["instancesSet"]?.items.first)
        #expect(instance["instanceId"]?.text == "i-00000000000000001")
        #expect(instance["launchTime"]?.text == "2026-01-31T12:00:00.123Z")
        #expect(instance["instanceState"]?["code"]?.text == "16")
        #expect(instance["stateReason"]?["message"]?.text == "<stopped> & \"done\"")
        #expect(instance["networkInterfaceSet"]?.items.first?["privateIpAddress"]?.text == "10.0.0.5")
    }

    @Test func anyTextSurvivesWritingAndReading() throws {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<500 {
            let text = String(
                (0..<Int.random(in: 1...20, using: &random)).map { _ in "a<>&\"' ü€\r\n\t;#]".randomElement(using: &random) ?? "a" })
            var xml = XMLWriter()
            xml.element("r") { xml in xml.text("v", text) }
            #expect(try #require(XMLElement(document: xml.bytes))["v"]?.text == text)
        }
        var xml = XMLWriter()
        xml.text("v", "a\u{0}b\u{1B}")
        #expect(XMLElement(document: xml.bytes)?.text == "a\u{FFFD}b\u{FFFD}")
    }

    @Test(arguments: ["", "<a>", "<a></b>", "<a/><b/>", "<a>&nope;</a>", "<a b=c/>", "<!DOCTYPE a><a/>", "<a", "text"])
    func malformedDocumentsAreRefused(_ text: String) { #expect(XMLElement(document: text.utf8) == nil) }

    @Test func everyCodeHasAPlausibleStatus() {
        #expect(Set(ErrorCode.allCases.map(\.rawValue)).count == ErrorCode.allCases.count)
        #expect(ErrorCode.allCases.filter { $0.status >= 500 } == [.requestLimitExceeded, .unavailable, .internalError])
    }
}

@Suite struct RegistryTests {
    private let registry: ActionRegistry<Bool> = {
        var registry = ActionRegistry<Bool>()
        registry.on(
            DescribeRegions.self,
            check: { _, allowed in
                guard allowed else { throw EC2Error(.unauthorizedOperation, "no") }
            },
            perform: { request, _ in
                DescribeRegions.Response(regions: [RegionDescription(name: "demo-1", endpoint: "e")].filter(request.filter))
            })
        return registry
    }()

    private func perform(_ form: String, allowed: Bool = true) async -> Result<AnsweredAction, EC2Error> {
        do {
            return .success(try await registry.perform(try QueryForm.decode(query: form, body: []), allowed))
        } catch {
            return .failure(error as? EC2Error ?? EC2Error(.internalError, "\(error)"))
        }
    }

    @Test(arguments: [
        ("", ErrorCode.missingAction), ("Action=Nope", .invalidAction), ("Action=DescribeImages", .invalidAction),
        ("Action=DescribeRegions&Version=2010-01-01", .noSuchVersion), ("Action=DescribeRegions&Nope=1", .unknownParameter),
        ("Action=DescribeRegions&DryRun=perhaps", .invalidParameterValue), ("Action=DescribeRegions&DryRun=true", .dryRunOperation),
        ("Action=DescribeRegions&Filter.1.Name=nope&Filter.1.Value.1=x", .invalidParameterValue),
    ])
    func refusals(_ form: String, _ code: ErrorCode) async {
        guard case .failure(let error) = await perform(form) else { return #expect(Bool(false), "\(form) was accepted") }
        #expect(error.code == code)
    }

    @Test func performsAndChecks() async throws {
        let answer = try await perform("Action=DescribeRegions&Version=2016-11-15&Filter.1.Name=region-name&Filter.1.Value.1=demo-*").get()
        #expect(XMLElement(document: answer.document(requestID: "r"))?["regionInfo"]?.items.first?["regionName"]?.text == "demo-1")
        guard case .failure(let error) = await perform("Action=DescribeRegions&DryRun=true", allowed: false) else {
            return #expect(Bool(false), "a dry run of something forbidden was accepted")
        }
        #expect(error.code == .unauthorizedOperation)
        #expect(registry.missing.count == Action.allCases.count - 1)
    }
}
