import CloudAPI
import Foundation
import Testing

/// The lists of all endpoints against the sources that declare them.
@Suite struct EndpointListTests {
    static let programs: [(folder: String, all: [AnyEndpoint])] = [
        ("Exchange", ExchangeAPI.all), ("Manage", ManageAPI.all), ("Connect", ConnectAPI.all),
    ]

    @Test(arguments: 0..<3) func everyDeclaredEndpointIsListed(_ index: Int) throws {
        let (folder, all) = Self.programs[index]
        var declared: [String] = []
        for file in try Repository.swiftFiles(below: "Sources/Interface/CloudAPI/\(folder)") {
            declared += declaredOperations(in: try String(contentsOf: file, encoding: .utf8))
        }
        #expect(declared.count > 10)
        #expect(Set(declared).count == declared.count, "an operation id is used twice")
        #expect(Set(declared) == Set(all.map(\.operation)))
        #expect(declared.count == all.count)
    }

    @Test func theSearchFindsEndpointsHoweverTheyAreWritten() {
        let source = """
            public static let a = Endpoint("one", .get)
            public static let b = Endpoint(
                "two", .post)
            static let c: Endpoint<Empty, Empty> = Endpoint<Empty, Empty>(
                "three", .post)
            static let d: Endpoint<Empty, Empty> = .init("four", .post)
            """
        #expect(declaredOperations(in: source) == ["one", "two", "three", "four"])
    }

    @Test(arguments: 0..<3) func endpointsAreWellFormed(_ index: Int) {
        for endpoint in Self.programs[index].all {
            #expect(endpoint.path.hasPrefix("/v1/"), "\(endpoint.operation)")
            #expect(!endpoint.access.isEmpty, "\(endpoint.operation) is for nobody")
            #expect(endpoint.summary.hasSuffix("."), "\(endpoint.operation)")
            #expect([200, 201, 202].contains(endpoint.success), "\(endpoint.operation)")
            #expect(Set(endpoint.pathParameters).count == endpoint.pathParameters.count, "\(endpoint.operation)")
            #expect(Set(endpoint.query.map(\.name)).count == endpoint.query.count, "\(endpoint.operation)")
            if endpoint.method == .get {
                #expect(ObjectIdentifier(endpoint.request) == ObjectIdentifier(Empty.self), "\(endpoint.operation): a GET has no body")
            }
        }
    }

    /// Only what hands out trust to those who have none yet, and market data that names nobody, is open to anyone.
    @Test func onlyTheseAreOpenToAnyone() {
        let open = Self.programs.flatMap(\.all).filter { $0.access.contains(.anyone) }.map(\.operation)
        #expect(
            Set(open) == [
                "enrol", "enrolNode", "revocationList", "authority", "listBars", "showTicker", "showDepth", "streamSeries",
            ])
    }

    @Test func theOperationIdIsTheFirstArgument() throws {
        let endpoint = AnyEndpoint(ExchangeAPI.showContract)
        #expect(endpoint.operation == "showContract")
        #expect(endpoint.pathParameters == ["contract"])
        #expect(ObjectIdentifier(endpoint.response) == ObjectIdentifier(ContractView.self))
    }
}

/// The operation ids of all `static let … = Endpoint(…)` in a source file.
private func declaredOperations(in source: String) -> [String] {
    source.matches(of: /static let \w+(?:: Endpoint<[^=]*>)? = (?:Endpoint(?:<[^(]*>)?|\.init)\(\s*"(\w+)"/).map { String($0.1) }
}
