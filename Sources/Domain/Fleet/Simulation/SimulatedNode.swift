import Primitives

/// What is wanted of one instance on one host.
struct SimulatedIntent: Hashable, Sendable {
    var instance: InstanceID
    var desired: InstanceLifecycle.Desired
    var generation: Int64
    var reboots: Int64
}

struct SimulatedPage: Hashable, Sendable {
    var revision: Int64
    var isFull: Bool
    var intents: [SimulatedIntent]
}

struct SimulatedObservation: Hashable, Sendable {
    var instance: InstanceID
    var seen: InstanceLifecycle.Seen
    var generation: Int64
    /// Of what the node knows of it; comes back in the acknowledgement.
    var version: Int
}

/// What passes between a host and connect.
enum SimulatedMessage: Hashable, Sendable {
    case poll(after: Int64, poll: Int)
    case page(SimulatedPage, poll: Int)
    case report([SimulatedObservation], report: Int)
    case acknowledged([SimulatedObservation], report: Int)
}

/// A host in a simulation: its machines and its agent.
struct SimulatedNode: Sendable {
    struct Entry: Hashable, Sendable {
        // On the host's disk.
        var intent: SimulatedIntent
        var isAlive = false
        var wasSwitchedOffByGuest = false
        var ranGeneration: Int64 = 0
        var rebootsDone: Int64 = 0
        var removedGeneration: Int64?
        // In the agent's memory.
        var hasFailed = false
        var failures = 0
        /// Which step is under way; nil: none.
        var work: Int?
        var version = 1
        var reported = 0

        var decision: MachineDecision {
            MachineDecision(
                desired: intent.desired, generation: intent.generation, reboots: intent.reboots, isAlive: isAlive,
                wasSwitchedOffByGuest: wasSwitchedOffByGuest, ranGeneration: ranGeneration, rebootsDone: rebootsDone,
                removedGeneration: removedGeneration, hasFailed: hasFailed)
        }
    }

    let id: HostID
    let isSlow: Bool
    private(set) var entries: [InstanceID: Entry] = [:]
    private(set) var isUp = true
    private(set) var revision: Int64 = 0
    private(set) var poll = 0
    private(set) var report: Int?
    private var numbers = 0
    var partitionedUntil = Instant.zero
    /// Crashes that are not over yet.
    var absences = 0

    init(id: HostID, isSlow: Bool) {
        self.id = id
        self.isSlow = isSlow
    }

    private mutating func number() -> Int {
        numbers += 1
        return numbers
    }

    // MARK: Intents

    mutating func nextPoll() -> SimulatedMessage {
        poll = number()
        return .poll(after: revision, poll: poll)
    }

    /// Returns the instances to be looked at; nil when the page answers an older poll.
    mutating func take(_ page: SimulatedPage, poll: Int) -> [InstanceID]? {
        guard poll == self.poll, page.revision >= revision || page.isFull else { return nil }
        // An answer that comes twice is taken once.
        self.poll = 0
        revision = page.revision
        var fresh: [InstanceID] = []
        for intent in page.intents {
            guard let known = entries[intent.instance] else {
                // What was confirmed gone is not taken up again.
                entries[intent.instance] = Entry(intent: intent)
                fresh.append(intent.instance)
                continue
            }
            guard intent.generation > known.intent.generation else { continue }
            entries[intent.instance]?.intent = intent
            entries[intent.instance]?.version += 1
            fresh.append(intent.instance)
        }
        if page.isFull { forgetUnlisted(page) }
        return fresh
    }

    private mutating func forgetUnlisted(_ page: SimulatedPage) {
        let listed = Set(page.intents.map(\.instance))
        for (id, entry) in entries where !listed.contains(id) {
            if entry.intent.desired == .absent, entry.removedGeneration != nil || !entry.isAlive { entries[id] = nil }
        }
    }

    // MARK: Work

    /// Begins the next step of an instance, unless one is under way or there is nothing to do. Returns its number.
    mutating func begin(_ instance: InstanceID) -> Int? {
        guard isUp, let entry = entries[instance], entry.work == nil, entry.decision.next != nil else { return nil }
        let work = number()
        entries[instance]?.work = work
        return work
    }

    /// A step ends, well or not. Returns whether it was still under way.
    mutating func end(_ work: Int, of instance: InstanceID, fails: Bool) -> Bool {
        guard var entry = entries[instance], entry.work == work else { return false }
        entry.work = nil
        entry.version += 1
        entry.hasFailed = fails
        entry.failures = fails ? entry.failures + 1 : 0
        // What is wanted may have changed while it was under way; what is done now is what is wanted now.
        if !fails, let step = entry.decision.next { Self.perform(step, &entry) }
        entries[instance] = entry
        return true
    }

    private static func perform(_ step: MachineDecision.Step, _ entry: inout Entry) {
        switch step {
        case .launch:
            (entry.isAlive, entry.wasSwitchedOffByGuest) = (true, false)
            (entry.ranGeneration, entry.rebootsDone) = (entry.intent.generation, entry.intent.reboots)
        case .reboot: (entry.ranGeneration, entry.rebootsDone) = (entry.intent.generation, entry.intent.reboots)
        case .stop: (entry.isAlive, entry.wasSwitchedOffByGuest) = (false, false)
        case .remove: entry.removedGeneration = entry.intent.generation
        }
    }

    /// A machine that goes on running under a new generation has run under it.
    mutating func noteRunning(_ instance: InstanceID) {
        guard let entry = entries[instance], entry.isAlive, entry.intent.desired == .running else { return }
        entries[instance]?.ranGeneration = entry.intent.generation
    }

    mutating func switchOff(_ instance: InstanceID) {
        guard isUp, entries[instance]?.isAlive == true else { return }
        entries[instance]?.isAlive = false
        entries[instance]?.wasSwitchedOffByGuest = true
        entries[instance]?.version += 1
    }

    // MARK: Reports

    /// What connect has not acknowledged; nil when there is nothing, or a report is on its way.
    mutating func nextReport() -> SimulatedMessage? {
        guard isUp, report == nil else { return nil }
        let news = entries.values.filter { $0.version > $0.reported }
        guard !news.isEmpty else { return nil }
        let number = number()
        report = number
        let seen = news.map { entry in
            SimulatedObservation(
                instance: entry.intent.instance, seen: entry.decision.seen, generation: entry.intent.generation, version: entry.version)
        }
        return .report(seen.sorted { $0.instance < $1.instance }, report: number)
    }

    mutating func acknowledge(_ seen: [SimulatedObservation], report: Int) {
        guard report == self.report else { return }
        self.report = nil
        for observation in seen {
            guard let entry = entries[observation.instance] else { continue }
            entries[observation.instance]?.reported = max(entry.reported, observation.version)
            if observation.seen == .absent, entry.version == observation.version { entries[observation.instance] = nil }
        }
    }

    /// No answer came: it is told again.
    mutating func giveUp(report: Int) {
        if self.report == report { self.report = nil }
    }

    // MARK: Crashes

    /// The agent's memory is lost; with `power`, every machine too.
    mutating func crash(power: Bool) {
        isUp = false
        (revision, poll, report) = (0, 0, nil)
        for (id, var entry) in entries {
            (entry.work, entry.hasFailed, entry.failures, entry.reported) = (nil, false, 0, 0)
            if power { entry.isAlive = false }
            entries[id] = entry
        }
    }

    mutating func start() { isUp = true }
}
