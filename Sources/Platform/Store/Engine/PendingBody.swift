import Synchronization

/// A body that waits for its turn, without its result type.
protocol PendingWork: AnyObject, Sendable {
    /// Runs the body and keeps its result; a later run replaces it. Returns the error, nil when it went well.
    func perform(in context: BodyContext) -> (any Error)?
    /// Answers the caller, once: with the kept result, or with `error` when there is one.
    func finish(failing error: (any Error)?)
}

final class PendingBody<Value: Sendable>: PendingWork {
    private let body: @Sendable (BodyContext) throws -> Value
    private let caller: CheckedContinuation<Value, any Error>
    private let result = Mutex<Result<Value, any Error>?>(nil)

    init(caller: CheckedContinuation<Value, any Error>, body: @escaping @Sendable (BodyContext) throws -> Value) {
        self.caller = caller
        self.body = body
    }

    func perform(in context: BodyContext) -> (any Error)? {
        var outcome = Result { try body(context) }
        context.end()
        // A body may translate the error of a statement, but not swallow it.
        if case .success = outcome, let failure = context.failure { outcome = .failure(failure) }
        result.withLock { $0 = outcome }
        if case .failure(let error) = outcome { return error }
        return nil
    }

    func finish(failing error: (any Error)?) {
        if let error { return caller.resume(throwing: error) }
        guard let result = result.withLock({ $0 }) else { preconditionFailure("a body was answered before it ran") }
        caller.resume(with: result)
    }
}
