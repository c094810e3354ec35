import EC2
import Primitives
import Testing

@Suite struct ParameterTests {
    private func reader(_ form: String) throws(EC2Error) -> ParameterReader {
        try ParameterReader(try QueryForm.decode(query: "", body: Array(form.utf8)))
    }

    private func refusal(_ form: String, _ read: (inout ParameterReader) throws(EC2Error) -> Void) -> EC2Error? {
        do throws(EC2Error) {
            var reader = try reader(form)
            try read(&reader)
            try reader.finish()
            return nil
        } catch {
            return error
        }
    }

    @Test func readsNestedListsInNumericOrder() throws {
        var reader = try reader("Filter.10.Name=c&Filter.2.Name=b&Filter.2.Value.2=y&Filter.2.Value.1=x&Filter.10.Value.1=z+z")
        #expect(try reader.filters() == [Filter("b", ["x", "y"]), Filter("c", ["z z"])])
        try reader.finish()
    }

    @Test(arguments: [
        ("A=%", ErrorCode.malformedQueryString), ("A=%zz", .malformedQueryString), ("A=%ff", .malformedQueryString),
        ("A=1&A=2", .malformedQueryString), ("A..B=1", .unknownParameter), ("=1", .unknownParameter),
        ("A.1.2.3.4.5.6.7.8.9=1", .unknownParameter),
        ("Bogus=1", .unknownParameter), ("Filter.1.Bogus=1&Filter.1.Name=n&Filter.1.Value.1=v", .unknownParameter),
        ("Filter.0.Name=n&Filter.0.Value.1=v", .unknownParameter), ("Filter.x.Name=n", .unknownParameter),
        ("Filter.1.Name=n", .invalidParameterValue),
        ("Filter.1.Value.1=v", .missingParameter), ("Filter.1.Name=n&Filter.1.Value.1.Deep=v", .unknownParameter),
    ])
    func refusesWhatItDoesNotUnderstand(_ form: String, _ code: ErrorCode) {
        #expect(refusal(form) { (reader: inout ParameterReader) throws(EC2Error) in _ = try reader.filters() }?.code == code)
    }

    @Test func namesTheUnknownParameterInFull() {
        let error = refusal("Placement.Zone=a") { (reader: inout ParameterReader) throws(EC2Error) in
            _ = try reader.structure("Placement") { (inner: inout ParameterReader) throws(EC2Error) in inner.string("AvailabilityZone") }
        }
        #expect(error == EC2Error(.unknownParameter, "The parameter Placement.Zone is not recognized"))
    }

    @Test func scalarsAreChecked() throws {
        var reader = try reader("A=12&B=True&C=maybe&D=99999999999999999999&E=")
        #expect(try reader.integer("A", in: 1...20) == 12)
        #expect(try reader.boolean("B") == true)
        #expect(throws: EC2Error.self) { try reader.boolean("C") }
        #expect(throws: EC2Error.self) { try reader.integer("D", in: 1...20) }
        #expect(throws: EC2Error(.missingParameter, "The request must contain the parameter E")) { try reader.requiredString("E") }
        #expect(try reader.integer("F", in: 1...20) == nil)
        try reader.finish()
    }

    @Test func anyFormEncodesAndDecodes() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<500 {
            let parameters = (0..<Int.random(in: 0...6, using: &random)).map { index in
                (
                    "P\(index)",
                    String(
                        (0..<Int.random(in: 0...12, using: &random)).map { _ in "ab &=+%/*~ü€\n\"".randomElement(using: &random) ?? "a" })
                )
            }
            let decoded = try QueryForm.decode(query: "", body: Array(QueryForm.encode(parameters).utf8))
            #expect(decoded.map(\.name) == parameters.map(\.0))
            #expect(decoded.map(\.value) == parameters.map(\.1))
        }
    }

    @Test func anyBytesGiveAnErrorOrParameters() {
        var random = SeededGenerator(seed: 8)
        let alphabet = Array("A.1=&%+2f\u{FF}Filter.1.Name".utf8)
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            do throws(EC2Error) {
                var reader = try ParameterReader(try QueryForm.decode(query: "", body: bytes))
                _ = try reader.filters()
                try reader.finish()
            } catch {
                #expect(error.code.status == 400)
            }
        }
    }
}

