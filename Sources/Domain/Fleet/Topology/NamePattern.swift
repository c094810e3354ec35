public import Primitives

/// Names written in short: `r[01-20]` is r01, r02 … r20. Several brackets give all combinations; digits keep their width.
public struct NamePattern: Hashable, Sendable {
    private enum Part: Hashable, Sendable {
        case text(String)
        case range(first: Int64, last: Int64, width: Int)
    }

    public let text: String
    private let parts: [Part]

    /// The most names one pattern may stand for.
    public static let largest: Int64 = 100_000

    public init(_ text: String) throws(Refusal) {
        self.text = text
        var parts: [Part] = []
        var rest = Substring(text)
        while let open = rest.firstIndex(of: "[") {
            if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
            let inside = rest[rest.index(after: open)...]
            guard let close = inside.firstIndex(of: "]"), let range = Self.range(inside[..<close]) else {
                throw Refusal(
                    "topology.pattern", .invalid, "'\(text)' is not a pattern of names.", facts: ["pattern": .text(text)],
                    nearest: "a range in brackets, such as r[01-20]")
            }
            parts.append(range)
            rest = inside[inside.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        self.parts = parts
        guard count <= Self.largest else {
            throw Refusal(
                "topology.pattern", .invalid, "'\(text)' stands for more than \(Self.largest) names.",
                facts: ["pattern": .text(text), "largest": .number(Self.largest)], nearest: "several smaller ranges")
        }
    }

    private static func range(_ text: Substring) -> Part? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, ends.allSatisfy({ (1...9).contains($0.utf8.count) && $0.utf8.allSatisfy(isDigit) }),
            let first = Int64(ends[0]), let last = Int64(ends[1]), first <= last
        else { return nil }
        return .range(first: first, last: last, width: ends[0].utf8.count)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// How many names it stands for; saturates above the largest number allowed.
    public var count: Int64 {
        parts.reduce(1) { total, part in
            guard case .range(let first, let last, _) = part else { return total }
            return min(total * (last - first + 1), Self.largest * 10)
        }
    }

    /// The names, the last bracket counting fastest.
    public var names: [String] {
        parts.reduce([""]) { names, part in
            switch part {
            case .text(let text): names.map { $0 + text }
            case .range(let first, let last, let width):
                names.flatMap { name in (first...last).map { name + Self.padded($0, to: width) } }
            }
        }
    }

    private static func padded(_ number: Int64, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// Patterns for a list of names: names that differ in their last number only and follow on one another become one range.
    public static func compressed(_ names: [String]) -> [String] {
        var runs: [(stem: String, width: Int, first: Int64, last: Int64)] = []
        for name in names.sorted() {
            let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }.count
            let width = min(digits, 9)
            let stem = String(name.dropLast(width))
            guard width > 0, let number = Int64(name.suffix(width)) else {
                runs.append((name, 0, 0, 0))
                continue
            }
            if let last = runs.last, last.stem == stem, last.width == width, last.last + 1 == number {
                runs[runs.count - 1].last = number
            } else {
                runs.append((stem, width, number, number))
            }
        }
        return runs.map { run in
            guard run.width > 0 else { return run.stem }
            let first = padded(run.first, to: run.width)
            return run.first == run.last ? run.stem + first : "\(run.stem)[\(first)-\(padded(run.last, to: run.width))]"
        }
    }
}
