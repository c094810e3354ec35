public import Fleet
public import Primitives

/// The openb trace of Alibaba (2023): hosts with GPUs, and the pods that asked for them. Two files of comma-separated values.
public struct OpenbTrace: Sendable {
    public struct Node: Hashable, Sendable {
        public var name: String
        public var milliCPU: Int64
        public var memoryMiB: Int64
        public var gpus: Int
        public var model: String

        public var room: GPURoom { GPURoom(milliCPU: milliCPU, memoryMiB: memoryMiB, gpuCount: gpus) }
    }

    public struct Pod: Hashable, Sendable {
        public var name: String
        public var shape: GPUShape
    }

    public var nodes: [Node]
    public var pods: [Pod]

    /// - Throws: `openb.header`, `openb.line` or `openb.empty`, with the file and the number of the line.
    public init(nodes nodeText: String, pods podText: String) throws(Refusal) {
        nodes = try Self.rows(of: nodeText, in: "nodes", columns: Self.nodeColumns) { (row) throws(Refusal) in
            let model = row[4]
            return Node(
                name: String(row[0]), milliCPU: try row.number(1, 1...(1 << 24 - 1)), memoryMiB: try row.number(2, 1...(1 << 24 - 1)),
                gpus: Int(try row.number(3, 0...Int64(GPURoom.mostGPUs))), model: String(model))
        }
        pods = try Self.rows(of: podText, in: "pods", columns: Self.podColumns) { (row) throws(Refusal) in
            Pod(name: String(row[0]), shape: try Self.shape(row))
        }
    }

    public var milliGPU: Int64 { nodes.reduce(0) { $0 + Int64($1.gpus) * 1_000 } }

    private static let nodeColumns = ["sn", "cpu_milli", "memory_mib", "gpu", "model"]
    private static let podColumns = ["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"]

    private static func shape(_ row: Row) throws(Refusal) -> GPUShape {
        let gpus = Int(try row.number(3, 0...Int64(GPURoom.mostGPUs)))
        let milliEach = try row.number(4, 0...1_000)
        guard gpus == 0 || milliEach == 1_000 || gpus == 1 && milliEach > 0 else {
            throw row.refusal("\(gpus) GPUs of \(milliEach) thousandths each; GPUs are whole, or one is shared.", column: "gpu_milli")
        }
        let models = row[5].split(separator: "|").map(String.init)
        return GPUShape(
            milliCPU: try row.number(1, 0...(1 << 24 - 1)), memoryMiB: try row.number(2, 0...(1 << 24 - 1)), gpus: gpus,
            milliEach: gpus == 0 ? 0 : milliEach, models: models)
    }

    /// Each line after the first. Columns after those named are left alone; the names of the first line are checked.
    private static func rows<Value>(
        of text: String, in file: String, columns: [String], _ make: (Row) throws(Refusal) -> Value
    ) throws(Refusal) -> [Value] {
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        let header = lines.first.map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
        guard header.starts(with: columns) else {
            throw Refusal(
                "openb.header", .invalid, "The first line of the \(file) file is not the trace's.", facts: ["file": .text(file)],
                nearest: columns.joined(separator: ","))
        }
        var values: [Value] = []
        values.reserveCapacity(lines.count)
        for (index, line) in lines.enumerated().dropFirst() where !line.isEmpty {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            let row = Row(file: file, line: index + 1, columns: header, fields: fields)
            guard fields.count == header.count else {
                throw row.refusal("\(fields.count) columns instead of \(header.count).", column: nil)
            }
            values.append(try make(row))
        }
        guard !values.isEmpty else { throw Refusal("openb.empty", .invalid, "The \(file) file has no lines after the first.") }
        return values
    }

    private struct Row {
        var file: String
        var line: Int
        var columns: [String]
        var fields: [Substring]

        subscript(column: Int) -> Substring { fields[column] }

        func number(_ column: Int, _ range: ClosedRange<Int64>) throws(Refusal) -> Int64 {
            guard let number = Int64(fields[column]), range.contains(number) else {
                throw refusal(
                    "\(columns[column]) is '\(fields[column])', not a number from \(range.lowerBound) to \(range.upperBound).",
                    column: columns[column])
            }
            return number
        }

        func refusal(_ what: String, column: String?) -> Refusal {
            var facts: [String: Refusal.Fact] = ["file": .text(file), "line": .number(Int64(line))]
            if let column { facts["column"] = .text(column) }
            return Refusal("openb.line", .invalid, "Line \(line) of the \(file) file: \(what)", facts: facts)
        }
    }
}
