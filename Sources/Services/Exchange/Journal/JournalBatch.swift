package import Market
package import Primitives

/// Commands that became durable together, with all that is needed to do them again: to the same state, and to the same answers.
package struct JournalBatch: Sendable, Equatable {
    /// 1, 2, 3, … without gaps.
    package let number: Int64
    package let at: Instant
    package let entries: [JournalEntry]

    package init(number: Int64, at: Instant, entries: [JournalEntry]) {
        self.number = number
        self.at = at
        self.entries = entries
    }
}

/// One command that was applied.
package struct JournalEntry: Sendable, Equatable {
    package let command: MarketCommand
    package let seed: UInt64
    /// For the audit trail: who, and what they sent (JSON).
    package let actor: String
    package let detail: String
    package let answer: RememberedAnswer?

    package init(command: MarketCommand, seed: UInt64, actor: String, detail: String, answer: RememberedAnswer?) {
        self.command = command
        self.seed = seed
        self.actor = actor
        self.detail = detail
        self.answer = answer
    }
}

/// What a request with an idempotency key was answered, and gets again when it is sent again.
package struct RememberedAnswer: Sendable, Equatable {
    package let slot: AnswerSlot
    package let requestHash: String
    package let status: Int
    /// JSON.
    package let body: String

    package init(slot: AnswerSlot, requestHash: String, status: Int, body: String) {
        self.slot = slot
        self.requestHash = requestHash
        self.status = status
        self.body = body
    }
}
