import Fleet
import Primitives
import Testing

@Suite struct LoadAverageTests {
    @Test func whatStaysTheSameIsItsAverage() {
        var average = LoadAverage(1_234, over: .seconds(30))
        for _ in 0..<1_000 { average.add(1_234, over: .seconds(30)) }
        #expect(average.value == 1_234)
    }

    @Test func twoShortStretchesCountByTheirLength() {
        var average = LoadAverage(0, over: .seconds(10))
        average.add(3_000, over: .seconds(20))
        #expect(average.value == 2_000)
    }

    @Test func aLoadThatChangedIsFollowedWithinAnHour() {
        var average = LoadAverage(0, over: .hours(10))
        for _ in 0..<20 { average.add(8_000, over: .seconds(30)) }
        #expect((4_000...6_000).contains(average.value), "after ten minutes more than half, \(average.value)")
        for _ in 0..<100 { average.add(8_000, over: .seconds(30)) }
        #expect(average.value > 7_900)
    }

    @Test func itStaysBetweenTheLeastAndTheMost() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            let first = Int64.random(in: 0...100_000, using: &generator)
            var (least, most, average) = (first, first, LoadAverage(first, over: .seconds(1)))
            for _ in 0..<50 {
                let value = Int64.random(in: 0...100_000, using: &generator)
                (least, most) = (min(least, value), max(most, value))
                average.add(value, over: Span(microseconds: Int64.random(in: 0...3_600_000_000, using: &generator)))
                #expect((least...most).contains(average.value))
            }
        }
    }

    @Test func nonsenseDoesNotOverflow() {
        var average = LoadAverage(.max, over: Span(microseconds: .max))
        average.add(.min, over: .zero)
        average.add(.max, over: Span(microseconds: .min))
        #expect(average.value == 1_000_000_000)
    }
}
