public import Primitives

/// What has been rated so far of one instance under one contract. A value that is stored between readings.
///
/// Lots are whole: an instance that needs a lot and a half holds two. Time is exact to the microsecond, and what rounding
/// leaves over is carried, so that the sum of all charges is the charge for all the time, to the micro-unit.
public struct Meter: Hashable, Sendable {
    public let instance: InstanceID
    public let contract: ContractID
    /// Micro-units charged so far.
    public private(set) var charged: Int64
    /// Time charged for so far.
    public private(set) var time: Span
    /// The end of the latest reading; nil before the first.
    public private(set) var ratedUntil: Instant?
    /// See `LotHourCharge`.
    public private(set) var remainder: Int64
    /// The highest sequence rated, per host: what makes rating the same reading again harmless.
    public private(set) var latest: [HostID: Int64]

    public init(
        instance: InstanceID, contract: ContractID, charged: Int64 = 0, time: Span = .zero, ratedUntil: Instant? = nil,
        remainder: Int64 = 0,
        latest: [HostID: Int64] = [:]
    ) {
        self.instance = instance
        self.contract = contract
        self.charged = charged
        self.time = time
        self.ratedUntil = ratedUntil
        self.remainder = remainder
        self.latest = latest
    }

    /// What one reading comes to.
    public struct Charge: Hashable, Sendable {
        public var period: Period
        public var lots: Int64
        public var amount: Money
    }

    /// Rates the next reading of this instance; nil when it has been rated already.
    ///
    /// Readings of one host come in the order of their sequence. Time that was rated before is never rated again: a reading
    /// that begins in it is cut to what is new.
    public mutating func rate(_ reading: Reading, _ tariff: Tariff) throws(Refusal) -> Charge? {
        precondition(reading.instance == instance && reading.contract == contract, "a meter rates its own instance")
        if let last = latest[reading.host], reading.sequence <= last { return nil }
        guard let lots = reading.resources.lots(of: tariff.lot) else {
            throw Refusal(
                "rating.lot", .invalid, "Reading \(reading.sequence) of \(reading.host) needs something of which a lot has nothing.",
                facts: ["sequence": .number(reading.sequence)])
        }
        let start = max(reading.period.start, ratedUntil ?? reading.period.start)
        let period = Period(start: min(start, reading.period.end), end: reading.period.end)
        var charge = LotHourCharge(remainder: remainder)
        guard let amount = charge.charge(pricePerLotHour: tariff.price, lots: lots, for: period.length) else {
            throw Self.tooLarge(reading)
        }
        let (sum, overflow) = charged.addingReportingOverflow(amount)
        guard !overflow else { throw Self.tooLarge(reading) }
        charged = sum
        time = time + period.length
        remainder = charge.remainder
        ratedUntil = max(ratedUntil ?? reading.period.end, reading.period.end)
        latest[reading.host] = reading.sequence
        return Charge(period: period, lots: lots, amount: Money(microUnits: amount, tariff.currency))
    }

    private static func tooLarge(_ reading: Reading) -> Refusal {
        Refusal(
            "rating.amount", .invalid, "The charge for reading \(reading.sequence) of \(reading.host) does not fit 64 bits of micro-units.",
            facts: ["sequence": .number(reading.sequence)])
    }
}
