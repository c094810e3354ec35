import Fleet
import Primitives
import Testing

@Suite struct VolumeLifecycleTests {
    let start = Instant(seconds: 1_000)
    let place = VolumeLifecycle.Attachment(instance: InstanceID(bits: 1), device: "vdb")

    private func available() -> VolumeLifecycle {
        var volume = VolumeLifecycle(createdAt: start)
        _ = volume.observe(.present, generation: 1, reason: nil, at: start)
        return volume
    }

    @Test func itsWholeLife() throws {
        var volume = VolumeLifecycle(createdAt: start)
        #expect(volume.state == .creating && volume.holdsDisk)
        #expect(throws: Refusal.self) { try volume.attach(to: place, at: start) }
        volume = available()
        let attaching = try volume.attach(to: place, at: start)
        let again = try volume.attach(to: place, at: start)
        #expect(attaching && !again && volume.state == .attaching)
        #expect(throws: Refusal.self, "in use") { try volume.delete(at: start) }
        _ = volume.observe(.attached, generation: 2, reason: nil, at: start)
        #expect(volume.state == .inUse)
        let detaching = try volume.detach(at: start)
        #expect(detaching && volume.attachment == place, "until it is known to be out")
        _ = volume.observe(.attached, generation: 2, reason: nil, at: start)
        #expect(volume.state == .detaching, "late news")
        _ = volume.observe(.present, generation: 3, reason: nil, at: start)
        #expect(volume.state == .available && volume.attachment == nil)
        let deleting = try volume.delete(at: start)
        #expect(deleting && volume.holdsDisk)
        _ = volume.observe(.absent, generation: 4, reason: nil, at: start)
        #expect(volume.state == .deleted && !volume.holdsDisk)
    }

    @Test func failureIsKeptAndRetried() throws {
        var volume = VolumeLifecycle(createdAt: start)
        _ = volume.observe(.failed, generation: 1, reason: .init("Server.storage.full", "the pool is full"), at: start)
        #expect(volume.state == .error && volume.reason?.message == "the pool is full" && volume.isStuck(at: start))
        try volume.retry(at: start)
        #expect(volume.state == .creating && volume.generation == 2)
        _ = volume.observe(.failed, generation: 1, reason: nil, at: start)
        #expect(volume.state == .creating)
        _ = volume.observe(.present, generation: 2, reason: nil, at: start)
        _ = volume.observe(.failed, generation: 2, reason: nil, at: start)
        #expect(volume.state == .available, "what has come about is not undone by late news")
    }

    @Test func aFencedHostLetsGo() throws {
        var volume = available()
        _ = try volume.attach(to: place, at: start)
        let kept = volume.hostFenced(at: start)
        #expect(!kept, "it is still wanted there")
        _ = try volume.detach(at: start)
        let freed = volume.hostFenced(at: start)
        #expect(freed && volume.state == .available && volume.attachment == nil)
    }

    /// Any actions and any observations, late and doubled: generations never fall, deleted is final, and no volume that is attached goes away.
    @Test func anySequenceKeepsTheRules() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<1_000 {
            var volume = VolumeLifecycle(createdAt: start)
            for step in 0..<50 {
                let before = volume
                let now = start + .minutes(Int64(step))
                switch Int.random(in: 0..<9, using: &generator) {
                case 0: _ = try? volume.attach(to: place, at: now)
                case 1: _ = try? volume.detach(at: now)
                case 2 where step > 30: _ = try? volume.delete(at: now)
                case 3: try? volume.retry(at: now)
                case 4: _ = volume.hostFenced(at: now)
                default:
                    let seen = VolumeLifecycle.Seen.allCases.randomElement(using: &generator) ?? .present
                    let generation = Int64.random(in: max(1, volume.generation - 1)...volume.generation, using: &generator)
                    _ = volume.observe(seen, generation: generation, reason: nil, at: now)
                }
                #expect(volume.generation >= before.generation)
                if before.state == .deleted { #expect(volume == before) }
                if volume.state == .deleted || volume.state == .available { #expect(volume.attachment == nil) }
                if volume.state == .inUse { #expect(volume.attachment == place) }
            }
        }
    }
}

/// What happens to a volume beside its life: it grows, and its storage loses it.
@Suite struct VolumeChangeTests {
    let start = Instant(seconds: 1_000)

    @Test func growingLeavesTheStateAndSaysWhatKeepsIt() throws {
        var volume = VolumeLifecycle(createdAt: start)
        #expect(throws: Refusal.self) { try volume.amend(at: start) }
        _ = volume.observe(.present, generation: 1, reason: nil, at: start)
        try volume.amend(at: start)
        #expect(volume.state == .available && volume.generation == 2)
        _ = volume.observe(.failed, generation: 2, reason: .init("Server.storage.full", "full"), at: start)
        #expect(volume.state == .available && volume.reason?.message == "full")
        _ = volume.observe(.present, generation: 2, reason: nil, at: start)
        #expect(volume.state == .available && volume.reason == nil)
    }

    @Test func aLostVolumeIsAnErrorWheneverItIsFoundOut() throws {
        for attach in [true, false] {
            var volume = VolumeLifecycle(createdAt: start)
            _ = volume.observe(.absent, generation: 1, reason: nil, at: start)
            #expect(volume.state == .creating, "it was never there")
            _ = volume.observe(.present, generation: 1, reason: nil, at: start)
            if attach { _ = try volume.attach(to: .init(instance: InstanceID(bits: 1), device: "vdb"), at: start) }
            _ = volume.observe(.absent, generation: volume.generation, reason: nil, at: start)
            #expect(volume.state == .error && volume.reason?.code == "Server.VolumeLost")
        }
    }

    @Test func itFollowsItsInstance() throws {
        var volume = VolumeLifecycle(createdAt: start)
        _ = volume.observe(.present, generation: 1, reason: nil, at: start)
        let alone = volume
        volume.follow(at: start)
        #expect(volume == alone, "nobody has it")
        _ = try volume.attach(to: .init(instance: InstanceID(bits: 1), device: "vdb"), at: start)
        _ = volume.observe(.attached, generation: 2, reason: nil, at: start)
        volume.follow(at: start)
        #expect(volume.state == .attaching && volume.generation == 3 && volume.attachment?.device == "vdb")
        _ = volume.observe(.attached, generation: 2, reason: nil, at: start)
        #expect(volume.state == .attaching, "said by the host it left")
        _ = volume.observe(.attached, generation: 3, reason: nil, at: start)
        #expect(volume.state == .inUse)
    }

    @Test func whatWasToBeDeletedIsGoneWithItsHost() throws {
        var volume = VolumeLifecycle(createdAt: start)
        _ = volume.observe(.present, generation: 1, reason: nil, at: start)
        _ = try volume.delete(at: start)
        let changed = volume.hostFenced(at: start)
        let again = volume.hostFenced(at: start)
        #expect(changed && !again && volume.state == .deleted)
    }
}
