/// One step of a schema: an identifier and the statements that take it.
///
/// Never edit one that has been released and never name an application's type in it: it must do the same for ever. Each is applied
/// once, in a transaction of its own, in the order of the list.
public struct Migration: Sendable {
    public let id: String
    public let statements: @Sendable (SQLDialect) -> [String]

    public init(_ id: String, _ statements: @escaping @Sendable (SQLDialect) -> [String]) {
        self.id = id
        self.statements = statements
    }
}
