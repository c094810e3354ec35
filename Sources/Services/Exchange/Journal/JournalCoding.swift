import CloudAPI
import Foundation
import Market
package import Primitives
import Store

// How a batch is written. Orders come by the ten thousand a second and have a form of their own; all else is JSON.

extension JournalBatch {
    private static let version: UInt8 = 1

    package func encoded() throws -> [UInt8] {
        var writer = JournalWriter(reserving: 64 + entries.count * 192)
        writer.put(Self.version)
        writer.put(UInt32(entries.count))
        for entry in entries { try entry.encode(to: &writer) }
        return writer.bytes
    }

    package init(number: Int64, at: Instant, encoded: [UInt8]) throws {
        var reader = JournalReader(encoded)
        let version = try reader.integer(UInt8.self)
        guard version == Self.version else {
            throw StoreError.corrupted("batch \(number) of the journal has version \(version); this program reads \(Self.version)")
        }
        let entries = try (0..<(try reader.integer(UInt32.self))).map { _ in try JournalEntry(from: &reader) }
        guard reader.isAtEnd else { throw StoreError.corrupted("batch \(number) of the journal is longer than what it holds") }
        self.init(number: number, at: at, entries: entries)
    }
}

extension JournalEntry {
    fileprivate func encode(to writer: inout JournalWriter) throws {
        try writer.put(command)
        writer.put(seed)
        writer.put(actor)
        writer.put(detail)
        writer.put(answer) { writer, answer in
            writer.put(answer.slot.scope)
            writer.put(answer.slot.key)
            writer.put(answer.requestHash)
            writer.put(UInt16(clamping: answer.status))
            writer.put(answer.body)
        }
    }

    fileprivate init(from reader: inout JournalReader) throws {
        self.init(
            command: try reader.command(), seed: try reader.integer(), actor: try reader.text(), detail: try reader.text(),
            answer: try reader.optional { reader in
                RememberedAnswer(
                    slot: AnswerSlot(scope: try reader.text(), key: try reader.text()), requestHash: try reader.text(),
                    status: Int(try reader.integer(UInt16.self)), body: try reader.text())
            })
    }
}

private enum CommandForm: UInt8 {
    case json, place, cancel, replace
}

extension JournalWriter {
    fileprivate mutating func put(_ command: MarketCommand) throws {
        switch command {
        case .placeOrder(let draft):
            put(CommandForm.place.rawValue)
            put(draft)
        case .cancelOrder(let order, let owner):
            put(CommandForm.cancel.rawValue)
            put(order)
            put(owner) { $0.put($1) }
        case .replaceOrder(let order, let price, let lots, let owner):
            put(CommandForm.replace.rawValue)
            put(order)
            put(price) { $0.put($1) }
            put(lots) { $0.put($1) }
            put(owner)
        default:
            put(CommandForm.json.rawValue)
            put(try WireJSON.text(command))
        }
    }

    private mutating func put(_ draft: OrderDraft) {
        put(draft.participant)
        put(draft.series)
        put(draft.side)
        put(draft.lifetime)
        put(draft.price)
        put(draft.lots)
        put(draft.datacenter) { $0.put($1) }
        put(draft.clientOrderID) { $0.put($1) }
        put(draft.conditions.expires) { $0.put($1) }
        put(draft.conditions.display) { $0.put($1) }
        put(draft.conditions.allOrNone)
        put(draft.conditions.postOnly)
        put(draft.conditions.minimumLots) { $0.put($1) }
        put(draft.conditions.selfMatch)
    }
}

extension JournalReader {
    fileprivate mutating func command() throws -> MarketCommand {
        let form = try integer(UInt8.self)
        switch CommandForm(rawValue: form) {
        case .place: return .placeOrder(try draft())
        case .cancel: return .cancelOrder(try id(), by: try optional { try $0.id() })
        case .replace:
            return .replaceOrder(
                try id(), price: try optional { try $0.integer() }, lots: try optional { try $0.integer() }, by: try id())
        case .json: return try WireJSON.decode(MarketCommand.self, from: Data(try text().utf8))
        case nil: throw StoreError.corrupted("the journal has a command of form \(form)")
        }
    }

    private mutating func draft() throws -> OrderDraft {
        OrderDraft(
            participant: try id(), series: try id(), side: try value(), lifetime: try value(), price: try integer(), lots: try integer(),
            datacenter: try optional { try $0.id() }, clientOrderID: try optional { try $0.text() },
            conditions: OrderConditions(
                expires: try optional { try $0.instant() }, display: try optional { try $0.integer() }, allOrNone: try bool(),
                postOnly: try bool(), minimumLots: try optional { try $0.integer() }, selfMatch: try value()))
    }
}
