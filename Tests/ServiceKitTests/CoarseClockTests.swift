import Primitives
import ServiceKit
import Synchronization
import Testing

@Suite struct CoarseClockTests {
    @Test func anAlarmRingsOnceAndIsForgotten() async throws {
        let clock = CoarseClock()
        let sleeper = Sleeper()
        let rung = Mutex(0)
        let alarm = clock.setAlarm(in: .milliseconds(150)) {
            rung.withLock { $0 += 1 }
            sleeper.wake()
        }
        #expect(clock.count == 1)
        let begun = ContinuousClock.now
        await sleeper.sleep()
        #expect(ContinuousClock.now - begun >= .milliseconds(140))
        #expect(!clock.cancel(alarm))
        #expect(clock.count == 0)
        try await clock.sleep(for: .milliseconds(300))
        #expect(rung.withLock { $0 } == 1)
    }

    @Test func whatIsCancelledIsGoneAtOnceAndNeverRings() async throws {
        let clock = CoarseClock()
        let rung = Mutex(0)
        let alarms = (0..<100).map { number in clock.setAlarm(in: .milliseconds(100 + number)) { rung.withLock { $0 += 1 } } }
        for alarm in alarms { #expect(clock.cancel(alarm)) }
        #expect(clock.count == 0)
        try await clock.sleep(for: .milliseconds(400))
        #expect(rung.withLock { $0 } == 0)
    }

    @Test func timeThatHasPassedRingsWithTheNextTick() async throws {
        try await CoarseClock().sleep(for: .zero)
        try await CoarseClock().sleep(for: .seconds(-5))
    }

    @Test func aSleepEndsWithItsTask() async throws {
        let clock = CoarseClock()
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    do {
                        try await clock.sleep(for: .seconds(3_600))
                        return false
                    } catch { return true }
                }
            }
            group.cancelAll()
            for await wasCancelled in group { #expect(wasCancelled) }
        }
        #expect(clock.count == 0)
    }

    @Test func whoIsWokenFirstDoesNotFallAsleep() async {
        let sleeper = Sleeper()
        sleeper.wake()
        await sleeper.sleep()
    }

    /// Alarms, cancellations and waking in all orders: everybody wakes, nothing stays.
    @Test func everybodyWakes() async throws {
        let clock = CoarseClock()
        var generator = SeededGenerator(seed: 7)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<2_000 {
                let (time, wakes) = (Int64(generator.next() % 300), generator.next() % 3)
                group.addTask {
                    let sleeper = Sleeper()
                    let alarm = clock.setAlarm(in: .milliseconds(time)) { sleeper.wake() }
                    if wakes == 0 { clock.cancel(alarm) }
                    if wakes < 2 { sleeper.wake() }
                    await sleeper.sleep()
                    clock.cancel(alarm)
                }
            }
        }
        #expect(clock.count == 0)
    }
}
