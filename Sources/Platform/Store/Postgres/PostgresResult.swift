import CPq
import Foundation

/// What the server sent back for one statement. Freed with the value.
struct PostgresResult: ~Copyable {
    private let pointer: OpaquePointer

    /// Nil when libpq has no result: out of memory, or the connection is gone.
    init?(_ pointer: OpaquePointer?) {
        guard let pointer else { return nil }
        self.pointer = pointer
    }

    deinit { PQclear(pointer) }

    var isGood: Bool {
        switch PQresultStatus(pointer) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_PIPELINE_SYNC: true
        default: false
        }
    }

    /// The five characters of SQLSTATE, nil for errors made by libpq itself.
    var state: String? { PQresultErrorField(pointer, Int32(UInt8(ascii: "C"))).map { String(cString: $0) } }
    var message: String { String(cString: PQresultErrorMessage(pointer)).trimmingCharacters(in: .whitespacesAndNewlines) }
    /// The command as carried out, e.g. `COMMIT`, or `ROLLBACK` for a COMMIT that could not be.
    var command: String { String(cString: PQcmdStatus(pointer)) }
    var rowsChanged: Int { Int(String(cString: PQcmdTuples(pointer))) ?? 0 }

    func rows() -> [Row] {
        let count = PQnfields(pointer)
        let columns = ColumnNames((0..<count).map { String(cString: PQfname(pointer, $0)) })
        let types = (0..<count).map { PQftype(pointer, $0) }
        return (0..<PQntuples(pointer)).map { row in
            Row((0..<count).map { value(row, $0, type: types[Int($0)]) }, columns: columns)
        }
    }

    /// Values come as text and are typed by the column's type (src/include/catalog/pg_type.dat).
    private func value(_ row: Int32, _ column: Int32, type: Oid) -> SQLValue {
        guard PQgetisnull(pointer, row, column) == 0, let start = PQgetvalue(pointer, row, column) else { return .null }
        let length = Int(PQgetlength(pointer, row, column))
        switch type {
        case 16: return .integer(start[0] == CChar(UInt8(ascii: "t")) ? 1 : 0)  // bool
        case 20, 21, 23, 26: return .integer(strtoll(start, nil, 10))  // int8, int2, int4, oid
        case 700, 701: return .real(strtod(start, nil))  // float4, float8
        case 1700: return numeric(String(cString: start))  // numeric, e.g. SUM of BIGINT, which SQLite gives as an integer
        case 17: return .blob(bytes(start))
        default: return .text(String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self))
        }
    }

    private func numeric(_ text: String) -> SQLValue { Int64(text).map { .integer($0) } ?? Double(text).map { .real($0) } ?? .text(text) }

    private func bytes(_ start: UnsafeMutablePointer<CChar>) -> [UInt8] {
        var count = 0
        guard let decoded = PQunescapeBytea(UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self), &count) else { return [] }
        defer { PQfreemem(decoded) }
        return [UInt8](UnsafeBufferPointer(start: decoded, count: count))
    }
}
