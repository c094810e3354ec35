import Primitives
import Testing

@Suite struct ResourcesTests {
    static let general = Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480)

    @Test(
        arguments: [
            (Resources(), 0), (Resources(milliCPU: 1), 1), (Resources(milliCPU: 1_000), 1), (Resources(milliCPU: 1_001), 2),
            (Resources(milliCPU: 500, memoryMiB: 8_193), 3), (Resources(milliCPU: 2_000, memoryMiB: 4_096, diskMiB: 81_920), 4),
            (Resources(memoryMiB: -5), 0),
        ] as [(Resources, Int64)])
    func lotsNeeded(_ need: Resources, _ lots: Int64) { #expect(need.lots(of: Self.general) == lots) }

    @Test func aLotWithoutTheComponentHoldsNoneOfIt() {
        #expect(Resources(milliGPU: 1).lots(of: Self.general) == nil)
        #expect(Resources(milliGPU: 0).lots(of: Self.general) == 0)
    }

    @Test(
        arguments: [
            (Resources(), 0), (general, 1), (general * 7, 7), (Resources(milliCPU: 9_000, memoryMiB: 8_192, diskMiB: 999_999), 2),
            (Resources(milliCPU: 999, memoryMiB: 8_192, diskMiB: 999_999), 0),
            (Resources(milliCPU: -1, memoryMiB: 8_192, diskMiB: 999_999), 0),
        ] as [(Resources, Int64)])
    func lotsHeld(_ capacity: Resources, _ lots: Int64) { #expect(capacity.wholeLots(of: Self.general) == lots) }

    @Test func nothingOfALotIsNoLots() { #expect(Self.general.wholeLots(of: .zero) == 0) }

    /// The lots needed are enough, and one fewer are not; the lots held fit, and one more does not.
    @Test func lotsAreTight() throws {
        var generator = SeededGenerator(seed: 9)
        for _ in 0..<2_000 {
            let lot = Resources.random(in: 1...50, using: &generator)
            let amount = Resources.random(in: 0...5_000, using: &generator)
            let needed = try #require(amount.lots(of: lot))
            #expect(amount.fits(in: lot * needed))
            #expect(needed == 0 || !amount.fits(in: lot * (needed - 1)))
            let held = amount.wholeLots(of: lot)
            #expect((lot * held).fits(in: amount))
            #expect(!(lot * (held + 1)).fits(in: amount))
            #expect(held <= needed)
        }
    }

    @Test func arithmeticIsComponentByComponent() {
        var generator = SeededGenerator(seed: 10)
        for _ in 0..<500 {
            let (a, b) = (Resources.random(in: -100...100, using: &generator), Resources.random(in: -100...100, using: &generator))
            for (sum, pair) in zip((a + b).components, zip(a.components, b.components)) {
                #expect(sum.amount == pair.0.amount + pair.1.amount)
            }
            #expect(a + b - b == a)
            #expect(a + a + a == a * 3)
            #expect(a - a == .zero)
            var c = a
            c += b
            c -= a
            #expect(c == b)
            #expect(a.isNonNegative == a.components.allSatisfy { $0.amount >= 0 })
        }
    }

    /// Every component has its own place: the names are those of the wire.
    @Test func componentsAreNamed() {
        let one = Resources(milliCPU: 1, memoryMiB: 2, diskMiB: 3, iops: 4, networkMbps: 5, milliGPU: 6)
        #expect(one.components.map(\.amount) == [1, 2, 3, 4, 5, 6])
        #expect(one.components.map(\.name) == ["milliCPU", "memoryMiB", "diskMiB", "iops", "networkMbps", "milliGPU"])
    }

    @Test func shortfallsSayWhatIsMissing() {
        let need = Resources(milliCPU: 2_000, memoryMiB: 4_096, iops: 10)
        let short = need.shortfalls(against: Self.general)
        #expect(short.map(\.name) == ["milliCPU", "iops"])
        #expect(short.map(\.needed) == [2_000, 10])
        #expect(short.map(\.available) == [1_000, 0])
        #expect(!need.fits(in: Self.general))
        #expect(Self.general.fits(in: Self.general))
        #expect(Self.general.shortfalls(against: Self.general).isEmpty)
    }
}

extension Resources {
    fileprivate static func random(in range: ClosedRange<Int64>, using generator: inout SeededGenerator) -> Resources {
        func next() -> Int64 { .random(in: range, using: &generator) }
        return Resources(milliCPU: next(), memoryMiB: next(), diskMiB: next(), iops: next(), networkMbps: next(), milliGPU: next())
    }

    @Test func amountsAreForPeople() {
        #expect(Resources(milliCPU: 2_000, memoryMiB: 4_096).amounts == "2 vCPU, 4 GiB of memory")
        #expect(
            Resources(milliCPU: 1_500, memoryMiB: 1, diskMiB: 10, milliGPU: 1_000).amounts
                == "1.50 vCPU, 1 MiB of memory, 10 MiB of disk, 1 GPU")
        #expect(Resources.zero.amounts == "nothing")
        #expect(Resources(milliCPU: .max, iops: 5, networkMbps: 7, milliGPU: 2_000).amounts.hasSuffix("5 IOPS, 7 Mbit/s, 2 GPUs"))
    }
}
