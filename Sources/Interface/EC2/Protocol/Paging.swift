import Crypto

/// Which stretch of a long answer is asked for: at most `size` items after `after`.
public struct Paging: Sendable, Hashable {
    /// Nil: everything.
    public var size: Int?
    /// The position the page before ended with; nil: from the start.
    public var after: String?
    /// Names the question, so that a token cannot be used to page through another one.
    private let question: String

    init(size: Int?, after: String?, question: String) {
        self.size = size
        self.after = after
        self.question = question
    }

    /// Cuts `items`, which are sorted by `position`, to the page asked for. The token is nil on the last page.
    public func page<Item>(of items: [Item], position: (Item) -> String) -> (items: [Item], nextToken: String?) {
        let rest = after.map { after in items.drop { position($0) <= after } } ?? items[...]
        guard let size, rest.count > size, let last = rest.prefix(size).last else { return (Array(rest), nil) }
        return (Array(rest.prefix(size)), token(position(last)))
    }

    private func token(_ position: String) -> String {
        String(decoding: hexadecimal(Array("\(question)\n\(position)".utf8)), as: UTF8.self)
    }

    static func read(_ token: String, question: String) throws(EC2Error) -> String {
        if let raw = bytes(hexadecimal: token), let text = String(validating: raw, as: UTF8.self) {
            let parts = text.split(separator: "\n", maxSplits: 1).map(String.init)
            if parts.count == 2, parts[0] == question { return parts[1] }
        }
        throw EC2Error(.invalidNextToken, "The NextToken is not one that this request was answered with.")
    }
}

extension ParameterReader {
    /// `MaxResults` and `NextToken`. `selection`: identifiers in the same request, which exclude paging as they do in EC2.
    public mutating func paging(
        _ action: Action, _ range: ClosedRange<Int64>, filters: [Filter], selection: [String] = []
    ) throws(EC2Error) -> Paging {
        let size = try integer("MaxResults", in: range)
        let token = string("NextToken").flatMap { $0.isEmpty ? nil : $0 }
        guard selection.isEmpty || size == nil else {
            throw EC2Error(.invalidParameterCombination, "MaxResults cannot be used together with a list of identifiers.")
        }
        let text =
            action.rawValue + filters.map { "\n\($0.name)=\($0.values.joined(separator: "|"))" }.joined() + selection.joined(separator: ",")
        let question = String(decoding: hexadecimal(SHA256.hash(data: Array(text.utf8)).prefix(8)), as: UTF8.self)
        var after: String?
        if let token { after = try Paging.read(token, question: question) }
        return Paging(size: size.map(Int.init), after: after, question: question)
    }
}
