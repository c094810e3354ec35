import Fleet
import Primitives
import Testing

@Suite struct StorageLeaseTests {
    private let start = Instant(seconds: 10_000)
    private let lasts = Span.seconds(30)

    private func record(_ number: Int64, epoch: Int64 = 0, guarded: Bool = true, released: Bool = false) -> LeaseWatch.Record {
        LeaseWatch.Record(epoch: epoch, number: number, lasts: lasts, isGuarded: guarded, isReleased: released)
    }

    private func look(_ watch: inout LeaseWatch, _ record: LeaseWatch.Record?, at seconds: Int64, below epoch: Int64 = 1) -> Bool {
        let moment = start + .seconds(seconds)
        return watch.see(record, reading: Period(start: moment, end: moment), below: epoch)
    }

    @Test func aLeaseIsHeldWhileItIsRenewed() {
        var hold = LeaseHold(lasts: lasts)
        #expect(!hold.isHeld(at: start), "not before the first renewal")
        hold.renewed(begun: start)
        #expect(hold.isHeld(at: start + .seconds(17)) && !hold.isHeld(at: start + .seconds(18)))
        hold.renewed(begun: start - .seconds(5))
        #expect(hold.isHeld(at: start + .seconds(17)), "an older renewal that is heard of late takes nothing away")
        hold.taken()
        hold.renewed(begun: start + .seconds(20))
        #expect(!hold.isHeld(at: start + .seconds(20)), "one that was on its way counts no more")
        hold.epochChanged()
        #expect(!hold.isHeld(at: start + .seconds(20)), "the new right has to be written first")
        hold.renewed(begun: start + .seconds(21))
        #expect(hold.isHeld(at: start + .seconds(22)))
    }

    @Test func aLeaseRunsOutFromWhenItWasSeenFirst() {
        var watch = LeaseWatch()
        holds(!look(&watch, record(1), at: 0))
        holds(!look(&watch, record(1), at: 32))
        holds(look(&watch, record(1), at: 33), "thirty seconds and a tenth")
        holds(!look(&watch, record(2), at: 34), "it lives")
        holds(!look(&watch, record(2), at: 66) && look(&watch, record(2), at: 67))
        #expect(watch.expires == start + .seconds(67))
    }

    @Test func whatProvesNothing() {
        var watch = LeaseWatch()
        holds(!look(&watch, nil, at: 0) && !look(&watch, nil, at: 100), "there is none")
        holds(!look(&watch, record(1, guarded: false), at: 101) && !look(&watch, record(1, guarded: false), at: 1_000), "nobody resets it")
        #expect(watch.expires == nil)
        holds(!look(&watch, record(2, epoch: 1), at: 1_001) && !look(&watch, record(2, epoch: 1), at: 2_000), "it has the new right")
        holds(!look(&watch, record(3, epoch: 1, released: true), at: 2_001))
        holds(look(&watch, record(4, guarded: false, released: true), at: 2_002), "the host's own word")
    }

    /// A host with a node that crashes, hangs or loses the storage, and an observer that takes its lease at some moment; each on a clock that
    /// is up to a twentieth off. Whenever the observer has its proof, no guest runs.
    @Test(arguments: 0..<300) func aProofIsNeverWrong(_ seed: Int) {
        var world = LeaseWorld(seed: UInt64(seed))
        while world.now < 400_000 { world.step() }
        // From here on the storage answers and the node works: a lease that was taken ends.
        world.calmDown()
        while world.now < 450_000 { world.step() }
        #expect(!world.ranAfterProof, "seed \(seed)")
        #expect(world.isProven == world.everTaken, "seed \(seed)")
    }
}

/// Time in milliseconds; one step is a tenth of a second. The node's code is not used here beyond `LeaseHold`, the observer's not beyond
/// `LeaseWatch`.
private struct LeaseWorld {
    private var generator: SeededGenerator
    private(set) var now: Int64 = 0
    private let lasts = Span.seconds(20)
    private let hostRate, observerRate: Int64
    let isGuarded: Bool

    // The storage.
    private var written: LeaseWatch.Record?
    private var takenFor: Int64 = 0
    /// A renewal on its way: what, when it was begun on the host's clock, and when it lands.
    private var underWay: (record: LeaseWatch.Record, begun: Instant, lands: Int64)?

    // The host.
    private var hold: LeaseHold
    private var guests = true
    private var isHung = false
    private var number: Int64 = 0
    private var nextRenewal: Int64 = 0
    private var storageAway = false
    private var isCalm = false
    private var lastPat: Int64 = 0

    // The observer.
    private var watch = LeaseWatch()
    private(set) var everTaken = false
    private(set) var isProven = false
    private(set) var ranAfterProof = false

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        hostRate = Int64.random(in: 950...1_050, using: &generator)
        observerRate = Int64.random(in: 950...1_050, using: &generator)
        isGuarded = Int.random(in: 0..<4, using: &generator) > 0
        hold = LeaseHold(lasts: lasts)
    }

    private var hostClock: Instant { Instant(microseconds: now * hostRate) }
    private var observerClock: Instant { Instant(microseconds: now * observerRate) }
    private mutating func chance(_ perMille: Int) -> Bool { !isCalm && Int.random(in: 0..<1_000, using: &generator) < perMille }

    mutating func calmDown() {
        isCalm = true
        (storageAway, isHung) = (false, false)
    }

    mutating func step() {
        now += 100
        if chance(3) { storageAway.toggle() }
        // Without a watchdog a node that hangs may leave its guests running: then nothing but its own word proves anything.
        if chance(1) { isHung.toggle() }
        if !isHung { host() }
        // The kernel's watchdog: three fifths of the lease after the last pat, on the host's clock.
        if isGuarded, lastPat > 0, (now - lastPat) * hostRate > lasts.microseconds * 3 / 5 { guests = false }
        land()
        observer()
        if isProven, guests { ranAfterProof = true }
    }

    private mutating func host() {
        if now >= nextRenewal, underWay == nil, !hold.isTaken {
            number += 1
            let record = LeaseWatch.Record(epoch: 0, number: number, lasts: lasts, isGuarded: isGuarded && lastPat > 0, isReleased: false)
            underWay = (record, hostClock, now + Int64.random(in: 0...6_000, using: &generator))
            nextRenewal = now + 4_000
        }
        guard !hold.isHeld(at: hostClock), lastPat > 0 || hold.isTaken else { return }
        guests = false
        if lastPat > 0 { lastPat = now }
        if hold.isTaken, !storageAway, written?.isReleased != true {
            written = LeaseWatch.Record(epoch: 0, number: number, lasts: lasts, isGuarded: isGuarded, isReleased: true)
        }
    }

    private mutating func land() {
        guard let (record, begun, lands) = underWay, now >= lands, !storageAway else { return }
        underWay = nil
        // Written, then looked at who took it; a renewal that began before a taking may land after it.
        written = record
        if isHung { return }
        if takenFor > 0 { return hold.taken() }
        hold.renewed(begun: begun)
        if (hostClock - begun).microseconds < lasts.microseconds / 5 { lastPat = now }
    }

    private mutating func observer() {
        guard now % 1_000 == 0, !storageAway else { return }
        if now > 100_000, chance(20) {
            takenFor = 1
            everTaken = true
        }
        guard takenFor > 0 else {
            _ = watch.see(written, reading: Period(start: observerClock, end: observerClock), below: 0)
            return
        }
        if watch.see(written, reading: Period(start: observerClock, end: observerClock), below: 1) { isProven = true }
    }
}
