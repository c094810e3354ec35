import Market
import Primitives

/// Commands that became durable together, with all that is needed to do them again: to the same state, and to the same answers.
struct JournalBatch: Sendable, Equatable {
    /// 1, 2, 3, … without gaps.
    let number: Int64
    let at: Instant
    let entries: [JournalEntry]
}

/// One command that was applied.
struct JournalEntry: Sendable, Equatable {
    let command: MarketCommand
    let seed: UInt64
    /// For the audit trail: who, and what they sent (JSON).
    let actor: String
    let detail: String
    let answer: RememberedAnswer?
}

/// What a request with an idempotency key was answered, and gets again when it is sent again.
struct RememberedAnswer: Sendable, Equatable {
    let slot: AnswerSlot
    let requestHash: String
    let status: Int
    /// JSON.
    let body: String
}
