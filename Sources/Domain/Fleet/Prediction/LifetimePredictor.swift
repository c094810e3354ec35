public import Primitives

/// Learns how long instances live from those that came before, and says what to expect of each by its class and age.
///
/// Survival curves are estimated by class and step of age as Kaplan and Meier do ("Nonparametric Estimation from Incomplete
/// Observations", JASA 1958): those that are still there count as long as they have been seen. A class with few instances leans on its
/// parent. Nothing is known but what has happened by `now`: the same past gives the same outlooks, whatever comes later. Memory is
/// bounded by the instances alive and the number of classes.
public struct LifetimePredictor: Sendable {
    /// A change of what is expected of an instance that lives.
    public struct Change: Hashable, Sendable {
        public var instance: InstanceID
        public var outlook: LifetimeOutlook
    }

    package let grid = AgeGrid()
    private var ages: LivingByAge
    var curves: SurvivalCurves
    private var slots: [InstanceID: Int32] = [:]
    private var instances: ContiguousArray<InstanceID> = []
    private var now: Int64 = .min
    var nextFit: Int64 = .min
    private var nextFading: Int64?

    /// Seconds between two fits of the curves.
    public static let fitInterval: Int64 = 3_600
    /// After so many seconds what was seen counts half.
    public static let halfLife: Int64 = 14 * 86_400

    public init() {
        ages = LivingByAge(steps: grid.count)
        curves = SurvivalCurves(grid: grid)
        curves.fit(grid)
    }

    /// How many instances are followed.
    public var living: Int { slots.count }

    /// Bytes held.
    public var footprint: Int {
        ages.footprint + curves.footprint + instances.capacity * 8
            + slots.capacity * (MemoryLayout<InstanceID>.stride + MemoryLayout<Int32>.stride)
    }

    /// Goes on to `time`, which never goes back, and says whose outlook changed: those that came into another step of age, or everyone
    /// after the hourly fit. In the order of the slots or of age, so that the same calls give the same list.
    public mutating func advance(to time: Instant) -> [Change] {
        let aged = age(to: time)
        guard now >= nextFit else { return aged.map(change) }
        fade()
        curves.fit(grid)
        nextFit = now + Self.fitInterval
        return ages.living().map(change)
    }

    /// Goes on to `time` without working anything out anew. Says who came into another step of age.
    mutating func age(to time: Instant) -> [Int32] {
        let seconds = time.microseconds.flooredQuotient(1_000_000)
        precondition(seconds >= now, "time goes back")
        now = seconds
        var aged: [Int32] = []
        for step in stride(from: grid.count - 2, through: 0, by: -1) {
            while let slot = ages.first(in: step), now - ages.start(of: slot) > grid.edges[step + 1] {
                let reached = grid.step(of: now - ages.start(of: slot))
                for passed in (step + 1)...reached { curves.enter(ages.kind(of: slot), passed) }
                ages.move(slot, to: reached)
                aged.append(slot)
            }
        }
        return aged
    }

    /// Whether an instance is followed.
    public func follows(_ instance: InstanceID) -> Bool { slots[instance] != nil }

    /// An instance starts now.
    /// - Parameter batch: how many were launched together, itself included.
    /// - Returns: what is to be expected of it.
    public mutating func start(_ instance: InstanceID, _ resources: Resources, batch: Int) -> LifetimeOutlook {
        precondition(now > .min, "no time has been told")
        precondition(slots[instance] == nil, "an instance starts once")
        let kind = LifetimeClass(resources, batch: batch)
        let slot = ages.insert(kind: kind, start: now)
        slots[instance] = slot
        if Int(slot) == instances.count { instances.append(instance) } else { instances[Int(slot)] = instance }
        curves.enter(kind, 0)
        return curves.outlook(kind, 0)
    }

    /// What to expect of an instance of these resources that would start now.
    public func outlook(_ resources: Resources, batch: Int) -> LifetimeOutlook {
        curves.outlook(LifetimeClass(resources, batch: batch), 0)
    }

    /// An instance that was followed ended now. Others are passed over.
    public mutating func end(_ instance: InstanceID) {
        guard let slot = slots.removeValue(forKey: instance) else { return }
        let kind = ages.kind(of: slot)
        let reached = grid.step(of: now - ages.start(of: slot))
        if reached > ages.step(of: slot) { for passed in (ages.step(of: slot) + 1)...reached { curves.enter(kind, passed) } }
        curves.end(kind, reached)
        ages.remove(slot)
    }

    private func change(_ slot: Int32) -> Change {
        Change(instance: instances[Int(slot)], outlook: curves.outlook(ages.kind(of: slot), ages.step(of: slot)))
    }

    mutating func fade() {
        guard let due = nextFading else {
            nextFading = now + Self.halfLife
            return
        }
        guard now >= due else { return }
        curves.halve()
        nextFading = now + Self.halfLife
    }

    /// Share of a class that lives longer than each step's lower edge, in 2⁻⁴⁰, as fitted last.
    package func survival(_ kind: LifetimeClass) -> [Int64] { curves.survival(kind) }
}

extension Int64 {
    fileprivate func flooredQuotient(_ divisor: Int64) -> Int64 { self >= 0 ? self / divisor : -((-self + divisor - 1) / divisor) }
}
