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

    struct Entry: Sendable {
        var at: Instant
        var number: Int64
        var subject: Subject

        func isBefore(_ other: Entry) -> Bool {
            (at.microseconds, subject.rank, number, subject.start)
                < (other.at.microseconds, other.subject.rank, other.number, other.subject.start)
        }

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

    private var entries: ContiguousArray<Entry> = []
    /// Entries that were true when it was last looked through.
    private var kept = 0
    private static let fewest = 10_000

    var first: Entry? { entries.first }

    /// Most of it may be out of date.
    var isCrowded: Bool { entries.count > max(Self.fewest, 2 * kept) }

    /// Leaves out what is out of date, and what is there twice.
    mutating func keep(_ isCurrent: (Entry) -> Bool) {
        let sorted = entries.filter(isCurrent).sorted { $0.isBefore($1) }
        entries.removeAll(keepingCapacity: true)
        // What is sorted is a heap.
        for entry in sorted where entries.last.map({ $0.isBefore(entry) }) ?? true { entries.append(entry) }
        kept = entries.count
    }

    mutating func push(_ entry: Entry) {
        entries.append(entry)
        var place = entries.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard entries[place].isBefore(entries[parent]) else { break }
            entries.swapAt(place, parent)
            place = parent
        }
    }

    mutating func removeFirst() {
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var place = 0
        while true {
            var least = place
            for child in (place * 2 + 1)...(place * 2 + 2) where child < entries.count && entries[child].isBefore(entries[least]) {
                least = child
            }
            guard least != place else { return }
            entries.swapAt(place, least)
            place = least
        }
    }
}
