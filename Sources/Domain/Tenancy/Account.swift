public import Primitives

/// A node of the buyer's tree: a company, its departments, theirs. What is set on a node holds for everything below it.
public struct Account: Hashable, Sendable {
    public var id: AccountID
    public var name: String
    /// Nil for a company.
    public var parent: AccountID?
    public var currency: Currency
    /// Highest price sourcing may pay: micro-units per lot-hour.
    public var priceCap: Int64
    /// Most vCPU (thousandths) that the instances of this account and of all below it may have together; nil: no limit of its own.
    public var quotaMilliCPU: Int64?
    /// Most MiB that the volumes of this account and of all below it may have together; nil: no limit of its own.
    public var quotaVolumeMiB: Int64?

    public init(
        id: AccountID, name: String, parent: AccountID?, currency: Currency, priceCap: Int64, quotaMilliCPU: Int64?,
        quotaVolumeMiB: Int64? = nil
    ) {
        self.id = id
        self.name = name
        self.parent = parent
        self.currency = currency
        self.priceCap = priceCap
        self.quotaMilliCPU = quotaMilliCPU
        self.quotaVolumeMiB = quotaVolumeMiB
    }

    static let longestName = 128

    /// Names, caps and quotas that make no sense are refused before they are stored.
    public func validate() throws(Refusal) {
        guard (1...Self.longestName).contains(name.unicodeScalars.count), !name.unicodeScalars.contains(where: { $0.value < 32 }) else {
            throw Refusal("tenancy.name", .invalid, "An account name has 1 to \(Self.longestName) printable characters.")
        }
        guard priceCap >= 0 else {
            throw Refusal(
                "tenancy.priceCap", .invalid, "A price cap of \(decimalText(microUnits: priceCap)) is below zero.",
                facts: ["priceCap": .number(priceCap)], nearest: "0 buys nothing; any positive price buys.")
        }
        if let quotaMilliCPU, quotaMilliCPU < 0 {
            throw Refusal(
                "tenancy.quota", .invalid, "A quota of \(quotaMilliCPU) thousandths of a vCPU is below zero.",
                facts: ["quotaMilliCPU": .number(quotaMilliCPU)], nearest: "0 allows no instance.")
        }
        if let quotaVolumeMiB, quotaVolumeMiB < 0 {
            throw Refusal(
                "tenancy.quota", .invalid, "A quota of \(quotaVolumeMiB) MiB is below zero.",
                facts: ["quotaVolumeMiB": .number(quotaVolumeMiB)], nearest: "0 allows no volume.")
        }
    }
}
