import CloudAPI
import Drivers
import Foundation
import Node
import Primitives
import Store
import TestSupport
import Testing

private let terms = MeterTerms(contract: ContractID(bits: 1), resources: Resources(milliCPU: 1_000))
private let start = Instant(seconds: 1_767_225_600)
private let minute = Span.minutes(1)

@Suite struct MeterCutTests {
    private func cut(_ known: MeteredRun?, _ seen: SeenRun?, at seconds: Int64, room: Int = 100) -> (MeteredRun?, [ClosedRange<Int64>]) {
        let (run, stretches) = cutMeter(known, seen, terms, now: start + .seconds(seconds), interval: minute, room: room)
        return (run, stretches.map { ($0.period.start - start).seconds...($0.period.end - start).seconds })
    }

    @Test func cutsAtMultiplesOfTheInterval() {
        let seen = SeenRun(executed: start + .seconds(10), ended: nil)
        let (first, none) = cut(nil, seen, at: 50)
        #expect(none.isEmpty && first?.meteredTo == seen.executed)
        let (second, stretches) = cut(first, seen, at: 185)
        #expect(stretches == [10...60, 60...120, 120...180])
        #expect(cut(second, seen, at: 190).1.isEmpty)
        let (closed, rest) = cut(second, SeenRun(executed: seen.executed, ended: start + .seconds(200)), at: 300)
        #expect(rest == [180...200] && closed?.isClosed == true)
        #expect(cut(closed, seen, at: 400).1.isEmpty, "a look from before the end comes late")
        #expect(cut(closed, SeenRun(executed: seen.executed, ended: start + .seconds(200)), at: 400).1.isEmpty)
    }

    @Test func aNewRunBeginsWhereItBegan() {
        let (closed, _) = cut(nil, SeenRun(executed: start, ended: start + .seconds(30)), at: 31)
        let (run, stretches) = cut(closed, SeenRun(executed: start + .seconds(100), ended: nil), at: 130)
        #expect(stretches == [100...120] && run?.executed == start + .seconds(100))
        // Stopped and started within a second.
        let (short, _) = cut(nil, SeenRun(executed: start, ended: start + .seconds(1)), at: 1)
        let (next, more) = cut(short, SeenRun(executed: start + .milliseconds(1_500), ended: nil), at: 60)
        #expect(more == [1...60] && next?.isClosed == false)
    }

    @Test func aRunAdoptedFromTheKernelsRecordIsTheSame() {
        let (known, _) = cut(nil, SeenRun(executed: start + .seconds(5), ended: nil), at: 61)
        let (run, stretches) = cut(known, SeenRun(executed: start + .milliseconds(4_990), ended: nil), at: 121)
        #expect(stretches == [60...120] && run?.executed == start + .seconds(5))
    }

    @Test func newTermsBeginNow() {
        let seen = SeenRun(executed: start, ended: nil)
        let known = cut(nil, seen, at: 10).0
        let other = MeterTerms(contract: ContractID(bits: 2), resources: terms.resources)
        let (run, stretches) = cutMeter(known, seen, other, now: start + .seconds(90), interval: minute, room: 100)
        #expect(stretches.map(\.terms) == [terms, terms] && stretches.last?.period.end == start + .seconds(90))
        #expect(run?.terms == other)
        let (_, later) = cutMeter(run, seen, other, now: start + .seconds(121), interval: minute, room: 100)
        #expect(later == [MeterStretch(period: Period(start: start + .seconds(90), end: start + .seconds(120)), terms: other)])
    }

    @Test func aClockThatGoesBackMetersNothingTwice() {
        let seen = SeenRun(executed: start, ended: nil)
        let known = cut(nil, seen, at: 300).0
        #expect(cut(known, seen, at: 200).1.isEmpty)
        let (run, stretches) = cut(known, SeenRun(executed: start + .seconds(100), ended: nil), at: 370)
        #expect(stretches == [300...360], "a run that claims to begin in metered time")
        #expect(run?.meteredTo == start + .seconds(360))
    }

