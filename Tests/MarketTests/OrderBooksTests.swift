import Market
import Primitives
import Testing

@Suite struct OrderBooksTests {
    private func fill(_ book: inout OrderBooks, _ side: Side, _ price: Int64, _ lots: Int64, owner: Int32, id: UInt64, book number: Int = 0)
    {
        book.rest(book: number, side: side, price: price, lots: lots, owner: owner, id: id)
    }

    @Test func bestPriceFirstThenLongestWait() {
        var books = OrderBooks()
        #expect(books.open() == 0)
        fill(&books, .sell, 30, 5, owner: 1, id: 1)
        fill(&books, .sell, 10, 5, owner: 1, id: 2)
        fill(&books, .sell, 10, 5, owner: 2, id: 3)
        fill(&books, .sell, 20, 5, owner: 1, id: 4)
        var fills: ContiguousArray<OrderBooks.Fill> = []
        let match = books.match(book: 0, side: .buy, price: 20, lots: 100, owner: 9, into: &fills)
        #expect(match.lots == 15)
        #expect(match.ownOrder == nil)
        #expect(fills.map { books.id(at: $0.maker) } == [2, 3, 4])
        #expect(fills.map(\.price) == [10, 10, 20])
        #expect(books.count == 4, "match changes nothing")
        for fill in fills { books.take(fill) }
        #expect(books.count == 1)
        #expect(books.bestPrice(book: 0, side: .sell) == 30)
        #expect(books.bestPrice(book: 0, side: .buy) == nil)
    }

    @Test func partlyTakenOrderKeepsItsPlace() {
        var books = OrderBooks()
        _ = books.open()
        fill(&books, .buy, 10, 5, owner: 1, id: 1)
        fill(&books, .buy, 10, 5, owner: 2, id: 2)
        var fills: ContiguousArray<OrderBooks.Fill> = []
        _ = books.match(book: 0, side: .sell, price: 10, lots: 3, owner: 9, into: &fills)
        for fill in fills { books.take(fill) }
        #expect(books.queue(book: 0, side: .buy).map { books.id(at: $0) } == [1, 2])
        #expect(books.queue(book: 0, side: .buy).map { books.lots(at: $0) } == [2, 5])
        #expect(books.depth(book: 0, side: .buy, levels: 5) == [DepthLevel(price: 10, lots: 7, orders: 2)])
    }

