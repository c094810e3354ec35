import Connect
import Primitives
import Testing

@Suite struct IntentBellTests {
    private let one = HostID(bits: 1)
    private let other = HostID(bits: 2)

    /// Lets others run until it is so.
    private func waiters(_ count: Int, at bell: IntentBell) async {
        while bell.waiting != count { await Task.yield() }
    }

    @Test func whoWaitsForAHostIsWokenByItAndNobodyElse() async {
        let bell = IntentBell()
        await withTaskGroup(of: HostID.self) { group in
            for host in [one, one, other] {
                group.addTask {
                    await bell.wait(for: host, after: 5, timeout: .seconds(3_600))
                    return host
                }
            }
            await waiters(3, at: bell)
            bell.ring([one: 6])
            #expect(await group.next() == one)
            #expect(await group.next() == one)
            #expect(bell.waiting == 1)
            bell.ring([other: 7, one: 8])
            #expect(await group.next() == other)
            #expect(bell.waiting == 0)
        }
    }

    @Test func newsThatCameBeforeIsNotWaitedFor() async {
        let bell = IntentBell()
        bell.begin(at: 3)
        #expect(bell.mayHaveNews(for: one, after: 2))
        #expect(!bell.mayHaveNews(for: one, after: 3))
        bell.ring([one: 9])
        #expect(bell.mayHaveNews(for: one, after: 8))
        #expect(!bell.mayHaveNews(for: other, after: 8))
        await bell.wait(for: one, after: 8, timeout: .seconds(3_600))
        #expect(bell.waiting == 0)
    }

    @Test func timeAndCancellationEndAWait() async {
        let bell = IntentBell()
        await bell.wait(for: one, after: 0, timeout: .milliseconds(150))
        #expect(bell.waiting == 0)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 { group.addTask { await bell.wait(for: one, after: 0, timeout: .seconds(3_600)) } }
            group.cancelAll()
        }
        #expect(bell.waiting == 0)
    }

    @Test func afterTheEndNobodyWaits() async {
        let bell = IntentBell()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask { await bell.wait(for: HostID(bits: UInt64(number % 7)), after: 0, timeout: .seconds(3_600)) }
            }
            await waiters(100, at: bell)
            bell.close()
        }
        #expect(bell.waiting == 0)
        await bell.wait(for: one, after: 0, timeout: .seconds(3_600))
    }
}
