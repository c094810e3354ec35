import Primitives
import Rating
import Testing

@Suite struct MeterTests {
    private let instance = InstanceID(bits: 1)
    private let contract = ContractID(bits: 2)
    private let tariff = Tariff(lot: Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480), price: 33_333, currency: .eur)

    private func reading(_ sequence: Int64, _ from: Int64, _ to: Int64, host: UInt64 = 1, milliCPU: Int64 = 1_500) -> Reading {
        Reading(
            host: HostID(bits: host), sequence: sequence, instance: instance, contract: contract,
            period: Period(start: Instant(microseconds: from), end: Instant(microseconds: to)),
            resources: Resources(milliCPU: milliCPU, memoryMiB: 512))
    }

    @Test func lotsAreWholeAndTimeIsExact() throws {
        var meter = Meter(instance: instance, contract: contract)
        let charge = try #require(try meter.rate(reading(1, 0, 3_600_000_000), tariff))
        #expect(charge.lots == 2)
        #expect(charge.amount == Money(microUnits: 66_666, .eur))
        #expect(meter.time == .hours(1))
    }

    /// However the time is cut, and however often each piece is sent, the sum is the charge for all of it.
    @Test func anyCutsAndRepetitionsGiveTheSameSum() throws {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<300 {
            var meter = Meter(instance: instance, contract: contract)
            var at: Int64 = 0
            var sum: Int64 = 0
            var sent: [Reading] = []
            for sequence in 1...Int64.random(in: 1...40, using: &random) {
                let next = at + Int64.random(in: 1...90_000_000, using: &random)
                sent.append(reading(sequence, at, next))
                at = next
                for old in sent.shuffled(using: &random).prefix(3) + [sent[sent.count - 1]] where old.sequence >= (sent.last?.sequence ?? 0)
                {
                    sum += try meter.rate(old, tariff)?.amount.microUnits ?? 0
                }
                #expect(try meter.rate(sent[0], tariff) == nil)
            }
            var whole = LotHourCharge()
            #expect(sum == whole.charge(pricePerLotHour: tariff.price, lots: 2, for: Span(microseconds: at)))
            #expect(meter.charged == sum)
        }
    }

    @Test func overlapsAreNotChargedTwice() throws {
        var meter = Meter(instance: instance, contract: contract)
        _ = try meter.rate(reading(1, 0, 60_000_000), tariff)
        // The machine moved: another host reports a stretch that overlaps.
        let second = try #require(try meter.rate(reading(7, 30_000_000, 90_000_000, host: 2), tariff))
        #expect(second.period == Period(start: Instant(seconds: 60), end: Instant(seconds: 90)))
        let late = try #require(try meter.rate(reading(2, 10_000_000, 50_000_000), tariff))
        #expect(late.period.length == .zero)
        #expect(late.amount.microUnits == 0)
        #expect(meter.time == .seconds(90))
    }

    @Test func readingsThatCannotBeRatedChangeNothing() throws {
        var meter = Meter(instance: instance, contract: contract)
        let before = meter
        let impossible = Reading(
            host: HostID(bits: 1), sequence: 1, instance: instance, contract: contract,
            period: Period(start: .zero, end: Instant(seconds: 1)), resources: Resources(milliGPU: 1))
        #expect(throws: Refusal.self) { try meter.rate(impossible, tariff) }
        let endless = reading(1, 0, .max)
        #expect(throws: Refusal.self) { try meter.rate(endless, Tariff(lot: tariff.lot, price: .max, currency: .eur)) }
        #expect(meter == before)
    }

    @Test func aStoredMeterGoesOnWhereItWas() throws {
        var meter = Meter(instance: instance, contract: contract)
        var stored = meter
        for sequence in 1...50 as ClosedRange<Int64> {
            let next = reading(sequence, (sequence - 1) * 7_000_001, sequence * 7_000_001)
            _ = try meter.rate(next, tariff)
            var reloaded = Meter(
                instance: stored.instance, contract: stored.contract, charged: stored.charged, time: stored.time,
                ratedUntil: stored.ratedUntil,
                remainder: stored.remainder, latest: stored.latest)
            _ = try reloaded.rate(next, tariff)
            stored = reloaded
        }
        #expect(stored == meter)
    }
}
