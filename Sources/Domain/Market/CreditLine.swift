public import Primitives

/// A participant's credit line as the operator set it: how far below zero its cash may go. Kept for good, with its reason.
public struct CreditLine: Codable, Hashable, Sendable {
    public let participant: ParticipantID
    /// 1, 2, 3, … for each participant.
    public let number: Int64
    /// Micro-units of the participant's currency.
    public let amount: Int64
    public let previous: Int64
    public let reason: String
    public let at: Instant

    public init(participant: ParticipantID, number: Int64, amount: Int64, previous: Int64, reason: String, at: Instant) {
        self.participant = participant
        self.number = number
        self.amount = amount
        self.previous = previous
        self.reason = reason
        self.at = at
    }
}