@Suite struct FilterTests {
    @Test(arguments: [
        ("web", "web", true), ("web", "Web", false), ("w*", "web", true), ("*", "", true), ("?", "", false), ("w?b", "web", true),
        ("w?b", "wb", false),
        ("*eb*", "webs", true), ("a*b*c", "aXbYbZc", true), ("a*b*c", "acb", false), ("\\*", "*", true), ("\\*", "x", false),
        ("a\\?", "a?", true),
        ("\\\\", "\\", true), ("", "", true), ("", "x", false), ("**a", "bba", true),
    ])
    func wildcards(_ pattern: String, _ text: String, _ matches: Bool) {
        #expect(WildcardPattern(pattern).matches(text) == matches)
    }

    /// Against the plainest definition there is.
    @Test func wildcardsEqualTheNaiveMatcher() {
        func naive(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == "*" { return naive(pattern.dropFirst(), text) || (!text.isEmpty && naive(pattern, text.dropFirst())) }
            guard let character = text.first else { return false }
            return (first == "?" || first == character) && naive(pattern.dropFirst(), text.dropFirst())
        }
        var random = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            let pattern = (0..<Int.random(in: 0...7, using: &random)).map { _ in "ab*?".randomElement(using: &random) ?? "a" }
            let text = (0..<Int.random(in: 0...8, using: &random)).map { _ in "ab".randomElement(using: &random) ?? "a" }
            #expect(
                WildcardPattern(String(pattern)).matches(String(text)) == naive(pattern[...], text[...]),
                "\(String(pattern)) on \(String(text))")
        }
    }

    /// One that tries every way to place the stars would outlive the test.
    @Test(.timeLimit(.minutes(5))) func patternsTakeNoExponentialTime() {
        #expect(!WildcardPattern(String(repeating: "*a", count: 100)).matches(String(repeating: "a", count: 5_000) + "b"))
    }

    @Test func valuesAreAlternativesAndFiltersAllMustHold() throws {
        let instance = InstanceDescription.sample(state: .running, tags: [ResourceTag(key: "Name", value: "web-1")])
        func matches(_ filters: Filter...) throws(EC2Error) -> Bool { try InstanceDescription.filters.matcher(filters)(instance) }
        #expect(try matches())
        #expect(try matches(Filter("instance-state-name", ["stopped", "running"])))
        #expect(try matches(Filter("tag:Name", ["web-*"]), Filter("tag-key", ["Name"]), Filter("instance-state-code", ["16"])))
        #expect(try !matches(Filter("tag:Name", ["web-*"]), Filter("instance-state-name", ["stopped"])))
        #expect(try !matches(Filter("tag:Other", ["*"])))
        #expect(try !matches(Filter("vpc-id", ["*"])), "a filter of EC2 that nothing here has a value for matches nothing")
        #expect(throws: EC2Error(.invalidParameterValue, "The filter 'no-such-filter' is invalid")) {
            try matches(Filter("no-such-filter", ["x"]))
        }
        #expect(throws: EC2Error.self) { try matches(Filter("tag:", ["x"])) }
    }
}

@Suite struct PagingTests {
    private func paging(_ form: String) throws -> Paging {
        var reader = try ParameterReader(try QueryForm.decode(query: form, body: []))
        let filters = try reader.filters()
        return try reader.paging(.describeInstances, 5...1_000, filters: filters)
    }

    @Test func pagesCoverEverythingOnce() throws {
        let items = (0..<23).map { String(1_000 + $0) }
        var seen: [String] = []
        var token: String?
        repeat {
            let page = try paging("MaxResults=5" + (token.map { "&NextToken=\($0)" } ?? "")).page(of: items) { $0 }
            seen += page.items
            #expect(page.items.count <= 5)
            token = page.nextToken
        } while token != nil
        #expect(seen == items)
    }

    @Test func tokensBelongToTheirQuestion() throws {
        let token = try #require(try paging("MaxResults=5").page(of: (0..<9).map { String($0) }) { $0 }.nextToken)
        #expect(throws: EC2Error.self) { try paging("MaxResults=5&NextToken=\(token)&Filter.1.Name=a&Filter.1.Value.1=b") }
        for bad in ["x", "00", token + "0", String(token.dropLast(2)).uppercased() + "zz"] {
            #expect(throws: EC2Error.self) { try paging("NextToken=\(bad)") }
        }
        #expect(throws: EC2Error.self) { try paging("MaxResults=4") }
        #expect(throws: EC2Error.self) { try paging("MaxResults=1001") }
    }
}
