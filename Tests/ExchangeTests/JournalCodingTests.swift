import Exchange
import Market
import Primitives
import Testing

/// What is written to the journal is what is read from it: a field that is left out would be another market after a crash.
@Suite struct JournalCodingTests {
    private struct Author {
        var random: SeededGenerator

        mutating func maybe<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
        mutating func number() -> Int64 { Int64.random(in: .min ... .max, using: &random) }
        /// Of those that have four digits for the year.
        mutating func moment() -> Instant { Instant(microseconds: Int64.random(in: 0...4_000_000_000_000_000, using: &random)) }
        mutating func id<Kind>() -> ID<Kind> { ID(bits: random.next()) }

        mutating func draft() -> OrderDraft {
            let conditions = OrderConditions(
                expires: maybe(Instant(microseconds: number())), display: maybe(number()), allOrNone: Bool.random(using: &random),
                postOnly: Bool.random(using: &random), minimumLots: maybe(number()),
                selfMatch: OrderConditions.SelfMatch.allCases.randomElement(using: &random) ?? .refuse)
            return OrderDraft(
                participant: id(), series: id(), side: Bool.random(using: &random) ? .buy : .sell,
                lifetime: Order.Lifetime.allCases.randomElement(using: &random) ?? .limit, price: number(), lots: number(),
                datacenter: maybe(id()), clientOrderID: maybe("nr \(number()) – ü"), conditions: conditions)
        }

        mutating func command() -> MarketCommand {
            switch Int.random(in: 0..<9, using: &random) {
            case 0: .placeOrder(draft())
            case 1: .cancelOrder(id(), by: maybe(id()))
            case 2: .replaceOrder(id(), price: maybe(number()), lots: maybe(number()), by: id())
            case 3:
                .propose(
                    ProposalDraft(
                        proposer: id(), counterparty: id(), series: id(), side: Bool.random(using: &random) ? .buy : .sell, price: number(),
                        lots: number(), datacenter: maybe(id()), note: maybe("so \(number())"),
                        expires: maybe(moment())))
            case 4: .acceptProposal(id(), by: id(), from: maybe(id()))
            case 5: .refuseProposal(id(), by: id(), reason: "no \(number())")
            case 6: .withdrawProposal(id(), by: id())
            case 7: .closeProduct(id(), reason: "version \(number())")
            default: .halt(id(), reason: "\"\u{1F4C9}\" \(number())")
            }
        }

        mutating func entry() -> JournalEntry {
            let slot = maybe("participant/\(number())")
            return JournalEntry(
                command: command(), seed: random.next(), actor: "participant \(number())", detail: #"{"lots":\#(number())}"#,
                answer: slot.map {
                    RememberedAnswer(slot: .init(scope: $0, key: "k"), requestHash: "00ff", status: 201, body: #"{"id":1}"#)
                })
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func whatIsWrittenIsRead(seed: UInt64) throws {
        var author = Author(random: SeededGenerator(seed: seed))
        let entries = (0..<200).map { _ in author.entry() }
        let batch = JournalBatch(number: 7, at: Instant(seconds: 5), entries: entries)
        let bytes = try batch.encoded()
        #expect(try JournalBatch(number: 7, at: Instant(seconds: 5), encoded: bytes) == batch)
        for length in [0, 1, 5, bytes.count / 2, bytes.count - 1] {
            #expect(throws: (any Error).self) { try JournalBatch(number: 7, at: .zero, encoded: Array(bytes.prefix(length))) }
        }
        #expect(throws: (any Error).self) { try JournalBatch(number: 7, at: .zero, encoded: bytes + [0]) }
    }

    /// Orders have a form of their own in the journal, which does not notice a new field by itself: add it there, then here.
    @Test func everyFieldOfAnOrderIsWritten() {
        var author = Author(random: SeededGenerator(seed: 1))
        let draft = author.draft()
        #expect(Mirror(reflecting: draft).children.count == 9)
        #expect(Mirror(reflecting: draft.conditions).children.count == 6)
    }
}
