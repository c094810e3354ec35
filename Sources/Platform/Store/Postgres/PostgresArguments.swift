/// Arguments in the shape libpq wants. Numbers and text go as text, for the server to type by their place in the statement; blobs
/// go as bytes.
struct PostgresArguments {
    private var storage: [UInt8] = []
    /// Where each value starts in `storage`; nil for NULL.
    private var starts: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    init(_ values: [SQLValue]) throws {
        storage.reserveCapacity(values.count * 24)
        for value in values {
            try value.requireStorable()
            append(value)
        }
    }

    private mutating func append(_ value: SQLValue) {
        let start = storage.count
        switch value {
        case .null: break
        case .integer(let integer): storage.append(contentsOf: String(integer).utf8)
        case .real(let real): storage.append(contentsOf: String(real).utf8)
        case .text(let text): storage.append(contentsOf: text.utf8)
        case .blob(let blob): storage.append(contentsOf: blob)
        }
        starts.append(value.isNull ? nil : start)
        lengths.append(Int32(storage.count - start))
        if case .blob = value { formats.append(1) } else { formats.append(0) }
        storage.append(0)
    }

    /// Calls `send` with count, values, lengths and formats, valid during the call.
    func withPointers<Result>(
        _ send: (Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> Result
    ) -> Result {
        storage.withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            let pointers = starts.map { start -> UnsafePointer<CChar>? in
                guard let start, let base else { return nil }
                return base + start
            }
            return pointers.withUnsafeBufferPointer { values in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        send(Int32(starts.count), values.baseAddress, lengths.baseAddress, formats.baseAddress)
                    }
                }
            }
        }
    }
}
