public import Primitives

/// Arrivals of the Azure 2017 trace as published with "Generating Complex, Realistic Cloud Workloads using Recurrent Neural Networks"
/// (SOSP 2021): batches of tenants by intervals of five minutes, each instance with a flavour, and its lifetime by bins.
public struct AzureTrace: Sendable {
    public struct Arrival: Hashable, Sendable {
        /// Start of its interval, in seconds.
        public var time: Int64
        public var resources: Resources
        /// How many its batch is of.
        public var batch: Int
        /// Upper edge of its lifetime's bin, in seconds; nil: still there when the trace ends.
        public var lifetime: Int64?
    }

    public private(set) var arrivals: [Arrival] = []
    /// Starts of the intervals, ascending.
    public private(set) var intervals: [Int64] = []

    /// Seconds in an interval.
    public static let interval: Int64 = 300

    /// - Parameters:
    ///   - flavours: lines `cores,GiB letter`.
    ///   - arrivals: lines `seconds item,item,…`, an interval each: letters of flavours, and `|` after the last of a batch.
    ///   - lifetimes: the same with `U` and the number of the bin in which the instance ended, or `C` when it is still there at the end.
    ///   - bins: lines `seconds bin`: the last line of a bin has its upper edge.
    /// - Throws: `trace.line` with the number of a line that is not so.
    public init(flavours: String, arrivals: String, lifetimes: String, bins: String) throws(Refusal) {
        let shapes = try Self.shapes(flavours)
        let edges = try Self.edges(bins)
        let (rows, lives) = (arrivals.split(separator: "\n"), lifetimes.split(separator: "\n"))
        guard rows.count == lives.count else {
            throw Refusal("trace.line", .invalid, "There are \(rows.count) lines of arrivals and \(lives.count) of lifetimes.")
        }
        for (index, (row, life)) in zip(rows, lives).enumerated() { try read(row, life, line: index + 1, shapes, edges) }
    }

    private mutating func read(
        _ row: Substring, _ life: Substring, line: Int, _ shapes: [Substring: Resources], _ edges: [Int: Int64]
    ) throws(Refusal) {
        let (items, marks) = (try Self.items(row, "arrivals", line), try Self.items(life, "lifetimes", line))
        guard items.time == marks.time, items.values.count == marks.values.count else {
            throw Self.wrong("lifetimes", line, "it does not go with the line of arrivals")
        }
        if let last = intervals.last, items.time <= last { throw Self.wrong("arrivals", line, "its time is not after the one before") }
        intervals.append(items.time)
        var batch = 0
        for (item, mark) in zip(items.values, marks.values) {
            if item == "|" {
                guard mark == "|" else { throw Self.wrong("lifetimes", line, "`\(mark)` stands where a batch ends") }
                for index in arrivals.indices.suffix(batch) { arrivals[index].batch = batch }
                batch = 0
                continue
            }
            guard let resources = shapes[item] else { throw Self.wrong("arrivals", line, "there is no flavour `\(item)`") }
            guard let bin = Int(mark.dropFirst()), let edge = edges[bin], mark.hasPrefix("U") || mark.hasPrefix("C") else {
                throw Self.wrong("lifetimes", line, "`\(mark)` is not U or C and a bin")
            }
            let lifetime = mark.hasPrefix("U") ? edge : nil
            arrivals.append(Arrival(time: items.time, resources: resources, batch: 0, lifetime: lifetime))
            batch += 1
        }
        for index in arrivals.indices.suffix(batch) { arrivals[index].batch = batch }
    }

    private static func items(_ line: Substring, _ file: String, _ number: Int) throws(Refusal) -> (time: Int64, values: [Substring]) {
        let fields = line.split(separator: " ")
        guard fields.count == 2, let time = Int64(fields[0]) else { throw wrong(file, number, "it is not `seconds item,item,…`") }
        return (time, fields[1].split(separator: ","))
    }

    private static func shapes(_ text: String) throws(Refusal) -> [Substring: Resources] {
        var shapes: [Substring: Resources] = [:]
        for (index, line) in text.split(separator: "\n").enumerated() {
            let fields = line.split(separator: " ")
            let amounts = fields.first?.split(separator: ",") ?? []
            guard fields.count == 2, amounts.count == 2, let cores = Double(amounts[0]), let memory = Double(amounts[1]), cores > 0,
                memory > 0, max(cores, memory) < 100_000
            else { throw wrong("flavours", index + 1, "it is not `cores,GiB letter`") }
            shapes[fields[1]] = Resources(milliCPU: Int64(cores * 1_000), memoryMiB: Int64(memory * 1_024))
        }
        return shapes
    }

    private static func edges(_ text: String) throws(Refusal) -> [Int: Int64] {
        var edges: [Int: Int64] = [:]
        for (index, line) in text.split(separator: "\n").enumerated() {
            let fields = line.split(separator: " ")
            guard fields.count == 2, let seconds = Int64(fields[0]), let bin = Int(fields[1]) else {
                throw wrong("bins", index + 1, "it is not `seconds bin`")
            }
            edges[bin] = max(edges[bin] ?? 0, seconds)
        }
        return edges
    }

    private static func wrong(_ file: String, _ line: Int, _ what: String) -> Refusal {
        Refusal(
            "trace.line", .invalid, "Line \(line) of the \(file): \(what).", facts: ["file": .text(file), "line": .number(Int64(line))])
    }
}
