/// What can go wrong in a database, the same for both kinds. The text is for operators and logs, never for a client.
public enum StoreError: Error, Sendable, Hashable {
    /// A unique or primary key already has this value.
    case unique(String)
    /// A reference to a row that is not there, or to one that is still referred to.
    case foreignKey(String)
    /// Too much waits, or a lock or time limit was hit: the same call may succeed later.
    case busy(String)
    /// No space left where the database lives: nothing was written, reads go on, writes work again once there is space.
    case full(String)
    /// The database cannot be reached or was closed. When the text says "outcome unknown", the write may have been committed.
    case connection(String)
    /// The file or the server says its data is damaged.
    case corrupted(String)
    /// Anything else: SQLite's extended result code, PostgreSQL's SQLSTATE, or a word of this module (`row`, `argument`,
    /// `statement`, `url`, `in-use`, `migration`).
    case other(code: String, String)
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unique(let text): "already exists: \(text)"
        case .foreignKey(let text): "broken reference: \(text)"
        case .busy(let text): "busy: \(text)"
        case .full(let text): "no space left: \(text)"
        case .connection(let text): "no connection: \(text)"
        case .corrupted(let text): "damaged: \(text)"
        case .other(let code, let text): "\(text) [\(code)]"
        }
    }
}
