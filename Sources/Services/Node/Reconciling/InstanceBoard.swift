import CloudAPI
import Drivers
import Primitives
import Synchronization

/// Everything the node knows of its instances, in memory. The tables have what must outlive it; the drivers have the rest.
///
/// All changes are synchronous: nobody decides on one state and writes to another.
final class InstanceBoard: Sendable {
    struct Entry: Sendable {
        var intent: InstanceIntent
        var machine: MachineObservation
        var ranGeneration: Int64
        var rebootsDone: Int64
        var removedGeneration: Int64?
        /// The step that failed last, until one succeeds.
        var failure: Refusal?
        var failures = 0
        /// What this host says of its part in a live move.
        var move: MoveReport?
        var moveNoted: Instant?
        var work = BoardWork()

        var sight: InstanceSight {
            InstanceSight(
                machine: machine.state, cause: machine.cause, ranGeneration: ranGeneration, rebootsDone: rebootsDone,
                removedGeneration: removedGeneration)
        }
    }

    private let entries = Mutex<[InstanceID: Entry]>([:])
    /// Instances whose next step is to be looked for.
    let wakeups: AsyncStream<InstanceID>
    private let wake: AsyncStream<InstanceID>.Continuation
    /// Told when there is something to report.
    let news = Signal()

    init() { (wakeups, wake) = AsyncStream.makeStream() }

    subscript(instance: InstanceID) -> Entry? { entries.withLock { $0[instance] } }
    var all: [Entry] { entries.withLock { $0.values.sorted { $0.intent.instance < $1.intent.instance } } }

    /// The instance that has an address on a network, for the metadata service.
    func holder(of address: String, on network: NetworkID?) -> InstanceIntent? {
        entries.withLock {
            $0.values.first { $0.intent.address == address && $0.intent.network == network && $0.intent.desired != .absent }?.intent
        }
    }

    // MARK: - What is wanted

    /// Takes intents, refusing those older than what is known. Returns those taken.
    func accept(_ intents: [InstanceIntent], machines: [InstanceID: MachineObservation]) -> [InstanceIntent] {
        let taken = entries.withLock { entries in
            intents.filter { intent in
                if let known = entries[intent.instance] {
                    guard intent.generation >= known.intent.generation, intent != known.intent else { return false }
                    entries[intent.instance]?.intent = intent
                    if intent.move?.attempt != known.intent.move?.attempt { entries[intent.instance]?.move = nil }
                    if intent.generation > known.intent.generation { entries[intent.instance]?.clearFailure() }
                    entries[intent.instance]?.work.noteChanged()
                } else {
                    let machine = machines[intent.instance] ?? MachineObservation(instance: intent.instance, state: .absent)
                    entries[intent.instance] = Entry(intent: intent, machine: machine, ranGeneration: 0, rebootsDone: intent.reboots)
                }
                return true
            }
        }
        for intent in taken { wake.yield(intent.instance) }
        if !taken.isEmpty { news.set() }
        return taken
    }

    /// Puts back what the tables remember.
    func restore(_ intent: InstanceIntent, ranGeneration: Int64, rebootsDone: Int64, machine: MachineObservation) {
        entries.withLock {
            $0[intent.instance] = Entry(intent: intent, machine: machine, ranGeneration: ranGeneration, rebootsDone: rebootsDone)
        }
        wake.yield(intent.instance)
    }

    func forget(_ instance: InstanceID, version: Int) {
        entries.withLock { if $0[instance]?.work.version == version { $0[instance] = nil } }
    }

    // MARK: - What is so

    func see(_ machine: MachineObservation) {
        let isNews = change(machine.instance) { entry in
            guard entry.machine != machine else { return false }
            entry.machine = machine
            return true
        }
        if isNews { wake.yield(machine.instance) }
    }

    func noteRan(_ instance: InstanceID, generation: Int64, reboots: Int64) {
        _ = change(instance) { entry in
            entry.ranGeneration = max(entry.ranGeneration, generation)
            entry.rebootsDone = max(entry.rebootsDone, reboots)
            return true
        }
    }

