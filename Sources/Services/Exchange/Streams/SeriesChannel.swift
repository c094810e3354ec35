import CloudAPI
import Foundation
import Market
import NIOCore
import Primitives

/// One series that somebody reads: its book, the events that are kept of it, and its readers.
struct SeriesChannel {
    /// A reader and the identifier of the last event it has seen.
    struct Guest {
        let reader: StreamReader
        let after: String?
    }

    private struct Kept {
        let sequence: Int64
        let event: ByteBuffer
    }

    /// Sequence numbers of two channels have nothing to do with each other: identifiers of events begin with this.
    private let epoch: String
    private let limits: StreamLimits
    private var sequence: Int64 = 0
    private var mirror = BookMirror()
    private var standing = StreamNews.SeriesState(state: .open)
    private var last: TradePrint?
    private(set) var lastTrade: Int64 = 0
    private var kept: [Kept] = []
    private var keptBytes = 0
    private var readers: [ObjectIdentifier: StreamReader] = [:]
    /// Who came before the book was known.
    private var early: [Guest] = []
    private(set) var isKnown = false
    /// Since when nobody reads.
    private(set) var idleSince: ContinuousClock.Instant? = .now

    init(epoch: UInt64, limits: StreamLimits) {
        self.epoch = String(epoch, radix: 36)
        self.limits = limits
    }

    // MARK: Readers

    mutating func join(_ guest: Guest, at now: Instant) {
        readers[ObjectIdentifier(guest.reader)] = guest.reader
        idleSince = nil
        if isKnown { greet(guest, at: now) } else { early.append(guest) }
    }

    mutating func leave(_ reader: StreamReader) {
        readers[ObjectIdentifier(reader)] = nil
        early.removeAll { $0.reader === reader }
        if readers.isEmpty, idleSince == nil { idleSince = .now }
    }

    func endAll() { for reader in readers.values { reader.end() } }

    /// What the reader has missed, or the whole book when that is not kept, or when it has seen nothing yet.
    private func greet(_ guest: Guest, at now: Instant) {
        if let after = guest.after {
            if let missed = missed(after) {
                for event in missed { _ = guest.reader.push(event, counts: false) }
                return
            }
            let gap = SeriesEvent(kind: .gap, sequence: sequence, at: now, state: standing.state.rawValue, reason: standing.reason)
            _ = guest.reader.push(text(gap, identified: false), counts: false)
        }
        let (bids, asks) = mirror.depth
        let snapshot = SeriesEvent(
            kind: .snapshot, sequence: sequence, at: now, bids: bids, asks: asks, trades: last.map { [$0] } ?? [],
            state: standing.state.rawValue, reason: standing.reason)
        _ = guest.reader.push(text(snapshot), counts: false)
    }

    private func missed(_ after: String) -> ArraySlice<ByteBuffer>? {
        let parts = after.split(separator: "-")
        guard parts.count == 2, parts[0] == epoch, let seen = Int64(parts[1]), seen >= 0, seen <= sequence else { return nil }
        let first = kept.first?.sequence ?? sequence + 1
        guard seen + 1 >= first else { return nil }
        return kept[Int(seen + 1 - first)...].map(\.event)[...]
    }

    // MARK: News

    /// Takes in what is new, and tells the readers. Returns how many were dropped.
    mutating func take(_ news: StreamNews, of series: SeriesID, at now: Instant) -> Int {
        let before = standing
        if let book = news.books[series] { mirror.set(to: book) }
        for (id, order) in news.orders[series] ?? [:] { mirror.set(id, to: order) }
        if let state = news.states[series] { standing = state }
        let trades = (news.trades[series] ?? []).filter { $0.number > lastTrade }
        if let newest = trades.last { (lastTrade, last) = (newest.number, newest.trade) }
        if let standing = news.standing[series] { last = standing }
        let busted = news.busted[series] ?? []
        let (bids, asks) = mirror.takeChanges()
        guard isKnown else {
            isKnown = true
            for guest in early { greet(guest, at: now) }
            early = []
            return 0
        }
        guard !bids.isEmpty || !asks.isEmpty || !trades.isEmpty || !busted.isEmpty || standing != before else { return 0 }
        sequence += 1
        return publish(
            SeriesEvent(
                kind: .change, sequence: sequence, at: now, bids: bids, asks: asks, trades: trades.map(\.trade), busted: busted,
                state: standing.state.rawValue, reason: standing.reason))
    }

    private mutating func publish(_ change: SeriesEvent) -> Int {
        let event = text(change)
        keep(event)
        let slow = readers.values.filter { !$0.push(event) }
        for reader in slow { leave(reader) }
        return slow.count { $0.isDropped }
    }

    private mutating func keep(_ event: ByteBuffer) {
        kept.append(Kept(sequence: sequence, event: event))
        keptBytes += event.readableBytes
        while kept.count > limits.keptEvents || keptBytes > limits.keptBytes, let oldest = kept.first {
            keptBytes -= oldest.event.readableBytes
            kept.removeFirst()
        }
    }

    /// A gap has no identifier: a reader that breaks off after it has still seen what it had before.
    private func text(_ event: SeriesEvent, identified: Bool = true) -> ByteBuffer {
        // Plain strings and numbers can always be written.
        let json = (try? WireJSON.text(event)) ?? "{}"
        let id = identified ? "id: \(epoch)-\(event.sequence)\n" : ""
        return ByteBuffer(string: "\(id)event: \(event.kind.rawValue)\ndata: \(json)\n\n")
    }
}
