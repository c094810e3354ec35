public import Primitives

/// One stretch of time in which an instance ran. (host, sequence) names it for ever, so it can be sent any number of times.
public struct Reading: Hashable, Sendable {
    public var host: HostID
    /// Counts up per host.
    public var sequence: Int64
    public var instance: InstanceID
    public var contract: ContractID
    public var period: Period
    public var resources: Resources

    public init(host: HostID, sequence: Int64, instance: InstanceID, contract: ContractID, period: Period, resources: Resources) {
        self.host = host
        self.sequence = sequence
        self.instance = instance
        self.contract = contract
        self.period = period
        self.resources = resources
    }
}

/// What use of a contract costs.
public struct Tariff: Hashable, Sendable {
    /// What one lot holds.
    public var lot: Resources
    /// Micro-units per lot-hour.
    public var price: Int64
    public var currency: Currency

    public init(lot: Resources, price: Int64, currency: Currency) {
        self.lot = lot
        self.price = price
        self.currency = currency
    }
}
