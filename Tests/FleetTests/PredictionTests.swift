import Fleet
import Primitives
import Testing

@Suite struct PredictionTests {
    private let shape = Resources(milliCPU: 2_000, memoryMiB: 4_096)

    /// A life as the naive estimate sees it: when it began, and when it ended if it has.
    private struct Life {
        var kind: LifetimeClass
        var start: Int64
        var end: Int64?
    }

    private struct Town {
        var predictor = LifetimePredictor()
        var lives: [Life] = []
        var log: [LifetimeOutlook] = []
        var now: Int64 = 0
    }

    /// Intervals in which some start and some end. What happens in interval i depends on seed and i alone.
    private func play(seed: UInt64, intervals: Int, twist: Int = .max) -> Town {
        var town = Town()
        for interval in 0..<intervals {
            var generator = SeededGenerator(seed: seed &+ UInt64(interval) &* 7_919 &+ (interval >= twist ? 1 << 40 : 0))
            town.now = Int64(interval) * 300
            for change in town.predictor.advance(to: Instant(seconds: town.now)) { town.log.append(change.outlook) }
            for index in town.lives.indices where town.lives[index].end == nil && Int.random(in: 0..<12, using: &generator) == 0 {
                guard town.lives[index].start < town.now else { continue }
                town.lives[index].end = town.now
                town.predictor.end(InstanceID(bits: UInt64(index)))
            }
            let batch = Int.random(in: 0..<6, using: &generator)
            for _ in 0..<batch {
                let resources = shape * Int64.random(in: 1...4, using: &generator)
                let id = InstanceID(bits: UInt64(town.lives.count))
                town.log.append(town.predictor.start(id, resources, batch: batch))
                town.lives.append(Life(kind: LifetimeClass(resources, batch: batch), start: town.now, end: nil))
            }
        }
        return town
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func survivalIsThatOfKaplanAndMeier(seed: UInt64) {
        var town = play(seed: seed, intervals: 200)
        // The next whole hour fits anew; those that live are an interval older then.
        let last = (town.now / 3_600 + 1) * 3_600
        _ = town.predictor.advance(to: Instant(seconds: last))
        let grid = town.predictor.grid
        let naive = { (kind: LifetimeClass) -> [Double] in Self.survival(of: kind, town.lives, at: last, grid) }
        var kinds: Set<LifetimeClass> = [.all]
        for life in town.lives { kinds.formUnion([life.kind, life.kind.parent].compactMap { $0 }) }
        for kind in kinds {
            for (fitted, expected) in zip(town.predictor.survival(kind), naive(kind)) {
                #expect(abs(Double(fitted) / Double(1 << 40) - expected) < 1e-4)
            }
        }
    }

    /// The product-limit estimate from the list of lives, each class leaning on its shape with twenty lives, each shape on all
    /// with fifty, and all on Pareto's law.
    private static func survival(of kind: LifetimeClass, _ lives: [Life], at now: Int64, _ grid: AgeGrid) -> [Double] {
        let lean = kind.parent.map { survival(of: $0, lives, at: now, grid) }
        let mine = lives.filter { $0.kind == kind || $0.kind.parent == kind || $0.kind.parent?.parent == kind }
        var shares = [1.0]
        for step in grid.edges.indices {
            let low = grid.edges[step]
            let high = step + 1 < grid.edges.count ? grid.edges[step + 1] : low * 2
            let came = mine.filter { ($0.end ?? now) - $0.start > low || low == 0 }.count
            let went = mine.filter { life in
                guard let end = life.end else { return false }
                return end - life.start > low && (end - life.start <= high || step + 1 == grid.edges.count)
            }.count
            let kept = lean.map { $0[step + 1] / $0[step] } ?? Double(low + 300) / Double(high + 300)
            let weight = lean == nil ? 5.0 : kind.parent == .all ? 50.0 : 20.0
            shares.append(shares[step] * (Double(came - went) + weight * kept) / (Double(came) + weight))
        }
        return shares
    }

    @Test func theFutureChangesNothingBeforeIt() {
        let one = play(seed: 5, intervals: 120)
        let other = play(seed: 5, intervals: 240, twist: 120)
        #expect(other.log.count > one.log.count)
        #expect(Array(other.log.prefix(one.log.count)) == one.log)
        #expect(play(seed: 5, intervals: 240).log != other.log)
    }

    @Test func theSamePastGivesTheSameOutlooks() { #expect(play(seed: 9, intervals: 150).log == play(seed: 9, intervals: 150).log) }

    @Test func memoryIsBoundedByThoseAlive() {
        var predictor = LifetimePredictor()
        _ = predictor.advance(to: .zero)
        let empty = predictor.footprint
        for round in 0..<20_000 {
            _ = predictor.advance(to: Instant(seconds: Int64(round) * 60))
            _ = predictor.start(InstanceID(bits: UInt64(round)), shape, batch: 1 + round % 5)
            if round >= 50 { predictor.end(InstanceID(bits: UInt64(round - 50))) }
        }
        #expect(predictor.living == 50)
        #expect(predictor.footprint - empty < 50 * 400)
    }

    @Test func whatLivesLongIsExpectedToLiveLonger() {
        var predictor = LifetimePredictor()
        let large = shape * 4
        var number: UInt64 = 0
        for interval in 0..<100 {
            _ = predictor.advance(to: Instant(seconds: Int64(interval) * 300))
            for _ in 0..<10 {
                number += 1
                _ = predictor.start(InstanceID(bits: number), shape, batch: 1)
                _ = predictor.start(InstanceID(bits: 1 << 32 + number), large, batch: 1)
                if number > 20 { predictor.end(InstanceID(bits: number - 20)) }
            }
        }
        #expect(predictor.outlook(shape, batch: 1).grade == 0)
        #expect(predictor.outlook(large, batch: 1).grade == 3)
    }

    @Test func outlooksAddUpAndComeApart() {
        let outlook = LifetimeOutlook(goneMillionths: [100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000])
        let both = BinaryLogarithm.shares(outlook.gone &+ outlook.gone)
        for (lane, share) in [0.01, 0.04, 0.09, 0.16, 0.25, 0.36, 0.49, 0.64].enumerated() {
            #expect(abs(Double(both[lane]) / Double(1 << 20) - share) < 0.01 * share + 1e-4)
        }
        #expect(abs((0..<8).reduce(0) { $0 + Int(outlook.weights[$1]) } - 1 << 20) < 64)
    }
}
