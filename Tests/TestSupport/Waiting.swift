/// What a test waited for did not happen in time.
public struct DidNotHappen: Error, CustomStringConvertible {
    public var description: String
    public init(description: String) { self.description = description }
}

/// Asks again and again until the answer is yes; throws `DidNotHappen` when it never is.
public func eventually(
    _ what: String, within limit: Duration = .seconds(120), every pause: Duration = .milliseconds(10), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else { throw DidNotHappen(description: "did not happen within \(limit): \(what)") }
        try await Task.sleep(for: pause)
    }
}
