import CloudAPI
import Drivers
import Fleet
import Primitives
import Synchronization

/// Everything the node knows of its volumes, in memory. The tables have what must outlive it; the drivers have the rest.
///
/// All changes are synchronous: nobody decides on one state and writes to another.
final class VolumeBoard: Sendable {
    struct Entry: Sendable {
        var intent: VolumeIntent
        /// Its file was there once: one that is not there any more is lost, and not made anew.
        var isMade: Bool
        /// The generation for which this process has done everything.
        var doneGeneration: Int64 = 0
        /// The run of the machine that had it then; nil: the machine was off.
        var doneRun: Instant?
        /// A machine that is to have it has another run than `doneRun`.
        var isMachineChanged = false
        var isLost = false
        var sizeMiB: Int64?
        /// The step that failed last, until one succeeds.
        var failure: Refusal?
        var failures = 0
        var work = BoardWork()

        var decision: VolumeDecision {
            let desired: VolumeDecision.Desired =
                switch intent.desired {
                case .available: .available
                case .attached: .attached
                case .absent: .absent
                case .released: .released
                }
            return VolumeDecision(
                desired: desired, generation: intent.generation, doneGeneration: doneGeneration, isMachineChanged: isMachineChanged,
                isLost: isLost, hasFailed: failure != nil)
        }

        /// Nothing of it is left here, or it is none of this host's business any more.
        var isGone: Bool { (intent.desired == .absent || intent.desired == .released) && doneGeneration == intent.generation }

        fileprivate mutating func clearFailure() {
            failure = nil
            failures = 0
            isLost = false
        }
    }

    private let entries = Mutex<[VolumeID: Entry]>([:])
    /// Volumes whose next step is to be looked for.
    let wakeups: AsyncStream<VolumeID>
    private let wake: AsyncStream<VolumeID>.Continuation
    /// Told when there is something to report.
    private let news: Signal

    init(news: Signal) {
        (wakeups, wake) = AsyncStream.makeStream()
        self.news = news
    }

    subscript(volume: VolumeID) -> Entry? { entries.withLock { $0[volume] } }
    var all: [Entry] { entries.withLock { $0.values.sorted { $0.intent.volume < $1.intent.volume } } }

    /// Those that an instance is to have, in the order of their places.
    func wanted(by instance: InstanceID) -> [Entry] {
        all.filter { $0.intent.desired == .attached && $0.intent.instance == instance }.sorted {
            ($0.intent.slot ?? 0) < ($1.intent.slot ?? 0)
        }
    }

    // MARK: - What is wanted

    /// Takes intents; those older than what is known were refused before.
    func accept(_ intents: [VolumeIntent]) {
        entries.withLock { entries in
            for intent in intents {
                var entry = entries[intent.volume] ?? Entry(intent: intent, isMade: false)
                if intent.generation > entry.intent.generation { entry.clearFailure() }
                // The same generation can mean something else: a host that was away hears that a volume is gone.
                if intent.desired != entry.intent.desired { entry.doneGeneration = 0 }
                entry.intent = intent
                entry.work.noteChanged()
                entries[intent.volume] = entry
            }
        }
        for intent in intents { wake.yield(intent.volume) }
        news.set()
    }

    /// Puts back what the tables remember.
    func restore(_ intent: VolumeIntent, isMade: Bool) {
        entries.withLock { $0[intent.volume] = Entry(intent: intent, isMade: isMade) }
        wake.yield(intent.volume)
    }

    func forget(_ volume: VolumeID, version: Int) {
        entries.withLock { if $0[volume]?.work.version == version { $0[volume] = nil } }
    }

    // MARK: - What is so

    /// A machine that has another run is to have its volumes plugged in again.
    func see(_ machine: MachineObservation) {
        touch(machine) { run, entry in run != entry.doneRun }
    }

    /// Something happened to a machine: it may have given a volume back.
    func recheck(_ machine: MachineObservation) {
        touch(machine) { _, _ in true }
    }

    private func touch(_ machine: MachineObservation, _ isChanged: (_ run: Instant, _ entry: Entry) -> Bool) {
        let run = machine.state == .running || machine.state == .paused ? machine.executed : nil
        let touched = entries.withLock { entries in
            entries.values.filter { entry in
                guard entry.intent.instance == machine.instance, entry.intent.desired == .attached else { return false }
                if let run, isChanged(run, entry) { entries[entry.intent.volume]?.isMachineChanged = true }
                return true
            }.map(\.intent.volume)
        }
        for volume in touched { wake.yield(volume) }
    }

    func noteMade(_ volume: VolumeID, _ isMade: Bool) { entries.withLock { $0[volume]?.isMade = isMade } }

    /// A step begins that takes the machine as it is now into account: what happens to it from here on is news.
    func noteLooking(_ volume: VolumeID) { entries.withLock { $0[volume]?.isMachineChanged = false } }

    /// A step has come to its end.
    func noteDone(_ intent: VolumeIntent, sizeMiB: Int64?, run: Instant? = nil) {
        change(intent.volume) { entry in
            entry.clearFailure()
            entry.doneGeneration = max(entry.doneGeneration, intent.generation)
            entry.doneRun = run
            entry.sizeMiB = sizeMiB
        }
    }

    /// Returns how often in a row it has failed.
    func noteFailed(_ volume: VolumeID, _ refusal: Refusal, isLost: Bool) -> Int {
        change(volume) { entry in
            entry.failures += 1
            entry.failure = refusal
            entry.isLost = isLost
        }
        return self[volume]?.failures ?? 1
    }

    private func change(_ volume: VolumeID, _ edit: (inout Entry) -> Void) {
        entries.withLock { entries in
            guard var entry = entries[volume] else { return }
            edit(&entry)
            entry.work.noteChanged()
            entries[volume] = entry
        }
        news.set()
    }

    // MARK: - Work

    /// True when the caller is to take the steps of this volume; else whoever does is told to look again.
    func begin(_ volume: VolumeID) -> Bool {
        entries.withLock { $0[volume]?.work.begin() ?? false }
    }

    /// True when the work is over; false when something changed meanwhile.
    func end(_ volume: VolumeID) -> Bool {
        entries.withLock { $0[volume]?.work.end() ?? true }
    }

    // MARK: - Reporting

    func observations(at now: Instant, onlyNews: Bool, limit: Int) -> [(version: Int, observation: VolumeObservation)] {
        all.filter { !onlyNews || $0.work.isNews }.compactMap { entry in
            entry.observation(at: now).map { (entry.work.version, $0) }
        }.prefix(limit).map { $0 }
    }

    func noteReported(_ volume: VolumeID, version: Int) {
        entries.withLock { $0[volume]?.work.noteReported(version) }
    }
}

extension VolumeBoard.Entry {
    /// What connect is told; nil: nothing yet.
    func observation(at now: Instant) -> VolumeObservation? {
        let state: VolumeObserved
        switch decision.seen {
        case .absent: state = .absent
        case .present: state = .present
        case .attached: state = .attached
        case .failed: state = .failed
        case nil: return nil
        }
        return VolumeObservation(
            volume: intent.volume, generation: intent.generation, state: state,
            reason: failure.map { StateReason(code: "Server." + $0.rule, message: $0.message) }, sizeMiB: sizeMiB, at: now)
    }
}
