import Fleet
import Primitives

/// What is learned of how long instances live.
///
/// Instances that come and go are noted as their rows are written, and taken in a few seconds later, in a turn of their own. What has been
/// learned is not kept in a table: the rows of instances say it, and it is learned again from them after a start.
struct LifetimeBook: Sendable {
    enum Event: Sendable {
        /// - batch: how many instances the same request launched.
        case began(InstanceID, Resources, batch: Int)
        case ended(InstanceID)
    }

    /// Nil: nothing has been learned since the tables were read.
    private var predictor: LifetimePredictor?
    private var events: [Event] = []
    private var latest = Instant.zero

    var isLearned: Bool { predictor != nil }
    /// Instances that are followed.
    var living: Int { predictor?.living ?? 0 }

    mutating func note(_ event: Event) { events.append(event) }

    /// The event noted last did not happen after all.
    mutating func takeBack() { _ = events.popLast() }

    /// Nil: nobody knows.
    func outlook(_ resources: Resources, batch: Int) -> LifetimeOutlook? { predictor?.outlook(resources, batch: batch) }

    /// Takes in what was noted and goes on to `now`. Says whose outlook changed.
    /// - Parameter history: all that is known from the tables, read after the latest event that is not among those noted; needed once.
    mutating func advance(to now: Instant, history: [LifetimeRecord]?) -> [LifetimePredictor.Change] {
        latest = max(latest, now)
        var known: [InstanceID: Bool] = [:]
        if predictor == nil {
            guard let history else { return [] }
            for life in history { known[life.instance] = life.ended != nil }
            predictor = LifetimePredictor(history: history, at: latest)
        }
        let changes = predictor?.advance(to: latest) ?? []
        for event in events { take(event, known) }
        events = []
        return changes
    }

    /// - Parameter known: instances that history tells of, and whether they have ended there.
    private mutating func take(_ event: Event, _ known: [InstanceID: Bool]) {
        switch event {
        case .began(let id, let resources, let batch):
            guard known[id] == nil, predictor?.follows(id) == false else { return }
            _ = predictor?.start(id, resources, batch: batch)
        case .ended(let id):
            guard known[id] != true else { return }
            predictor?.end(id)
        }
    }
}
