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
        switch (code & 0xFF, code >> 8) {
        case (SQLITE_CONSTRAINT, 6), (SQLITE_CONSTRAINT, 8): self = .unique(text)  // PRIMARYKEY, UNIQUE
        case (SQLITE_CONSTRAINT, 3): self = .foreignKey(text)
        case (SQLITE_BUSY, _), (SQLITE_LOCKED, _), (SQLITE_INTERRUPT, _): self = .busy(text)
        case (SQLITE_FULL, _): self = .full(text)
        case (SQLITE_IOERR, 19): self = .full(text)  // SHMSIZE: the shared index could not grow
        case (SQLITE_IOERR, _) where isDiskFull, (SQLITE_CANTOPEN, _) where isDiskFull: self = .full(text)
        case (SQLITE_CANTOPEN, _): self = .connection(text)
        case (SQLITE_CORRUPT, _), (SQLITE_NOTADB, _): self = .corrupted(text)
        default: self = .other(code: "\(code)", text)
        }
    }
}
