import CloudAPI
import Foundation
import Logging
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

/// A place where a test can hold a fake, before or after it did what was asked: the moment at which a program is killed.
final class Interruptions: Sendable {
    enum Moment: String, Sendable, CaseIterable { case before, after }
    struct Place: Hashable, Sendable, CustomTestStringConvertible {
        var operation: String
        var moment: Moment
        var testDescription: String { "\(moment.rawValue) \(operation)" }
    }
    private struct State {
        var armed: Place?
        var reached = false
    }
    private let state = Mutex(State())

    func arm(_ place: Place) { state.withLock { $0 = State(armed: place) } }
    var wasReached: Bool { state.withLock { $0.reached } }

    /// Does the work of an operation. The answer of an interrupted one never arrives.
    func around<Value>(_ operation: String, _ body: () async throws -> Value) async throws -> Value {
        try await pass(operation, .before)
        let value = try await body()
        try await pass(operation, .after)
        return value
    }

    private func pass(_ operation: String, _ moment: Moment) async throws {
        let isHeld = state.withLock { state in
            guard state.armed == Place(operation: operation, moment: moment) else { return false }
            state.armed = nil
            state.reached = true
            return true
        }
        guard isHeld else { return }
        try await Task.sleep(for: .seconds(3))
        throw Refusal("test.interrupted", .unavailable, "The answer was lost.")
    }
}
