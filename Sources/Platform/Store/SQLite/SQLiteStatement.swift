import CSQLite
import Foundation

/// A prepared statement. Between two uses it is reset and holds no argument.
final class SQLiteStatement {
    private let database: OpaquePointer
    private let pointer: OpaquePointer
    /// For each of SQLite's parameters, which argument goes there: SQLite numbers `$2` by first appearance, not by its digits.
    private let argumentIndices: [Int]
    private let argumentCount: Int
    private let columns: ColumnNames
    private let columnCount: Int32

    init(_ database: OpaquePointer, _ sql: String) throws {
        let pointer = try SQLiteStatement.prepare(database, sql)
        self.database = database
        self.pointer = pointer
        let count = sqlite3_bind_parameter_count(pointer)
        var indices: [Int] = []
        for position in 0..<count {
            guard let name = sqlite3_bind_parameter_name(pointer, position + 1), name[0] == CChar(UInt8(ascii: "$")),
                let number = Int(String(cString: name + 1)), number > 0
            else {
                sqlite3_finalize(pointer)
                throw StoreError.other(code: "statement", "placeholders are $1, $2, … in: \(sql)")
            }
            indices.append(number - 1)
        }
        argumentIndices = indices
        argumentCount = (indices.max() ?? -1) + 1
        let columnCount = sqlite3_column_count(pointer)
        self.columnCount = columnCount
        columns = ColumnNames((0..<columnCount).map { sqlite3_column_name(pointer, $0).map { String(cString: $0) } ?? "" })
    }

    deinit { sqlite3_finalize(pointer) }

    /// Runs to the end and returns the rows changed.
    func execute(_ arguments: [SQLValue]) throws -> Int {
        let before = sqlite3_total_changes(database)
        defer { reset() }
        try bind(arguments)
        while try step() {}
        // `sqlite3_changes` keeps an older number after statements that change no row by nature.
        return sqlite3_total_changes(database) == before ? 0 : Int(sqlite3_changes(database))
    }

    func query(_ arguments: [SQLValue]) throws -> [Row] {
        defer { reset() }
        try bind(arguments)
        var rows: [Row] = []
        while try step() { rows.append(Row((0..<columnCount).map(value(at:)), columns: columns)) }
        return rows
    }

    private func step() throws -> Bool {
        switch sqlite3_step(pointer) {
        case SQLITE_ROW: true
        case SQLITE_DONE: false
        default: throw StoreError(sqlite: database)
        }
    }

    private func reset() {
        sqlite3_reset(pointer)
        sqlite3_clear_bindings(pointer)
    }

    /// Compiles one statement; SQLite by itself would silently ignore what follows it.
    private static func prepare(_ database: OpaquePointer, _ sql: String) throws -> OpaquePointer {
        var statement: OpaquePointer?
        let isWhole = sql.withCString { start -> Bool? in
            var tail: UnsafePointer<CChar>?
            guard sqlite3_prepare_v3(database, start, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, &tail) == SQLITE_OK else {
                return nil
            }
            guard let tail else { return true }
            return String(cString: tail).allSatisfy { $0.isWhitespace || $0 == ";" }
        }
        guard let isWhole else { throw StoreError(sqlite: database, " in: \(sql)") }
        guard isWhole, let statement else {
            sqlite3_finalize(statement)
            throw StoreError.other(code: "statement", "exactly one statement per call, not: \(sql)")
        }
        return statement
    }
}

// MARK: - Values in and out

extension SQLiteStatement {
    private func bind(_ arguments: [SQLValue]) throws {
        guard arguments.count == argumentCount else {
            throw StoreError.other(code: "argument", "\(arguments.count) arguments for \(argumentCount) placeholders")
        }
        for (position, index) in argumentIndices.enumerated() {
            try arguments[index].requireStorable()
            guard bind(arguments[index], at: Int32(position + 1)) == SQLITE_OK else { throw StoreError(sqlite: database) }
        }
    }

    private func bind(_ value: SQLValue, at position: Int32) -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(pointer, position)
        case .integer(let integer): return sqlite3_bind_int64(pointer, position, integer)
        case .real(let real): return sqlite3_bind_double(pointer, position, real)
        case .text(var text):
            return text.withUTF8 { bytes in
                // A null pointer would bind NULL: an empty text gets an address.
                guard let start = bytes.baseAddress, !bytes.isEmpty else {
                    return sqlite3_bind_text(pointer, position, "", 0, bourse_sqlite_transient())
                }
                return sqlite3_bind_text64(
                    pointer, position, UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self), UInt64(bytes.count),
                    bourse_sqlite_transient(), UInt8(SQLITE_UTF8))
            }
        case .blob(let blob):
            if blob.isEmpty { return sqlite3_bind_zeroblob(pointer, position, 0) }
            return blob.withUnsafeBytes {
                sqlite3_bind_blob64(pointer, position, $0.baseAddress, UInt64($0.count), bourse_sqlite_transient())
            }
        }
    }

    private func value(at column: Int32) -> SQLValue {
        switch sqlite3_column_type(pointer, column) {
        case SQLITE_INTEGER: .integer(sqlite3_column_int64(pointer, column))
        case SQLITE_FLOAT: .real(sqlite3_column_double(pointer, column))
        case SQLITE_TEXT:
            .text(
                String(
                    decoding: UnsafeBufferPointer(
                        start: sqlite3_column_text(pointer, column), count: Int(sqlite3_column_bytes(pointer, column))),
                    as: UTF8.self))
        case SQLITE_BLOB:
            .blob(
                [UInt8](
                    UnsafeRawBufferPointer(start: sqlite3_column_blob(pointer, column), count: Int(sqlite3_column_bytes(pointer, column)))))
        default: .null
        }
    }
}

extension SQLValue {
    /// Throws for values that one of the two databases would refuse or alter.
    func requireStorable() throws {
        switch self {
        case .text(let text) where text.utf8.contains(0): throw StoreError.other(code: "argument", "text must not contain U+0000")
        case .real(let real) where real.isNaN: throw StoreError.other(code: "argument", "a real must not be NaN")
        default: break
        }
    }
}
