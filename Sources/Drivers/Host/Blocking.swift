import Dispatch
import Primitives
import Synchronization

/// Runs blocking calls (files, fork, ioctl) on threads of their own, never on the cooperative pool.
enum Blocking {
    static let queue = DispatchQueue(label: "bourse.drivers.blocking", qos: .userInitiated, attributes: .concurrent)

    static func run<T: Sendable>(_ body: @escaping @Sendable () throws(Refusal) -> T) async throws(Refusal) -> T {
        let result: Result<T, Refusal> = await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: Result { () throws(Refusal) -> T in try body() })
            }
        }
        return try result.get()
    }

    /// The same, but waits for it no longer than `limit`: then nil, and the body goes on by itself, as a call into storage that hangs does.
    static func run<T: Sendable>(
        within limit: Duration, _ body: @escaping @Sendable () throws(Refusal) -> T
    ) async throws(Refusal) -> T? {
        let result: Result<T, Refusal>? = await withCheckedContinuation { continuation in
            let waiter = Waiter(continuation)
            queue.async { waiter.resume(Result { () throws(Refusal) -> T in try body() }) }
            let nanoseconds = limit.components.seconds * 1_000_000_000 + limit.components.attoseconds / 1_000_000_000
            queue.asyncAfter(deadline: .now() + .nanoseconds(Int(nanoseconds))) { waiter.resume(nil) }
        }
        return try result?.get()
    }

    /// Resumed once, by whoever comes first.
    private final class Waiter<Value: Sendable>: Sendable {
        private let continuation: Mutex<CheckedContinuation<Value?, Never>?>
        init(_ continuation: CheckedContinuation<Value?, Never>) { self.continuation = Mutex(continuation) }
        func resume(_ value: Value?) {
            let waiting = continuation.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            waiting?.resume(returning: value)
        }
    }
}

/// Lets one task at a time work on the thing a key names; the others wait in order.
package final class KeyedLock<Key: Hashable & Sendable>: Sendable {
    private struct Holder {
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let holders = Mutex<[Key: Holder]>([:])

    package init() {}

    package func withLock<T: Sendable, Failure>(_ key: Key, _ body: () async throws(Failure) -> T) async throws(Failure) -> T {
        await acquire(key)
        defer { release(key) }
        return try await body()
    }

    private func acquire(_ key: Key) async {
        await withCheckedContinuation { continuation in
            let free = holders.withLock { holders in
                if holders[key] == nil {
                    holders[key] = Holder()
                    return true
                }
                holders[key]?.waiting.append(continuation)
                return false
            }
            if free { continuation.resume() }
        }
    }

    private func release(_ key: Key) {
        let next = holders.withLock { holders -> CheckedContinuation<Void, Never>? in
            guard var holder = holders[key], !holder.waiting.isEmpty else {
                holders[key] = nil
                return nil
            }
            let next = holder.waiting.removeFirst()
            holders[key] = holder
            return next
        }
        next?.resume()
    }
}
