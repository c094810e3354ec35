/// Survival by class and step of age, counted and fitted.
struct SurvivalCurves: Sendable {
    private let steps: Int
    /// By class and step: how many came into the step, and how many ended in it.
    private var entered: ContiguousArray<Int64>
    private var ended: ContiguousArray<Int64>
    /// Share that lives longer than the step's lower edge, in 2⁻⁴⁰; one more than there are steps.
    private var shares: ContiguousArray<Int64>
    private var outlooks: ContiguousArray<LifetimeOutlook>

    /// How many instances a shape counts for in its classes, and all instances in a shape.
    static let shapeWeight: Int64 = 20
    static let allWeight: Int64 = 50
    /// How many the guess for all instances counts for: that as many again live twice as long, with five minutes added to both.
    static let guessWeight: Int64 = 5
    static let one: Int64 = 1 << 40

    init(grid: AgeGrid) {
        steps = grid.count
        entered = ContiguousArray(repeating: 0, count: LifetimeClass.count * grid.count)
        ended = entered
        shares = ContiguousArray(repeating: Self.one, count: LifetimeClass.count * (grid.count + 1))
        outlooks = ContiguousArray(repeating: .unknown, count: LifetimeClass.count * grid.count)
    }

    var footprint: Int {
        (entered.capacity + ended.capacity + shares.capacity) * 8 + outlooks.capacity * MemoryLayout<LifetimeOutlook>.stride
    }

    /// An instance came into a step of age.
    mutating func enter(_ kind: LifetimeClass, _ step: Int) {
        var next: LifetimeClass? = kind
        while let kind = next {
            entered[kind.number * steps + step] += 1
            next = kind.parent
        }
    }

    /// An instance ended in a step it had come into.
    mutating func end(_ kind: LifetimeClass, _ step: Int) {
        var next: LifetimeClass? = kind
        while let kind = next {
            ended[kind.number * steps + step] += 1
            next = kind.parent
        }
    }

    /// What was seen so far counts half from now on.
    mutating func halve() {
        for index in entered.indices {
            entered[index] /= 2
            ended[index] /= 2
        }
    }

    /// Works the curves and outlooks out from the counts.
    mutating func fit(_ grid: AgeGrid) {
        for number in 0..<LifetimeClass.count {
            let kind = LifetimeClass(number: number)
            for step in 0..<steps { fit(kind, step, grid) }
        }
        for number in 0..<LifetimeClass.count {
            for step in 0..<steps { outlooks[number * steps + step] = look(LifetimeClass(number: number), grid.middle(of: step), grid) }
        }
    }

    /// The product-limit estimate of one step, with the parent's instances added.
    private mutating func fit(_ kind: LifetimeClass, _ step: Int, _ grid: AgeGrid) {
        let share = shares[kind.number * (steps + 1) + step]
        var (weight, lean) = (Self.guessWeight, guess(step, grid))
        if let parent = kind.parent {
            let base = parent.number * (steps + 1) + step
            (weight, lean) = (parent == .all ? Self.allWeight : Self.shapeWeight, (shares[base + 1] << 20) / shares[base])
        }
        let index = kind.number * steps + step
        // Halving rounds, and an end may then weigh more than the entry before it.
        let (came, went) = (entered[index], min(entered[index], ended[index]))
        let kept = ((came - went) << 20 + weight * lean) / (came + weight)
        shares[kind.number * (steps + 1) + step + 1] = max(1 << 12, (share * kept) >> 20)
    }

    /// Share that outlives a step when nothing is known: lifetimes as in Pareto's law with exponent 1.
    private func guess(_ step: Int, _ grid: AgeGrid) -> Int64 {
        let low = grid.edges[step]
        let high = step + 1 < steps ? grid.edges[step + 1] : low * 2
        return ((low + 300) << 20) / (high + 300)
    }

    /// What to expect at an age.
    private func look(_ kind: LifetimeClass, _ age: Int64, _ grid: AgeGrid) -> LifetimeOutlook {
        let reached = share(kind, age, grid) >> 20
        var gone = SIMD8<Int32>.zero
        for (lane, horizon) in LifetimeOutlook.horizons.enumerated() {
            let later = min(BinaryLogarithm.one, share(kind, age + horizon, grid) / max(1, reached))
            gone[lane] = BinaryLogarithm.negative(of: max(Self.least, BinaryLogarithm.one - later))
        }
        return LifetimeOutlook(gone: gone)
    }

    /// No instance is sure to stay: one in ten thousand is gone by the next horizon, in 2⁻²⁰.
    private static let least: Int64 = 105

    /// Share that lives longer than an age, straight between the edges.
    private func share(_ kind: LifetimeClass, _ age: Int64, _ grid: AgeGrid) -> Int64 {
        let base = kind.number * (steps + 1)
        let step = grid.step(of: age)
        guard step + 1 < steps else { return shares[base + steps - 1] }
        let (low, high) = (grid.edges[step], grid.edges[step + 1])
        return shares[base + step] - (shares[base + step] - shares[base + step + 1]) / (high - low) * (age - low)
    }

    func outlook(_ kind: LifetimeClass, _ step: Int) -> LifetimeOutlook { outlooks[kind.number * steps + step] }

    func survival(_ kind: LifetimeClass) -> [Int64] { Array(shares[(kind.number * (steps + 1))..<((kind.number + 1) * (steps + 1))]) }
}
