import CloudAPI
import Drivers
import Primitives
import Synchronization

/// Everything the node knows of tenants' networks, in memory. The tables have what must outlive it; the driver has the rest.
///
/// All changes are synchronous: nobody decides on one state and writes to another.
final class NetworkBoard: Sendable {
    struct Entry: Sendable {
        var intent: NetworkIntent
        /// The generation for which this process has done everything.
        var doneGeneration: Int64 = 0
        /// It is to be looked after: somebody may have taken parts of it away.
        var isDue = false
        /// The step that failed last, until one succeeds.
        var failure: Refusal?
        var failures = 0
        var work = BoardWork()

        var isDone: Bool { doneGeneration == intent.generation }
        /// Guests can be started on it.
        var isReady: Bool { intent.desired == .present && doneGeneration > 0 }
        var isGone: Bool { intent.desired == .absent && isDone }
        var needsStep: Bool { !isDone || isDue }
    }

    private let entries = Mutex<[NetworkID: Entry]>([:])
    /// Networks whose next step is to be looked for.
    let wakeups: AsyncStream<NetworkID>
    private let wake: AsyncStream<NetworkID>.Continuation
    /// Told when there is something to report.
    private let news: Signal

    init(news: Signal) {
        (wakeups, wake) = AsyncStream.makeStream()
        self.news = news
    }

    subscript(network: NetworkID) -> Entry? { entries.withLock { $0[network] } }
    var all: [Entry] { entries.withLock { $0.values.sorted { $0.intent.network < $1.intent.network } } }

    // MARK: - What is wanted

    /// Takes intents no older than what is known.
    func accept(_ intents: [NetworkIntent]) {
        entries.withLock { entries in
            for intent in intents {
                var entry = entries[intent.network] ?? Entry(intent: intent)
                guard intent.generation >= entry.intent.generation else { continue }
                if intent.desired != entry.intent.desired || intent.generation == entry.intent.generation { entry.doneGeneration = 0 }
                if intent.generation > entry.intent.generation { (entry.failure, entry.failures) = (nil, 0) }
                entry.intent = intent
                entry.work.noteChanged()
                entries[intent.network] = entry
            }
        }
        for intent in intents { wake.yield(intent.network) }
        news.set()
    }

    /// Puts back what the tables remember.
    func restore(_ intent: NetworkIntent) {
        entries.withLock { $0[intent.network] = Entry(intent: intent) }
        wake.yield(intent.network)
    }

    func forget(_ network: NetworkID, version: Int) {
        entries.withLock { if $0[network]?.work.version == version { $0[network] = nil } }
    }

    /// All that are wanted are to be looked after.
    func makeDue() {
        let due = entries.withLock { entries in
            entries.values.filter { $0.intent.desired == .present }.map { entry -> NetworkID in
                entries[entry.intent.network]?.isDue = true
                return entry.intent.network
            }
        }
        for network in due { wake.yield(network) }
    }

    // MARK: - What is so

    /// A step has come to its end.
    func noteDone(_ intent: NetworkIntent) {
        change(intent.network) { entry in
            let isNews = !entry.isDone || entry.failure != nil
            (entry.failure, entry.failures, entry.isDue) = (nil, 0, false)
            // What was done towards the opposite is undone by now.
            if entry.intent.desired == intent.desired { entry.doneGeneration = max(entry.doneGeneration, intent.generation) }
            return isNews
        }
    }

    /// Returns how often in a row it has failed.
    func noteFailed(_ network: NetworkID, _ refusal: Refusal) -> Int {
        change(network) { entry in
            entry.failures += 1
            entry.failure = refusal
            return true
        }
        return self[network]?.failures ?? 1
    }

    private func change(_ network: NetworkID, _ edit: (inout Entry) -> Bool) {
        let isNews = entries.withLock { entries -> Bool in
            guard var entry = entries[network] else { return false }
            let isNews = edit(&entry)
            if isNews { entry.work.noteChanged() }
            entries[network] = entry
            return isNews
        }
        if isNews { news.set() }
    }

    // MARK: - Work

    /// True when the caller is to take the steps of this network; else whoever does is told to look again.
    func begin(_ network: NetworkID) -> Bool {
        entries.withLock { $0[network]?.work.begin() ?? false }
    }

    /// True when the work is over; false when something changed meanwhile.
    func end(_ network: NetworkID) -> Bool {
        entries.withLock { $0[network]?.work.end() ?? true }
    }

    // MARK: - Reporting

    func observations(at now: Instant, onlyNews: Bool, limit: Int) -> [(version: Int, observation: NetworkObservation)] {
        all.filter { !onlyNews || $0.work.isNews }.compactMap { entry in
            entry.observation(at: now).map { (entry.work.version, $0) }
        }.prefix(limit).map { $0 }
    }

    func noteReported(_ network: NetworkID, version: Int) {
        entries.withLock { $0[network]?.work.noteReported(version) }
    }
}

extension NetworkBoard.Entry {
    /// What connect is told; nil: nothing yet.
    func observation(at now: Instant) -> NetworkObservation? {
        guard failure != nil || isDone else { return nil }
        let state: NetworkObserved = failure != nil ? .failed : intent.desired == .present ? .present : .absent
        return NetworkObservation(
            network: intent.network, generation: intent.generation, state: state,
            reason: failure.map { StateReason(code: "Server." + $0.rule, message: $0.message) }, at: now)
    }
}

extension NetworkIntent {
    /// What the driver makes of it.
    func tenantNetwork() throws(Refusal) -> TenantNetwork {
        guard let prefix = IPv4Prefix(cidr), let router = IPv4Address(gateway) else {
            throw Refusal(
                "network.intent", .invalid, "Network \(network) is to be \(cidr) by \(gateway), which are no IPv4 network and address.",
                facts: ["network": .text("\(network)")])
        }
        return TenantNetwork(
            network: network, vni: vni, cidr: prefix, gateway: router, mtu: mtu, hasInternet: hasInternet,
            peers: peers.compactMap { IPv4Address($0) })
    }
}