    func noteRemoved(_ instance: InstanceID, generation: Int64) {
        _ = change(instance) { entry in
            entry.removedGeneration = generation
            entry.machine = MachineObservation(instance: instance, state: .absent)
            return true
        }
    }

    /// How far a copy is becomes news every now and then; everything else at once.
    func noteMove(_ instance: InstanceID, _ report: MoveReport, at now: Instant) {
        _ = change(instance) { entry in
            guard entry.move != report else { return false }
            let isSame = entry.move?.said == report.said && entry.move?.attempt == report.attempt
            if isSame, let noted = entry.moveNoted, now - noted < .seconds(1) { return false }
            (entry.move, entry.moveNoted) = (report, now)
            return true
        }
    }

    private func change(_ instance: InstanceID, _ edit: (inout Entry) -> Bool) -> Bool {
        let changed = entries.withLock { entries in
            guard var entry = entries[instance], edit(&entry) else { return false }
            entry.work.noteChanged()
            entries[instance] = entry
            return true
        }
        if changed { news.set() }
        return changed
    }

    // MARK: - Work

    /// True when the caller is to take the steps of this instance; else whoever does is told to look again.
    func begin(_ instance: InstanceID) -> Bool {
        entries.withLock { $0[instance]?.work.begin() ?? false }
    }

    /// True when the work is over; false when something changed meanwhile.
    func end(_ instance: InstanceID) -> Bool {
        entries.withLock { $0[instance]?.work.end() ?? true }
    }

    func succeeded(_ instance: InstanceID) {
        _ = change(instance) { entry in
            guard entry.failure != nil else { return false }
            entry.clearFailure()
            return true
        }
    }

    /// Returns how often in a row it has failed.
    func failed(_ instance: InstanceID, _ refusal: Refusal) -> Int {
        _ = change(instance) { entry in
            entry.failures += 1
            entry.failure = refusal
            return true
        }
        return self[instance]?.failures ?? 1
    }

    func wakeUp(_ instance: InstanceID) { wake.yield(instance) }

    // MARK: - Reporting

    func observations(at now: Instant, onlyNews: Bool, limit: Int) -> [(version: Int, observation: InstanceObservation)] {
        let chosen = all.filter { !onlyNews || $0.work.isNews }.prefix(limit)
        return chosen.map { ($0.work.version, $0.observation(at: now)) }
    }

    /// Of what is as it should be, for connect to compare with what it knows.
    func settled() -> SetDigest {
        entries.withLock { entries in
            var digest = SetDigest()
            for entry in entries.values {
                switch observedState(entry.intent, entry.sight, failed: entry.failure != nil) {
                case .running where entry.intent.desired == .running:
                    digest.insert(entry.intent.instance.bits, UInt64(bitPattern: entry.intent.generation), 1)
                case .stopped where entry.intent.desired == .stopped:
                    digest.insert(entry.intent.instance.bits, UInt64(bitPattern: entry.intent.generation), 2)
                default: break
                }
            }
            return digest
        }
    }

    func noteReported(_ instance: InstanceID, version: Int) {
        entries.withLock { $0[instance]?.work.noteReported(version) }
    }
}

extension InstanceBoard.Entry {
    fileprivate mutating func clearFailure() {
        failure = nil
        failures = 0
    }

    func observation(at now: Instant) -> InstanceObservation {
        let state = observedState(intent, sight, failed: failure != nil)
        var reason = failure.map { StateReason(code: "Server." + $0.rule, message: $0.message) }
        if reason == nil, let trouble = machine.trouble { reason = StateReason(code: "Server.Trouble", message: trouble) }
        return InstanceObservation(
            instance: intent.instance, generation: intent.generation, state: state, reason: reason,
            executed: sight.isAlive ? machine.executed : nil, at: now, move: intent.move.flatMap { _ in move })
    }
}
