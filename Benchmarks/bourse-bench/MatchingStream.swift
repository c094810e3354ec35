import Foundation
import Market
import Primitives

/// Operations for an order book, as another engine can be given them too: little-endian records of 16 bytes,
/// {kind u8 (0 add, 1 cancel, 2 immediate-or-cancel), side u8 (0 buy, 1 sell), book u16, price u32, quantity u32, id u32}.
struct MatchingStream {
    struct Record {
        var kind: UInt8
        var side: UInt8
        var book: UInt16
        var price: UInt32
        var quantity: UInt32
        var id: UInt32
    }

    /// First these, untimed, until the books are as full as they stay.
    var filling: [Record] = []
    var operations: [Record] = []
    var books = 1

    static let recordBytes = 16

    init(file: String) throws {
        guard let data = FileManager.default.contents(atPath: file) else { throw BenchError(text: "\(file) cannot be read") }
        guard data.count % Self.recordBytes == 0 else {
            throw BenchError(text: "\(file) has \(data.count) bytes, which is no whole number of records of \(Self.recordBytes)")
        }
        operations = data.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: Self.recordBytes).map { offset in
                func number<T: FixedWidthInteger>(_ at: Int) -> T {
                    T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + at, as: T.self))
                }
                return Record(
                    kind: number(0), side: number(1), book: number(2), price: number(4), quantity: number(8), id: number(12))
            }
        }
        books = Int(operations.map(\.book).max() ?? 0) + 1
    }

    func write(to file: String) throws {
        var data = Data(capacity: (filling.count + operations.count) * Self.recordBytes)
        for record in filling + operations {
            data.append(record.kind)
            data.append(record.side)
            withUnsafeBytes(of: record.book.littleEndian) { data.append(contentsOf: $0) }
            for number in [record.price, record.quantity, record.id] {
                withUnsafeBytes(of: number.littleEndian) { data.append(contentsOf: $0) }
            }
        }
        try data.write(to: URL(fileURLWithPath: file))
    }

    private static let middle: UInt32 = 10_000
    /// Ticks from the middle within which orders rest.
    private static let reach: UInt32 = 100
    private static let largest: UInt32 = 100

    /// 50 % orders that rest, 35 % cancels of a random live one, 15 % that take at once; the number of live orders stays where it is.
    init(seed: UInt64, books: Int, resting: Int, operations count: Int) {
        self.books = books
        var random = SeededGenerator(seed: seed)
        var engine = MatchingEngine(books: books, capacity: resting * 2)
        var live: [UInt32] = []
        var places: [UInt32: Int] = [:]
        var bookOf: [UInt32: UInt16] = [:]
        var next: UInt32 = 1
        func forget(_ id: UInt32) {
            guard let place = places.removeValue(forKey: id) else { return }
            bookOf[id] = nil
            let last = live.removeLast()
            if last != id {
                live[place] = last
                places[last] = place
            }
        }
        func add() -> Record {
            let side = UInt8.random(in: 0...1, using: &random)
            let distance = 1 + min(UInt32.random(in: 0..<Self.reach, using: &random), UInt32.random(in: 0..<Self.reach, using: &random))
            let record = Record(
                kind: 0, side: side, book: UInt16.random(in: 0..<UInt16(books), using: &random),
                price: side == 0 ? Self.middle - distance : Self.middle + distance,
                quantity: UInt32.random(in: 1...Self.largest, using: &random), id: next)
            places[next] = live.count
            bookOf[next] = record.book
            live.append(next)
            next += 1
            return record
        }
        for _ in 0..<resting {
            filling.append(add())
            engine.run(filling[filling.count - 1])
        }
        operations.reserveCapacity(count)
        for _ in 0..<count {
            var kind = UInt32.random(in: 0..<100, using: &random)
            // Takers remove an order each on average; what that misses is made up for here.
            if live.count > resting + resting / 100, kind < 50 { kind = 50 }
            if live.count < resting - resting / 100, kind >= 50, kind < 85 { kind = 0 }
            let record: Record
            if kind < 50 {
                record = add()
            } else if kind < 85, let id = live.randomElement(using: &random) {
                record = Record(kind: 1, side: 0, book: bookOf[id] ?? 0, price: 0, quantity: 0, id: id)
                forget(id)
            } else {
                let side = UInt8.random(in: 0...1, using: &random)
                record = Record(
                    kind: 2, side: side, book: UInt16.random(in: 0..<UInt16(books), using: &random),
                    price: side == 0 ? Self.middle + Self.reach : Self.middle - Self.reach,
                    quantity: UInt32.random(in: 1...Self.largest, using: &random), id: next)
                next += 1
            }
            operations.append(record)
            engine.run(record) { forget(UInt32($0)) }
        }
    }
}

/// The books, driven by records.
struct MatchingEngine {
    private var books: OrderBooks
    private var fills: ContiguousArray<OrderBooks.Fill> = []
    private var coming = ContiguousArray(repeating: OrderBooks.Coming(removal: 0), count: OrderBooks.horizon)
    private(set) var trades = 0
    private(set) var volume: Int64 = 0

    /// Owners are not compared in this stream: nobody meets an order of their own.
    private static let maker: Int32 = 1, taker: Int32 = 2

    init(books count: Int, capacity: Int) {
        books = OrderBooks(capacity: capacity)
        for _ in 0..<count { _ = books.open() }
        fills.reserveCapacity(1_024)
    }

    mutating func run(_ record: MatchingStream.Record, taken: (UInt64) -> Void = { _ in }) {
        if record.kind == 1 {
            _ = books.remove(id: UInt64(record.id))
            return
        }
        let side: Side = record.side == 0 ? .buy : .sell
        var left = Int64(record.quantity)
        let (book, price) = (Int(record.book), Int64(record.price))
        let match = books.match(book: book, side: side, price: price, lots: left, owner: Self.taker, into: &fills)
        if match.lots > 0 {
            defer { fills.removeAll(keepingCapacity: true) }
            for fill in fills {
                if books.lots(at: fill.maker) == fill.lots { taken(books.id(at: fill.maker)) }
                books.take(fill)
                left -= fill.lots
                trades += 1
                volume += fill.lots
            }
        }
        if record.kind == 0, left > 0 {
            books.rest(book: book, side: side, price: price, lots: left, owner: Self.maker, id: UInt64(record.id))
        }
    }

    /// As the exchange does with the commands that wait for it: a few are announced, and then done.
    mutating func run(_ records: [MatchingStream.Record]) {
        for start in stride(from: 0, to: records.count, by: OrderBooks.horizon) {
            let next = start..<min(records.count, start + OrderBooks.horizon)
            if books.isLarge { approach(records[next]) }
            for place in next { run(records[place]) }
        }
    }

    private mutating func approach(_ records: ArraySlice<MatchingStream.Record>) {
        coming.withUnsafeMutableBufferPointer { coming in
            var (first, last) = (0, records.count)
            for record in records {
                let id = UInt64(record.id)
                if record.kind == 1 {
                    coming[first] = OrderBooks.Coming(removal: id)
                    first += 1
                } else {
                    last -= 1
                    coming[last] = OrderBooks.Coming(
                        order: id, book: Int32(record.book), side: record.side == 0 ? .buy : .sell, price: Int64(record.price))
                }
            }
            books.approach(UnsafeMutableBufferPointer(rebasing: coming[..<records.count]))
        }
    }
}
