/// Parameters of one request as a tree (`Filter.1.Value.2` is four steps down), taken out one by one.
///
/// What is still there when reading is over was not understood, and is refused: a misspelt parameter must not be ignored
/// silently, the machine would be another than the one asked for.
public struct ParameterReader: Sendable {
    private struct Node: Sendable {
        var value: String?
        var children: [String: Node] = [:]
        var isEmpty: Bool { value == nil && children.isEmpty }
    }

    private static let deepest = 8
    /// Where this reader stands in the whole request, e.g. `Filter.1.`
    private let prefix: String
    private var root: Node

    public init(_ parameters: [(name: String, value: String)]) throws(EC2Error) {
        prefix = ""
        root = Node()
        for (name, value) in parameters {
            let steps = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard !name.isEmpty, steps.count <= Self.deepest, !steps.contains("") else { throw Self.unknown(name) }
            guard Self.insert(value, at: steps[...], under: &root) else {
                throw EC2Error(.malformedQueryString, "The parameter \(name) is given twice.")
            }
        }
    }

    private init(prefix: String, root: Node) {
        self.prefix = prefix
        self.root = root
    }

    private static func insert(_ value: String, at steps: ArraySlice<String>, under node: inout Node) -> Bool {
        guard let first = steps.first else {
            guard node.value == nil else { return false }
            node.value = value
            return true
        }
        return insert(value, at: steps.dropFirst(), under: &node.children[first, default: Node()])
    }

    /// Refuses what has not been taken.
    public func finish() throws(EC2Error) {
        if let name = Self.firstName(root) { throw Self.unknown(prefix + name) }
    }

    private static func firstName(_ node: Node) -> String? {
        guard let child = node.children.min(by: { $0.key < $1.key }) else { return nil }
        if child.value.value == nil, let rest = firstName(child.value) { return "\(child.key).\(rest)" }
        return child.key
    }

    private static func unknown(_ name: String) -> EC2Error {
        EC2Error(.unknownParameter, "The parameter \(name) is not recognized")
    }

    private mutating func takeValue(_ name: String) -> String? {
        guard let value = root.children[name]?.value else { return nil }
        root.children[name]?.value = nil
        if root.children[name]?.isEmpty == true { root.children[name] = nil }
        return value
    }
}

// MARK: - Scalars

extension ParameterReader {
    public mutating func string(_ name: String) -> String? { takeValue(name) }

    public mutating func requiredString(_ name: String) throws(EC2Error) -> String {
        guard let value = takeValue(name), !value.isEmpty else { throw missing(name) }
        return value
    }

    public func missing(_ name: String) -> EC2Error {
        EC2Error(.missingParameter, "The request must contain the parameter \(prefix)\(name)")
    }

    public mutating func integer(_ name: String, in range: ClosedRange<Int64>) throws(EC2Error) -> Int64? {
        guard let text = takeValue(name) else { return nil }
        guard let value = Int64(text), range.contains(value) else {
            throw EC2Error(
                .invalidParameterValue,
                "Value (\(text)) for parameter \(prefix)\(name) is invalid. Expecting \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }

    public mutating func boolean(_ name: String) throws(EC2Error) -> Bool? {
        guard let text = takeValue(name) else { return nil }
        switch text.lowercased() {
        case "true": return true
        case "false": return false
        default:
            throw EC2Error(.invalidParameterValue, "Value (\(text)) for parameter \(prefix)\(name) is invalid. Expecting true or false.")
        }
    }

    /// One of a few words; nil when absent.
    public mutating func choice(_ name: String, of choices: [String]) throws(EC2Error) -> String? {
        guard let text = takeValue(name) else { return nil }
        guard choices.contains(text) else {
            throw EC2Error(
                .invalidParameterValue,
                "Value (\(text)) for parameter \(prefix)\(name) is invalid. Expecting \(choices.joined(separator: " or ")).")
        }
        return text
    }

    /// Takes a parameter that changes nothing here when it has one of these values, and refuses every other value
    /// as something this cloud cannot do.
    public mutating func accept(_ name: String, only values: String...) throws(EC2Error) {
        guard let text = takeValue(name) else { return }
        guard values.contains(text.lowercased()) else {
            throw EC2Error(
                .unsupported,
                "\(prefix)\(name) = \(text) is not supported here; leave it out or set it to \(values.joined(separator: " or ")).")
        }
    }

    /// Refuses parameters of real EC2 that this cloud has no meaning for, by name.
    public func refuse(_ names: String...) throws(EC2Error) {
        for name in names where root.children[name] != nil {
            throw EC2Error(.unsupported, "The parameter \(prefix)\(name) is not supported by this cloud.")
        }
    }
}

// MARK: - Structures and lists

extension ParameterReader {
    /// `Name.Field=…`; nil when none of its fields is there.
    public mutating func structure<Value>(
        _ name: String, _ read: (inout ParameterReader) throws(EC2Error) -> Value
    ) throws(EC2Error) -> Value? {
        guard let node = root.children[name], !node.children.isEmpty else { return nil }
        root.children[name]?.children = [:]
        if root.children[name]?.isEmpty == true { root.children[name] = nil }
        var inner = ParameterReader(prefix: "\(prefix)\(name).", root: Node(children: node.children))
        let value = try read(&inner)
        try inner.finish()
        return value
    }

    /// `Name.1.Field=…`, `Name.2.Field=…`, in the order of their numbers.
    public mutating func structures<Value>(
        _ name: String, _ read: (inout ParameterReader) throws(EC2Error) -> Value
    ) throws(EC2Error) -> [Value] {
        var values: [Value] = []
        for (index, node) in try takeNumbered(name) {
            guard node.value == nil else { throw Self.unknown("\(prefix)\(name).\(index)") }
            var inner = ParameterReader(prefix: "\(prefix)\(name).\(index).", root: node)
            values.append(try read(&inner))
            try inner.finish()
        }
        return values
    }

    /// `Name.1=…`, `Name.2=…`, in the order of their numbers.
    public mutating func strings(_ name: String) throws(EC2Error) -> [String] {
        var values: [String] = []
        for (index, node) in try takeNumbered(name) {
            guard let value = node.value, node.children.isEmpty else {
                throw Self.unknown("\(prefix)\(name).\(index)" + (Self.firstName(node).map { ".\($0)" } ?? ""))
            }
            values.append(value)
        }
        return values
    }

    private mutating func takeNumbered(_ name: String) throws(EC2Error) -> [(index: Int, node: Node)] {
        guard let node = root.children.removeValue(forKey: name) else { return [] }
        var numbered: [(index: Int, node: Node)] = []
        for (key, child) in node.children {
            guard let index = Int(key), index >= 1, key.utf8.allSatisfy({ (48...57).contains($0) }) else {
                throw Self.unknown("\(prefix)\(name).\(key)")
            }
            numbered.append((index, child))
        }
        // A lone `Name=value` where a list is expected is how some clients write a list of one.
        if let value = node.value {
            guard numbered.isEmpty else { throw Self.unknown("\(prefix)\(name)") }
            return value.isEmpty ? [] : [(1, Node(value: value))]
        }
        return numbered.sorted { $0.index < $1.index }
    }
}
