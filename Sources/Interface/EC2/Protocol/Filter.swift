/// One filter of a request: some attribute must match one of the values.
public struct Filter: Sendable, Hashable {
    public var name: String
    public var values: [String]

    public init(_ name: String, _ values: [String]) {
        self.name = name
        self.values = values
    }
}

extension ParameterReader {
    /// At most this many values in all filters of a request together, as in EC2.
    private static let largestFilterCount = 200

    /// `Filter.N.Name`, `Filter.N.Value.M`.
    public mutating func filters() throws(EC2Error) -> [Filter] {
        let filters = try structures("Filter") { (filter: inout ParameterReader) throws(EC2Error) -> Filter in
            let name = try filter.requiredString("Name")
            let values = try filter.strings("Value")
            guard !values.isEmpty else { throw EC2Error(.invalidParameterValue, "The filter '\(name)' has no value") }
            return Filter(name, values)
        }
        guard filters.reduce(0, { $0 + $1.values.count }) <= Self.largestFilterCount else {
            throw EC2Error(.filterLimitExceeded, "The request has more than \(Self.largestFilterCount) filter values.")
        }
        return filters
    }
}

/// What a kind of thing can be filtered by: names, and the values a thing has for each.
public struct FilterSchema<Item: Sendable>: Sendable {
    private let fields: [String: @Sendable (Item) -> [String]]
    private let tags: (@Sendable (Item) -> [String: String])?

    /// `unset`: filters of EC2 that nothing here has a value for; they are valid and match nothing.
    public init(
        _ fields: [String: @Sendable (Item) -> [String]], tags: (@Sendable (Item) -> [String: String])? = nil, unset: [String] = []
    ) {
        var all = fields
        for name in unset { all[name] = { _ in [] } }
        self.fields = all
        self.tags = tags
    }

    /// Checks the names, and makes the test: every filter matches, each by one of its values.
    public func matcher(_ filters: [Filter]) throws(EC2Error) -> @Sendable (Item) -> Bool {
        var tests: [@Sendable (Item) -> Bool] = []
        for filter in filters {
            let values = try self.values(filter.name)
            let patterns = filter.values.map(WildcardPattern.init)
            tests.append { item in values(item).contains { value in patterns.contains { $0.matches(value) } } }
        }
        return { [tests] item in tests.allSatisfy { $0(item) } }
    }

    private func values(_ name: String) throws(EC2Error) -> @Sendable (Item) -> [String] {
        if let field = fields[name] { return field }
        if let tags {
            if name == "tag-key" { return { Array(tags($0).keys) } }
            if name == "tag-value" { return { Array(tags($0).values) } }
            if name.hasPrefix("tag:"), name.utf8.count > 4 {
                let key = String(name.dropFirst(4))
                return { item in tags(item)[key].map { [$0] } ?? [] }
            }
        }
        throw EC2Error(.invalidParameterValue, "The filter '\(name)' is invalid")
    }
}

/// A filter value: `*` is any run of characters, `?` any one, and a backslash takes the next character as it is.
package struct WildcardPattern: Sendable {
    private enum Step: Sendable, Equatable { case character(Character), anyCharacter, anyRun }
    private let steps: [Step]

    package init(_ text: String) {
        var steps: [Step] = []
        var characters = text.makeIterator()
        while let character = characters.next() {
            switch character {
            case "*": if steps.last != .anyRun { steps.append(.anyRun) }
            case "?": steps.append(.anyCharacter)
            case "\\": steps.append(.character(characters.next() ?? "\\"))
            default: steps.append(.character(character))
            }
        }
        self.steps = steps
    }

    /// Greedy with one point of return, so the time is bounded by length × length whatever the pattern is.
    package func matches(_ text: String) -> Bool {
        let characters = Array(text)
        var step = 0
        var position = 0
        var retry: (step: Int, position: Int)?
        while position < characters.count {
            if step < steps.count, steps[step] == .anyRun {
                retry = (step, position)
                step += 1
            } else if step < steps.count, steps[step] == .anyCharacter || steps[step] == .character(characters[position]) {
                step += 1
                position += 1
            } else if let last = retry {
                retry = (last.step, last.position + 1)
                step = last.step + 1
                position = last.position + 1
            } else {
                return false
            }
        }
        return steps[step...].allSatisfy { $0 == .anyRun }
    }
}
