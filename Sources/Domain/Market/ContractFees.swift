import Primitives

/// What the exchange takes from both sides of a contract: a part of what the seller is paid. Nothing is taken of what goes back.
public struct ContractFees: Codable, Hashable, Sendable {
    public var buyer: Share
    public var seller: Share
    /// The buyer's money put aside for fees on what is held and not yet paid, in micro-units.
    public var held: Int64

    public init(buyer: Share, seller: Share, held: Int64 = 0) {
        self.buyer = buyer
        self.seller = seller
        self.held = held
    }

    public static let none = ContractFees(buyer: Share(rate: 0), seller: Share(rate: 0))

    /// One side's: the sum of its fees is its rate of the sum of the payments, to half a micro-unit, however many payments there were.
    public struct Share: Codable, Hashable, Sendable {
        /// Millionths of a payment.
        public var rate: Int64
        /// Taken so far, in micro-units.
        public var charged: Int64
        /// What rounding left over: millionths of a micro-unit, -500,000 to 500,000. Carried into the next fee.
        public var remainder: Int64

        public init(rate: Int64, charged: Int64 = 0, remainder: Int64 = 0) {
            self.rate = rate
            self.charged = charged
            self.remainder = remainder
        }

        private static let divisor: Int128 = 1_000_000

        /// What will be taken of payments that come to this, in micro-units: however many they are, within a micro-unit.
        func due(on payments: Int64) -> Int64 {
            var copy = self
            return copy.take(of: payments)
        }

        /// The fee for a payment, rounded half-even.
        /// - Parameter largest: what is there to take it from. Less than the fee only when the fee lies between two micro-units.
        mutating func take(of payment: Int64, atMost largest: Int64 = .max) -> Int64 {
            let exact = Int128(payment) * Int128(rate) + Int128(remainder)
            let fee = min(Int64(exact.dividedHalfEven(by: Self.divisor)), largest)
            remainder = Int64(exact - Int128(fee) * Self.divisor)
            precondition(remainder.magnitude <= 500_000, "a fee was put aside")
            charged += fee
            return fee
        }
    }

    /// A fee, rounded up.
    static func ceiling(of charge: Int64, rate: Int64) -> Int64 {
        rate == 0 ? 0 : Int64((Int128(charge) * Int128(rate) + 999_999) / 1_000_000)
    }
}
