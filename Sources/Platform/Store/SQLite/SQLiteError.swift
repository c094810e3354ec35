import CSQLite
import Foundation

extension StoreError {
    /// Reads the error of the last call on `database` (https://sqlite.org/rescode.html).
    init(sqlite database: OpaquePointer?, _ context: String = "") {
        guard let database else {
            self = .connection("out of memory")
            return
        }
        let code = sqlite3_extended_errcode(database)
        let text = String(cString: sqlite3_errmsg(database)) + context
        let systemError = sqlite3_system_errno(database)
        self = .init(sqliteCode: code, isDiskFull: systemError == ENOSPC || systemError == EDQUOT, text)
    }

    private init(sqliteCode code: Int32, isDiskFull: Bool, _ text: String) {
        switch code {
        case sqliteConstraint | 8 << 8, sqliteConstraint | 6 << 8: self = .unique(text)  // UNIQUE, PRIMARYKEY
        case sqliteConstraint | 3 << 8: self = .foreignKey(text)
        case SQLITE_IOERR | 19 << 8: self = .full(text)  // SHMSIZE: the shared index could not grow
        default:
            switch code & 0xFF {
            case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_INTERRUPT: self = .busy(text)
            case SQLITE_FULL: self = .full(text)
            case SQLITE_IOERR, SQLITE_CANTOPEN: self = isDiskFull ? .full(text) : code & 0xFF == SQLITE_CANTOPEN ? .connection(text) : .other(code: "\(code)", text)
            case SQLITE_CORRUPT, SQLITE_NOTADB: self = .corrupted(text)
            default: self = .other(code: "\(code)", text)
            }
        }
    }
}

private let sqliteConstraint = SQLITE_CONSTRAINT