    @Test func stopsAtAnOrderOfTheSameOwner() throws {
        var books = OrderBooks()
        _ = books.open()
        fill(&books, .sell, 10, 2, owner: 1, id: 1)
        fill(&books, .sell, 11, 2, owner: 7, id: 2)
        var fills: ContiguousArray<OrderBooks.Fill> = []
        let match = books.match(book: 0, side: .buy, price: 12, lots: 4, owner: 7, into: &fills)
        #expect(match.lots == 2)
        #expect(try books.id(at: #require(match.ownOrder)) == 2)
        var none: ContiguousArray<OrderBooks.Fill> = []
        #expect(
            books.match(book: 0, side: .buy, price: 10, lots: 4, owner: 7, into: &none).ownOrder == nil, "its own order is out of reach")
    }

    @Test func booksDoNotMix() {
        var books = OrderBooks()
        #expect(books.open() == 0)
        #expect(books.open() == 1)
        fill(&books, .sell, 10, 5, owner: 1, id: 1)
        books.rest(book: 1, side: .sell, price: 5, lots: 1, owner: 1, id: 2)
        var fills: ContiguousArray<OrderBooks.Fill> = []
        #expect(books.match(book: 0, side: .buy, price: 50, lots: 10, owner: 2, into: &fills).lots == 5)
        #expect(books.stateHash(book: 0) != books.stateHash(book: 1))
    }

    /// Random orders, cancels and takes in several books, few and many price levels; every fill and the digest of the touched
    /// book are compared with the naive book after each operation.
    @Test(
        arguments: [
            (1, 8, 40, 1), (2, 400, 120, 1), (3, 5_000, 300, 1), (4, 2, 15, 1), (5, 60, 200, 7), (6, 100_000, 400, 1),
            (7, 300, 300, 1_000_000_000_000_000),
        ] as [(UInt64, Int, Int, Int64)])
    func equalsTheNaiveBook(seed: UInt64, prices: Int, resting: Int, tick: Int64) {
        var random = SeededGenerator(seed: seed)
        let count = 3
        var books = OrderBooks()
        for _ in 0..<count { _ = books.open() }
        var naive = [NaiveBook](repeating: NaiveBook(), count: count)
        var live: [(id: UInt64, book: Int)] = []
        var used: Set<UInt64> = []
        for step in 0..<40_000 {
            let book = Int.random(in: 0..<count, using: &random)
            if live.count > resting || (!live.isEmpty && Int.random(in: 0..<100, using: &random) < 35) {
                let victim = live.remove(at: Int.random(in: 0..<live.count, using: &random))
                guard let slot = books.slot(of: victim.id) else {
                    #expect(!naive[victim.book].entries.contains { $0.id == victim.id })
                    continue
                }
                if books.lots(at: slot) > 1, Int.random(in: 0..<3, using: &random) == 0 {
                    let fewer = Int64.random(in: 1..<books.lots(at: slot), using: &random)
                    books.reduce(slot, to: fewer)
                    naive[victim.book].reduce(victim.id, to: fewer)
                    live.append(victim)
                } else {
                    books.remove(slot)
                    naive[victim.book].remove(victim.id)
                }
                #expect(books.stateHash(book: victim.book) == naive[victim.book].stateHash, "step \(step)")
                continue
            }
            let id = random.next() >> UInt64.random(in: 0...60, using: &random)
            guard used.insert(id).inserted else { continue }
            let side = Bool.random(using: &random) ? Side.buy : .sell
            let middle = Int64(prices / 2 + 1)
            let distance = Int64.random(in: -middle...middle, using: &random) + (side == .buy ? -1 : 1) * Int64(prices / 5)
            let price = max(1, middle + distance) * tick
            let lots = Int64.random(in: 1...20, using: &random)
            let owner = Int32.random(in: 0..<6, using: &random)
            var fills: ContiguousArray<OrderBooks.Fill> = []
            let match = books.match(book: book, side: side, price: price, lots: lots, owner: owner, into: &fills)
            guard let expected = naive[book].fills(side: side, price: price, lots: lots, owner: owner) else {
                #expect(match.ownOrder != nil, "step \(step)")
                continue
            }
            #expect(match.ownOrder == nil)
            #expect(fills.map { NaiveBook.Fill(maker: books.id(at: $0.maker), price: $0.price, lots: $0.lots) } == expected, "step \(step)")
            for fill in fills { books.take(fill) }
            for fill in expected { naive[book].take(fill) }
            let left = lots - match.lots
            if left > 0, Int.random(in: 0..<100, using: &random) < 80 {
                // A third shows a part of itself, a tenth is taken whole or not at all.
                let kind = Int.random(in: 0..<30, using: &random)
                let display = kind < 10 ? Int64.random(in: 1...5, using: &random) : nil
                let wholeOnly = kind >= 27
                books.rest(
                    book: book, side: side, price: price, lots: left, owner: owner, id: id, display: display, wholeOnly: wholeOnly)
                naive[book].rest(id: id, side: side, price: price, lots: left, owner: owner, display: display, wholeOnly: wholeOnly)
                live.append((id, book))
            }
            guard books.stateHash(book: book) == naive[book].stateHash else {
                Issue.record("the books differ after step \(step) of seed \(seed)")
                return
            }
        }
        #expect(books.count == naive.map(\.entries.count).reduce(0, +))
    }

    /// Operations are announced that come, that do not, and that make no sense; the books stay as they are, and as a copy is.
    @Test(arguments: 1...4 as ClosedRange<UInt64>) func whatIsAnnouncedChangesNothing(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var books = OrderBooks()
        for _ in 0..<4 { _ = books.open() }
        var id: UInt64 = 0
        for _ in 0..<150 {
            let before = books
            let hashes = (0..<4).map { books.stateHash(book: $0) }
            var coming = (0..<OrderBooks.horizon).map { _ in
                Bool.random(using: &random)
                    ? OrderBooks.Coming(removal: UInt64.random(in: 0...id + 5, using: &random))
                    : OrderBooks.Coming(
                        order: random.next(), book: Int32.random(in: 0..<4, using: &random),
                        side: Bool.random(using: &random) ? .buy : .sell, price: Int64.random(in: 1...60, using: &random))
            }
            coming.withUnsafeMutableBufferPointer { books.approach($0) }
            #expect((0..<4).map { books.stateHash(book: $0) } == hashes)
            #expect((0..<4).map { before.stateHash(book: $0) } == hashes)
            for _ in 0..<8 {
                id += 1
                // Book 3 stays empty.
                let book = Int.random(in: 0..<3, using: &random)
                if Int.random(in: 0..<100, using: &random) < 45 {
                    _ = books.remove(id: UInt64.random(in: 1...id, using: &random))
                } else {
                    let side = Bool.random(using: &random) ? Side.buy : .sell
                    fill(&books, side, Int64.random(in: side == .buy ? 1...30 : 31...60, using: &random), 5, owner: 1, id: id, book: book)
                }
            }
        }
    }
}
