extension StoreError {
    /// Maps SQLSTATE (https://www.postgresql.org/docs/15/errcodes-appendix.html).
    init(postgresState state: String, _ text: String) {
        switch state {
        case "23505": self = .unique(text)
        case "23503": self = .foreignKey(text)
        case "53100": self = .full(text)
        case "40001", "40P01", "55P03", "57014": self = .busy(text)  // serialization, deadlock, lock and statement time limits
        case "08P01": self = .other(code: state, text)  // too few or too many arguments
        default:
            switch state.prefix(2) {
            case "08": self = .connection(text)
            case "53": self = .busy(text)
            case "57": self = .connection(text)  // shut down, crashed or not up yet
            case "XX" where state != "XX000": self = .corrupted(text)
            default: self = .other(code: state, text)
            }
        }
    }

    /// Whether a transaction that failed with this SQLSTATE may succeed when run again: serialization failure, deadlock, and plans
    /// or statements that another process's migration made stale.
    static func isWorthRetrying(postgresState state: String, _ text: String) -> Bool {
        switch state {
        case "40001", "40P01", "26000": true
        case "0A000": text.contains("cached plan")
        default: false
        }
    }
}
