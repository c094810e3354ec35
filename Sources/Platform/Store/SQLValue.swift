public import Primitives

/// One value going into or coming out of SQL.
///
/// The common subset of SQLite and PostgreSQL: `BIGINT`, `DOUBLE PRECISION`, `TEXT` and `SQLDialect.blob`. Text holds no
/// U+0000 and a real is never NaN: PostgreSQL has no such text, SQLite turns NaN into NULL, so both are refused when bound.
public enum SQLValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

/// What can be bound to a placeholder. Optionals bind NULL for nil.
public protocol SQLConvertible {
    var sqlValue: SQLValue { get }
}

extension SQLValue: SQLConvertible {
    public init(_ value: some SQLConvertible) { self = value.sqlValue }
    /// An enum with a text raw value is stored as that text.
    public init(_ value: some RawRepresentable<String>) { self = .text(value.rawValue) }

    public var sqlValue: SQLValue { self }
    public var isNull: Bool { self == .null }
}

extension Int64: SQLConvertible { public var sqlValue: SQLValue { .integer(self) } }
extension Int: SQLConvertible { public var sqlValue: SQLValue { .integer(Int64(self)) } }
extension Double: SQLConvertible { public var sqlValue: SQLValue { .real(self) } }
extension String: SQLConvertible { public var sqlValue: SQLValue { .text(self) } }
/// Stored as 0 or 1, in a `BIGINT` column.
extension Bool: SQLConvertible { public var sqlValue: SQLValue { .integer(self ? 1 : 0) } }
extension [UInt8]: SQLConvertible { public var sqlValue: SQLValue { .blob(self) } }
/// Stored as its text, e.g. `ctr-0af31c2299d04be17`.
extension ID: SQLConvertible { public var sqlValue: SQLValue { .text(description) } }
/// Stored as microseconds since 1970 UTC.
extension Instant: SQLConvertible { public var sqlValue: SQLValue { .integer(microseconds) } }
/// Stored as microseconds.
extension Span: SQLConvertible { public var sqlValue: SQLValue { .integer(microseconds) } }
extension Optional: SQLConvertible where Wrapped: SQLConvertible {
    public var sqlValue: SQLValue { self?.sqlValue ?? .null }
}

extension SQLValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .real(value) }
    public init(booleanLiteral value: Bool) { self = .integer(value ? 1 : 0) }
    public init(nilLiteral: ()) { self = .null }
}
