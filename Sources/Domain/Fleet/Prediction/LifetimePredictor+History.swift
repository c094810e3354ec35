public import Primitives

/// One instance's life, as it is known afterwards.
public struct LifetimeRecord: Hashable, Sendable {
    public var instance: InstanceID
    public var resources: Resources
    /// How many were launched together, itself included.
    public var batch: Int
    public var began: Instant
    /// Nil: it lives.
    public var ended: Instant?

    public init(instance: InstanceID, resources: Resources, batch: Int, began: Instant, ended: Instant?) {
        self.instance = instance
        self.resources = resources
        self.batch = batch
        self.began = began
        self.ended = ended
    }
}

extension LifetimePredictor {
    /// One that has seen these lives. It knows what it would know had it been there all the time, but that it works out once, at the
    /// end, what it expects.
    public init(history: some Sequence<LifetimeRecord>, at now: Instant) {
        self.init()
        for event in Self.events(history, until: now) {
            _ = age(to: event.at)
            fade()
            if event.isEnd {
                end(event.life.instance)
            } else {
                _ = start(event.life.instance, event.life.resources, batch: event.life.batch)
            }
        }
        _ = age(to: now)
        curves.fit(grid)
    }

    private struct Event {
        var at: Instant
        var isEnd: Bool
        var life: LifetimeRecord
    }

    /// In the order of time; of one moment those that end come after those that start, so that nobody ends before having started.
    private static func events(_ history: some Sequence<LifetimeRecord>, until now: Instant) -> [Event] {
        var events: [Event] = []
        for life in history where life.began <= now {
            events.append(Event(at: life.began, isEnd: false, life: life))
            if let ended = life.ended, ended <= now { events.append(Event(at: max(ended, life.began), isEnd: true, life: life)) }
        }
        return events.sorted { a, b in
            if a.at != b.at { return a.at < b.at }
            if a.isEnd != b.isEnd { return b.isEnd }
            return a.life.instance < b.life.instance
        }
    }
}
