import Market
import Primitives
import Synchronization

/// What one participant may ask of the market, all its programs and tokens together.
package struct FairnessLimits: Sendable {
    /// Orders and replacements a second, on average and at once.
    package var commandsPerSecond: Int64 = 10_000
    package var burst: Int64 = 20_000
    /// Commands that wait for the market at a time. The queue has room for 10,000, so it takes ten to fill it.
    package var waiting = 1_000
    /// As many more may wait that take back, report, answer or stop: whoever floods with orders can still get out.
    package var reserve = 100

    package init() {}
}

/// Stands in front of the desk, so that one participant's flood is its own problem.
final class Fairness: Sendable {
    private struct Account {
        var bucket: TokenBucket
        var waiting = 0
    }

    private static let mostIdle = 10_000

    private let limits: FairnessLimits
    private let accounts = Mutex<[ParticipantID: Account]>([:])
    private let now: @Sendable () -> Int64

    /// - Parameter now: nanoseconds of a clock that never goes back.
    init(limits: FairnessLimits, now: @escaping @Sendable () -> Int64 = Fairness.monotonic) {
        self.limits = limits
        self.now = now
    }

    /// Does a participant's order, or refuses when it has asked for too much.
    func admitting<Answer>(_ participant: ParticipantID, _ body: () async throws -> Answer) async throws -> Answer {
        try enter(participant, trading: true)
        defer { leave(participant) }
        return try await body()
    }

    /// Does another command of a participant, as fast as they come but within its share of the waiting places.
    func sharing<Answer>(_ participant: ParticipantID, _ body: () async throws -> Answer) async throws -> Answer {
        try enter(participant, trading: false)
        defer { leave(participant) }
        return try await body()
    }

    private func enter(_ participant: ParticipantID, trading: Bool) throws(Refusal) {
        let now = self.now()
        let refusal = accounts.withLock { accounts -> Refusal? in
            if accounts.count > Self.mostIdle { accounts = accounts.filter { $0.value.waiting > 0 || !$0.value.bucket.isFull(at: now) } }
            var account = accounts[participant] ?? Account(bucket: fresh(at: now))
            defer { accounts[participant] = account }
            let places = limits.waiting + (trading ? 0 : limits.reserve)
            guard account.waiting < places else { return .share(account.waiting, of: places) }
            if trading, let pause = account.bucket.take(at: now) { return .rate(pause, limits) }
            account.waiting += 1
            return nil
        }
        if let refusal { throw refusal }
    }

    private func leave(_ participant: ParticipantID) { accounts.withLock { $0[participant]?.waiting -= 1 } }

    private func fresh(at now: Int64) -> TokenBucket {
        TokenBucket(rate: limits.commandsPerSecond, burst: limits.burst, at: now)
    }

    private static let started = ContinuousClock.now
    @Sendable private static func monotonic() -> Int64 {
        let (seconds, attoseconds) = (ContinuousClock.now - started).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}

extension Refusal {
    fileprivate static func rate(_ nanoseconds: Int64, _ limits: FairnessLimits) -> Refusal {
        let seconds = max(1, (nanoseconds + 999_999_999) / 1_000_000_000)
        return Refusal(
            "exchange.rate", .throttled,
            "A participant may send \(limits.commandsPerSecond) orders a second and \(limits.burst) at once; this is more.",
            facts: [
                "commandsPerSecond": .number(limits.commandsPerSecond), "burst": .number(limits.burst),
                "retryAfterSeconds": .number(seconds),
            ], nearest: "the same request in \(seconds) s")
    }

    fileprivate static func share(_ waiting: Int, of places: Int) -> Refusal {
        Refusal(
            "exchange.share", .throttled, "\(waiting) commands of this participant wait already; \(places) may.",
            facts: ["waiting": .number(Int64(waiting)), "largest": .number(Int64(places)), "retryAfterSeconds": 1],
            nearest: "the same request, once one of them is answered")
    }
}
