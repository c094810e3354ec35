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
    /// Holds the texts and bytes that are bound, until the next are: so SQLite need not copy each into memory of its own.
    private var held = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)

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

    deinit {
        sqlite3_finalize(pointer)
        held.deallocate()
    }

    /// Runs to the end and returns the rows changed.
    func execute(_ arguments: [SQLValue]) throws -> Int {
        let before = sqlite3_total_changes(database)
        defer { reset() }
        try bind(arguments)
        while try step() {}
        // `sqlite3_changes` keeps an older number after statements that change no row by nature.
        return sqlite3_total_changes(database) == before ? 0 : Int(sqlite3_changes(database))
    }

    /// The same for many rows of arguments.
    func executeMany(_ rows: [[SQLValue]]) throws {
        defer { reset() }
        for row in rows {
            // Reports the error of the step before, which was thrown then.
            sqlite3_reset(pointer)
            try bind(row)
            while try step() {}
        }
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
        hold(arguments.reduce(0) { $0 + $1.heldBytes })
        var place = 0
        for (position, index) in argumentIndices.enumerated() {
            guard try bind(arguments[index], at: Int32(position + 1), &place) == SQLITE_OK else { throw StoreError(sqlite: database) }
        }
    }

    /// Makes room for what the next arguments need. What is bound now is not looked at any more.
    private func hold(_ bytes: Int) {
        guard bytes > held.count else { return }
        held.deallocate()
        held = .allocate(byteCount: bytes * 2, alignment: 16)
    }

    private func bind(_ value: SQLValue, at position: Int32, _ place: inout Int) throws -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(pointer, position)
        case .integer(let integer): return sqlite3_bind_int64(pointer, position, integer)
        case .real(let real):
            try value.requireStorable()
            return sqlite3_bind_double(pointer, position, real)
        case .text(var text):
            let bytes = text.withUTF8 { hold(UnsafeRawBufferPointer($0), at: &place) }
            guard !bytes.contains(0) else { throw SQLValue.zeroInText }
            return sqlite3_bind_text64(
                pointer, position, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), UInt64(bytes.count), nil, UInt8(SQLITE_UTF8))
        case .blob(let blob):
            if blob.isEmpty { return sqlite3_bind_zeroblob(pointer, position, 0) }
            let bytes = blob.withUnsafeBytes { hold($0, at: &place) }
            return sqlite3_bind_blob64(pointer, position, bytes.baseAddress, UInt64(bytes.count), nil)
        }
    }

    /// Copies what is to be bound to where it stays while it is. Nothing has an address there too: a null pointer would bind NULL.
    private func hold(_ bytes: UnsafeRawBufferPointer, at place: inout Int) -> UnsafeRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer(rebasing: held[place..<(place + bytes.count)])
        copy.copyMemory(from: bytes)
        place += bytes.count
        return UnsafeRawBufferPointer(copy)
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

extension UnsafeRawBufferPointer {
    fileprivate func contains(_ byte: UInt8) -> Bool { baseAddress.map { memchr($0, Int32(byte), count) != nil } ?? false }
}

extension SQLValue {
    /// How many bytes have to stay somewhere while it is bound.
    fileprivate var heldBytes: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .blob(let blob): blob.count
        default: 0
        }
    }

    fileprivate static var zeroInText: StoreError { .other(code: "argument", "text must not contain U+0000") }

    /// Throws for values that one of the two databases would refuse or alter.
    func requireStorable() throws {
        switch self {
        case .text(var text) where text.withUTF8({ UnsafeRawBufferPointer($0).contains(0) }): throw Self.zeroInText
        case .real(let real) where real.isNaN: throw StoreError.other(code: "argument", "a real must not be NaN")
        default: break
        }
    }
}
