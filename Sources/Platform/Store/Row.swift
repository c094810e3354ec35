public import Primitives

/// One row of a result. Columns are found by position or by name (lower case, whatever the statement wrote).
public struct Row: Sendable {
    private let values: [SQLValue]
    private let columns: ColumnNames

    package init(_ values: [SQLValue], columns: ColumnNames) {
        self.values = values
        self.columns = columns
    }

    public var count: Int { values.count }
    public var columnNames: [String] { columns.names }

    public subscript(index: Int) -> SQLValue { values[index] }

    /// A column the statement does not return is a bug in the statement.
    public subscript(column: String) -> SQLValue {
        guard let index = columns.index(of: column) else { preconditionFailure("no column '\(column)' among \(columns.names)") }
        return values[index]
    }
}

/// The names of a result's columns, shared by all its rows.
package final class ColumnNames: Sendable {
    package let names: [String]
    private let indices: [String: Int]

    package init(_ names: [String]) {
        self.names = names.map { $0.lowercased() }
        indices = Dictionary(zip(self.names, self.names.indices), uniquingKeysWith: { first, _ in first })
    }

    func index(of name: String) -> Int? { indices[name] }
}

// MARK: - Typed access. Throws `StoreError.other(code: "row", …)` when the value is of another kind, or NULL without `optional`.

extension Row {
    public func text(_ column: String) throws -> String { try required(column, optionalText(column), "text") }
    public func integer(_ column: String) throws -> Int64 { try required(column, optionalInteger(column), "an integer") }
    public func real(_ column: String) throws -> Double { try required(column, optionalReal(column), "a real") }
    public func bool(_ column: String) throws -> Bool { try integer(column) != 0 }
    public func blob(_ column: String) throws -> [UInt8] { try required(column, optionalBlob(column), "a blob") }
    public func instant(_ column: String) throws -> Instant { Instant(microseconds: try integer(column)) }
    public func span(_ column: String) throws -> Span { Span(microseconds: try integer(column)) }
    public func id<Kind>(_ column: String, as type: ID<Kind>.Type = ID<Kind>.self) throws -> ID<Kind> {
        try required(column, optionalID(column, as: type), "an identifier")
    }
    /// An enum stored as its raw text.
    public func value<Value: RawRepresentable<String>>(_ column: String, as type: Value.Type = Value.self) throws -> Value {
        let raw = try text(column)
        return try required(column, Value(rawValue: raw), "one of \(Value.self), not '\(raw)'")
    }

    public func optionalText(_ column: String) throws -> String? {
        switch self[column] {
        case .null: nil
        case .text(let text): text
        case let other: throw mismatch(column, other, "text")
        }
    }

    public func optionalInteger(_ column: String) throws -> Int64? {
        switch self[column] {
        case .null: nil
        case .integer(let integer): integer
        case let other: throw mismatch(column, other, "an integer")
        }
    }

    /// Also takes an integer: SQLite stores 2.0 in a column without a type as 2.
    public func optionalReal(_ column: String) throws -> Double? {
        switch self[column] {
        case .null: nil
        case .real(let real): real
        case .integer(let integer): Double(integer)
        case let other: throw mismatch(column, other, "a real")
        }
    }

    public func optionalBlob(_ column: String) throws -> [UInt8]? {
        switch self[column] {
        case .null: nil
        case .blob(let blob): blob
        case let other: throw mismatch(column, other, "a blob")
        }
    }

    public func optionalBool(_ column: String) throws -> Bool? { try optionalInteger(column).map { $0 != 0 } }
    public func optionalInstant(_ column: String) throws -> Instant? { try optionalInteger(column).map(Instant.init(microseconds:)) }

    public func optionalID<Kind>(_ column: String, as type: ID<Kind>.Type = ID<Kind>.self) throws -> ID<Kind>? {
        guard let text = try optionalText(column) else { return nil }
        guard let id = ID<Kind>(text) else { throw mismatch(column, .text(text), "an identifier of the form \(Kind.prefix)-…") }
        return id
    }

    private func required<Value>(_ column: String, _ value: Value?, _ kind: String) throws -> Value {
        guard let value else { throw mismatch(column, self[column], kind) }
        return value
    }

    private func mismatch(_ column: String, _ value: SQLValue, _ kind: String) -> StoreError {
        .other(code: "row", "column '\(column)' holds \(value), expected \(kind)")
    }
}
