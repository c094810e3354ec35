import CloudAPI
import CloudClient
import Exchange
import Market
import Primitives
import Store
import Synchronization
import TestSupport
import Testing

/// One batch forms while the one before is written: what becomes of both when the journal fails between them.
@Suite struct OverlapTests {
    private static let callers = 12
    private static let each = 25

    /// Some ask again with their key until they are answered, others have no key and are told once.
    @Test(arguments: DatabaseKind.allCases)
    func `A journal that fails now and then loses nothing that was answered and does nothing twice`(_ kind: DatabaseKind) async throws {
        try await withHome(kind) { home in
            let journal = try UnreliableDatabase.journal(of: home)
            try await withExchange(home, journal: journal) { exchange in
                let town = try await Town(exchange, capacity: 5_000, deposit: 1_000_000_000_000)
                try await town.ask(5_000)
                let (keyed, told, failures) = (OrderSet(), OrderSet(), Tally())
                await withTaskGroup(of: Void.self) { group in
                    for caller in 0..<Self.callers {
                        group.addTask {
                            for number in 0..<Self.each {
                                guard let order = await Self.insist(town, "\(caller)-\(number)", failures) else { continue }
                                keyed.insert(order)
                            }
                        }
                        group.addTask {
                            for _ in 0..<Self.each {
                                do {
                                    let order = try await exchange.service.place(Self.draft(town))
                                    told.insert(order)
                                } catch { failures.add() }
                            }
                        }
                    }
                    group.addTask { await Self.trouble(journal) }
                }
                #expect(failures.count > 0, "there was trouble")
                #expect(keyed.all.count == Self.callers * Self.each, "each key has an order of its own")
                let bought = try await exchange.service.read { context in
                    Set(try context.query("SELECT id FROM orders WHERE side = 'buy'").map { try $0.id("id", as: OrderID.self) })
                }
                let answered = keyed.all.union(told.all)
                #expect(answered.isSubset(of: bought), "nothing that was answered is lost")
                let without = bought.count - Self.callers * Self.each
                #expect(without <= Self.callers * Self.each && without >= told.all.count, "no key was used twice")
                #expect(try await exchange.problems() == [])
                let replayed = try await exchange.service.replayJournal()
                let hash = await exchange.service.stateHash()
                #expect(replayed.problem == nil && replayed.stateHash == hash)
                await town.leave()
            }
            await journal.close()
        }
    }

    /// Commits that do not happen, and commits that happen unheard, a few at a time.
    private static func trouble(_ journal: UnreliableDatabase) async {
        var generator = SeededGenerator(seed: 19)
        for _ in 0..<60 {
            let draw = Int.random(in: 0..<4, using: &generator)
            journal.mood.withLock { $0 = draw == 0 ? .refusing(.full("no space")) : draw == 1 ? .losingAnswers : .well }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 1...12, using: &generator)))
        }
        journal.mood.withLock { $0 = .well }
    }

    private static func insist(_ town: Town, _ key: String, _ failures: Tally) async -> OrderID? {
        for _ in 0..<5_000 {
            do { return try await town.buyerClient.call(ExchangeAPI.placeOrder, body: town.bid(1), idempotencyKey: key).id } catch {
                failures.add()
                try? await Task.sleep(for: .milliseconds(2))
            }
        }
        return nil
    }

    private static func draft(_ town: Town) -> OrderDraft {
        OrderDraft(participant: town.buyer, series: town.series, side: .buy, lifetime: .limit, price: Town.price, lots: 1)
    }
}

/// Orders that tasks collect.
private final class OrderSet: Sendable {
    private let orders = Mutex<Set<OrderID>>([])

    var all: Set<OrderID> { orders.withLock { $0 } }

    func insert(_ order: OrderID) {
        orders.withLock { _ = $0.insert(order) }
    }
}