    /// However often anybody looks, and whoever looks, the stretches tile the runs: no hole, no overlap.
    @Test(arguments: 0..<40 as Range<UInt64>) func stretchesTileTheRuns(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var moment = start
        var run: MeteredRun?
        var all: [MeterStretch] = []
        var truth: [Period] = []
        func look(_ seen: SeenRun) {
            repeat {
                let before = all.count
                let (next, stretches) = cutMeter(run, seen, terms, now: moment, interval: minute, room: 3)
                run = next
                all += stretches
                if all.count - before < 3 { return }
            } while true
        }
        for _ in 0..<30 {
            moment = moment + .seconds(Int64.random(in: 3...200, using: &generator))
            let executed = moment
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                moment = moment + .milliseconds(Int64.random(in: 0...400_000, using: &generator))
                if Bool.random(using: &generator) { look(SeenRun(executed: executed, ended: nil)) }
            }
            moment = moment + .milliseconds(Int64.random(in: 1...5_000, using: &generator))
            truth.append(Period(start: executed, end: moment))
            for _ in 0..<Int.random(in: 1...3, using: &generator) { look(SeenRun(executed: executed, ended: truth[truth.count - 1].end)) }
            if Bool.random(using: &generator) { look(SeenRun(executed: executed, ended: nil)) }
        }
        #expect(all.allSatisfy { $0.period.length > .zero && $0.period.length <= minute })
        var tiles: [Period] = []
        for stretch in all {
            if let last = tiles.last, last.end == stretch.period.start, !truth.contains(where: { $0.start == stretch.period.start }) {
                tiles[tiles.count - 1].end = stretch.period.end
            } else {
                tiles.append(stretch.period)
            }
        }
        #expect(tiles == truth)
    }
}

@Suite struct MeterJournalTests {
    private let host = HostID(bits: 3)

    private func withJournal(_ body: (MeterJournal, @Sendable () async throws -> MeterJournal) async throws -> Void) async throws {
        let folder = try TemporaryDirectory("meters")
        let database = try openDatabase("sqlite:" + folder.file("node.db"))
        try await database.migrate(Schema.migrations)
        let again: @Sendable () async throws -> MeterJournal = {
            let journal = MeterJournal(database, interval: minute, bound: 1_000)
            try await journal.load()
            return journal
        }
        try await body(try await again(), again)
        await database.close()
        withExtendedLifetime(folder) {}
    }

    private func running(_ number: UInt64 = 1, since seconds: Int64 = 0) -> MachineObservation {
        MachineObservation(instance: instance(number), state: .running, executed: start + .seconds(seconds))
    }

    @discardableResult private func record(_ journal: MeterJournal, _ seen: MachineObservation, at seconds: Int64) async throws -> Int {
        try await journal.record(seen, contract: terms.contract, resources: terms.resources, at: start + .seconds(seconds))
    }

    /// Connect was asked where it is; before its answer was heard, it had taken more.
    @Test func anOldAnswerDoesNotNumberTwice() async throws {
        try await withJournal { journal, _ in
            try await journal.align(host: host, stored: 0)
            let mark = journal.mark
            #expect(try await record(journal, running(), at: 185) == 3)
            try await journal.acknowledge(upTo: 3)
            try await journal.align(host: host, stored: 0, asOf: mark)
            #expect(try await record(journal, running(), at: 245) == 1)
            #expect(try await journal.unacknowledged(limit: 10).map(\.sequence) == [4])
            try await journal.align(host: host, stored: 1, asOf: journal.mark)
            #expect(try await journal.unacknowledged(limit: 10).map(\.sequence) == [2], "a connect that has lost something")
        }
    }

    /// As one looks while a hypervisor is being started, or after an end that nobody saw.
    @Test func aRunWithoutAKnownEndIsNotOver() async throws {
        try await withJournal { journal, _ in
            try await journal.align(host: host, stored: 0)
            let between = MachineObservation(instance: instance(1), state: .stopped, executed: start)
            #expect(try await record(journal, between, at: 1) == 0)
            #expect(try await record(journal, running(), at: 121) == 2)
            #expect(try await record(journal, between, at: 130) == 0)
            #expect(try await record(journal, running(), at: 185) == 1)
        }
    }

    /// Sent to another host that did not take it: the time it stood still is not metered, the time after is.
    @Test func aMachineThatStaysAfterAllIsMeteredOn() async throws {
        try await withJournal { journal, _ in
            try await journal.align(host: host, stored: 0)
            #expect(try await record(journal, running(), at: 65) == 1)
            let sent = MachineObservation(
                instance: instance(1), state: .stopped, executed: start, ended: start + .seconds(80), cause: .moved)
            #expect(try await record(journal, sent, at: 82) == 1)
            #expect(try await record(journal, running(since: 90), at: 125) == 1)
            let periods = try await journal.unacknowledged(limit: 10).map(\.period)
            #expect(periods.map(\.start) == [start, start + .seconds(60), start + .seconds(90)])
            #expect(periods.map(\.end) == [start + .seconds(60), start + .seconds(80), start + .seconds(120)])
        }
    }

