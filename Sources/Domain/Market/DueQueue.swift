import HeapModule
import Primitives

/// What the clock must look at next: a binary heap in flat storage, earliest first; at one moment orders and proposals that expire before
/// contracts, then deliveries, series that reopen, series that close or expire and calendars that open series, each by number.
///
/// Nothing is ever searched in it: an entry whose moment is not its subject's any more is left to surface and be thrown away.
struct DueQueue: Sendable {
    enum Subject: Sendable {
        case order(OrderID), proposal(ProposalID), contract(ContractID), delivery(Delivery.Key), reopening(SeriesID), series(SeriesID),
            calendar(ProductID)
        var rank: Int {
            switch self {
            case .order: 0
            case .proposal: 1
            case .contract: 2
            case .delivery: 3
            case .reopening: 4
            case .series: 5
            case .calendar: 6
            }
        }

        /// Tells the deliveries of one contract apart.
        var start: Int64 { if case .delivery(let key) = self { key.start.microseconds } else { 0 } }
    }

    struct Entry: Sendable, Comparable {
        var at: Instant
        var number: Int64
        var subject: Subject

        private var order: (Int64, Int, Int64, Int64) { (at.microseconds, subject.rank, number, subject.start) }
        static func < (a: Entry, b: Entry) -> Bool { a.order < b.order }
        static func == (a: Entry, b: Entry) -> Bool { a.order == b.order }

        init(at: Instant, number: Int64, subject: Subject) {
            self.at = at
            self.number = number
            self.subject = subject
        }

        /// Series and products have no number but their identifier.
        init(at: Instant, series: SeriesID) { self.init(at: at, number: Int64(bitPattern: series.bits), subject: .series(series)) }
        init(at: Instant, reopening series: SeriesID) {
            self.init(at: at, number: Int64(bitPattern: series.bits), subject: .reopening(series))
        }
        init(at: Instant, calendarOf product: ProductID) {
            self.init(at: at, number: Int64(bitPattern: product.bits), subject: .calendar(product))
        }
    }

    private var entries: Heap<Entry> = []
    /// Entries that were true when it was last looked through.
    private var kept = 0
    private static let fewest = 10_000

    var first: Entry? { entries.min }

    /// Most of it may be out of date.
    var isCrowded: Bool { entries.count > max(Self.fewest, 2 * kept) }

    /// Leaves out what is out of date, and what is there twice.
    mutating func keep(_ isCurrent: (Entry) -> Bool) {
        var current: [Entry] = []
        for entry in entries.unordered.filter(isCurrent).sorted() where current.last != entry { current.append(entry) }
        entries = Heap(current)
        kept = entries.count
    }

    mutating func push(_ entry: Entry) { entries.insert(entry) }

    mutating func removeFirst() { entries.removeMin() }
}