    @Test func numbersWithoutGapsUntilAcknowledged() async throws {
        try await withJournal { journal, again in
            #expect(try await record(journal, running(), at: 600) == 0, "nothing is numbered before connect has said from where on")
            try await journal.align(host: host, stored: 41)
            #expect(try await record(journal, running(), at: 185) == 3)
            #expect(try await record(journal, running(2, since: 60), at: 185) == 2)
            let readings = try await journal.unacknowledged(limit: 100)
            #expect(readings.map(\.sequence) == [42, 43, 44, 45, 46] && readings.allSatisfy { $0.host == host })
            #expect(readings[0].period == Period(start: start, end: start + minute))
            try await journal.acknowledge(upTo: 43)
            let later = try await again()
            #expect(try await record(later, running(), at: 250) == 1, "goes on where it was")
            #expect(try await later.unacknowledged(limit: 100).map(\.sequence) == [44, 45, 46, 47])
            #expect(try await later.unacknowledged(limit: 2).map(\.sequence) == [44, 45])
        }
    }

    @Test func twoWritersAtOnceMeterOnce() async throws {
        try await withJournal { journal, again in
            try await journal.align(host: host, stored: 0)
            let other = try await again()
            let seen = running()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<40 {
                    group.addTask { try await record(number % 2 == 0 ? journal : other, seen, at: Int64(60 * (number / 2 + 1))) }
                }
                try await group.waitForAll()
            }
            let readings = try await journal.unacknowledged(limit: 100)
            #expect(readings.count == 20 && readings.map(\.sequence) == Array(1...20))
            #expect(zip(readings, readings.dropFirst()).allSatisfy { $0.period.end == $1.period.start })
        }
    }

    @Test func meetsAConnectThatLostOrKeptMore() async throws {
        try await withJournal { journal, again in
            try await journal.align(host: host, stored: 10)
            try await record(journal, running(), at: 300)
            // The acknowledgement was lost: connect has 12.
            try await journal.align(host: host, stored: 12)
            #expect(try await journal.unacknowledged(limit: 10).map(\.sequence) == [13, 14, 15])
            // Connect was restored from before: what is here follows on.
            try await journal.align(host: host, stored: 7)
            #expect(try await journal.unacknowledged(limit: 10).map(\.sequence) == [8, 9, 10])
            try await record(journal, running(), at: 360)
            #expect(try await journal.unacknowledged(limit: 10).map(\.sequence) == [8, 9, 10, 11])
            // All acknowledged, then connect has fewer again.
            try await journal.align(host: host, stored: 11)
            try await journal.align(host: host, stored: 5)
            try await record(journal, running(), at: 420)
            #expect(try await again().unacknowledged(limit: 10).map(\.sequence) == [6])
        }
    }

    @Test func aLongOutageDoesNotFillTheDisk() async throws {
        try await withJournal { journal, _ in
            try await journal.align(host: host, stored: 0)
            try await record(journal, running(), at: 60 * 600)
            try await record(journal, running(), at: 60 * 1_200)
            let full = try await journal.unacknowledged(limit: 5_000).count
            #expect(full >= 1_000)
            #expect(try await record(journal, running(), at: 60 * 2_000) == 0, "running machines wait")
            try await journal.acknowledge(upTo: 900)
            #expect(try await record(journal, running(), at: 60 * 2_000) > 0)
            while try await record(journal, running(), at: 60 * 2_000) > 0 { try await journal.acknowledge(upTo: 100_000) }
            try await journal.acknowledge(upTo: 100_000)
            let stopped = MachineObservation(
                instance: instance(1), state: .stopped, executed: start, ended: start + .seconds(60 * 2_000 + 5), cause: .guest)
            #expect(try await record(journal, stopped, at: 60 * 2_001) == 1)
            #expect(try await journal.unacknowledged(limit: 10).first?.period.start == start + .minutes(2_000), "nothing was skipped")
        }
    }

    @Test(.enabled(if: SmallDisk.isAvailable, "needs root")) func aFullDiskDelaysAndLosesNothing() async throws {
        try await withSmallDisk(mebibytes: 4) { disk in
            let database = try openDatabase("sqlite:" + disk.path + "/node.db")
            try await database.migrate(Schema.migrations)
            let journal = MeterJournal(database, interval: minute)
            try await journal.align(host: host, stored: 0)
            try await record(journal, running(), at: 60)
            for size in [2, 1] { try? disk.addBallast(mebibytes: size) }
            try? Data(count: 1 << 20).write(to: URL(fileURLWithPath: disk.path + "/more"))
            var failures = 0
            for minutes in 2..<400 as Range<Int64> {
                do { try await record(journal, running(), at: minutes * 60) } catch { failures += 1 }
            }
            try disk.removeBallast()
            try? FileManager.default.removeItem(atPath: disk.path + "/more")
            try await record(journal, running(), at: 400 * 60)
            let readings = try await journal.unacknowledged(limit: 1_000)
            #expect(failures > 0, "the disk was not full: nothing was tested")
            #expect(readings.map(\.sequence) == Array(1...400))
            #expect(readings.first?.period.start == start && readings.last?.period.end == start + .minutes(400))
            #expect(zip(readings, readings.dropFirst()).allSatisfy { $0.period.end == $1.period.start })
            await database.close()
        }
    }
}
