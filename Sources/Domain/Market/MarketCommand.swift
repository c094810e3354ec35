public import Primitives

/// Everything that can be asked of a market. What is larger than an order lies elsewhere, so that an order is not as large as it.
public enum MarketCommand: Hashable, Sendable, Codable {
    case addParticipant(name: String, buys: Bool, sells: Bool, currency: Currency)
    /// Money came in from the participant's bank.
    case deposit(ParticipantID, Money, reference: String)
    /// Money goes out to the participant's bank.
    case withdraw(ParticipantID, Money, reference: String)
    /// Lists a product and opens its spot series, and those of its delivery calendar.
    indirect case addProduct(Product.Terms, termsHash: String)
    /// Closes a product for good: its series take no more orders and what rests goes, and no new series are opened. Contracts go on.
    /// Asking again changes nothing.
    case closeProduct(ProductID, reason: String)
    /// Makes a datacenter known, or changes its name, zones or address. Neither its owner nor its region ever changes.
    case registerDatacenter(Datacenter)
    /// How many lots of a product a datacenter delivers in all. Sell orders above it are cancelled, newest first; less than is
    /// sold is refused.
    case declareCapacity(DatacenterID, ProductID, lots: Int64, by: ParticipantID)
    case placeOrder(OrderDraft)
    /// - Parameter by: the owner; nil: the operator.
    case cancelOrder(OrderID, by: ParticipantID?)
    /// Another price, another volume, or both. Fewer lots at the same price keep the order's place; anything else is a new order
    /// under the same identifier, which may trade at once. Lots are those of the whole order, what is filled included.
    case replaceOrder(OrderID, price: Int64?, lots: Int64?, by: ParticipantID)
    /// Cancels every order of a participant, or those of one series, side or datacenter.
    case cancelOrders(of: ParticipantID, series: SeriesID?, side: Side?, datacenter: DatacenterID? = nil)
    /// The kill switch: cancels all orders of a participant and takes no more until `resume`.
    case suspend(ParticipantID, reason: String)
    case resume(ParticipantID)
    /// No orders and no trades in a series until `reopen`; orders may be cancelled. Also of a series that halted by itself, which then
    /// does not reopen by itself.
    case halt(SeriesID, reason: String)
    case reopen(SeriesID)
    /// What a series is worth, in micro-units per lot-hour, until enough trades after this say otherwise.
    case setReference(SeriesID, price: Int64, reason: String)
    /// How far below zero a participant's cash may go for orders and contracts. Not lower than what is used.
    case grantCredit(ParticipantID, Money, reason: String)
    /// Declares a trade void whose contract is not over: the contract ends now and everything paid for it goes back.
    case bustTrade(TradeID, reason: String)
    /// Do not roll a spot contract again: it ends with the period paid for. Asking again changes nothing.
    /// - Parameter by: buyer or seller; nil: the operator.
    case stopContract(ContractID, by: ParticipantID?, detail: String)
    /// End a contract now; what was not delivered is not charged.
    case endContract(ContractID, detail: String)
    /// A side has pulled a certificate of a contract. Again changes nothing.
    case confirmContract(ContractID, ContractParty)
    /// What one side measured of a stretch that is over. The same again changes nothing.
    case reportDelivery(ContractID, ContractParty, DeliveryReport)
    /// What a side would settle a dispute for, in micro-units to the buyer. It is resolved when the buyer asks no more than the
    /// seller offers.
    case answerDispute(DisputeID, ContractParty, toBuyer: Int64, note: String)
    /// The operator's word on a dispute.
    case ruleDispute(DisputeID, toBuyer: Int64, note: String)
    /// A trade offered to another participant, outside the book.
    case propose(ProposalDraft)
    /// Makes the trade.
    /// - Parameter from: the accepting seller's; nil when the buyer accepts.
    case acceptProposal(ProposalID, by: ParticipantID, from: DatacenterID?)
    case refuseProposal(ProposalID, by: ParticipantID, reason: String)
    /// Its proposer takes it back.
    case withdrawProposal(ProposalID, by: ParticipantID)
    /// The exchange is back: nobody could meet a deadline meanwhile.
    case resumeAfter(Period)
    /// Time passes: expires, rolls, pays, ends and settles what is due; opens, closes and expires series.
    case tick
}

/// One thing a command changed: a row to write. In an order in which each row finds those it refers to. What is larger than an order
/// lies elsewhere: orders and postings come by the ten thousand a second, and wait in memory for their rows.
public enum MarketChange: Hashable, Sendable {
    case participant(Participant)
    indirect case product(Product)
    case series(Series)
    case datacenter(Datacenter)
    /// Its declared capacity changed.
    case offering(Offering)
    case order(Order)
    case trade(Trade)
    indirect case contract(Contract, ContractEvent)
    indirect case delivery(Delivery)
    case posting(Posting)
    /// A credit line was set; its participant is among the changes.
    case creditLine(CreditLine)
    /// A trade does not count any more.
    case bust(Bust)
    indirect case proposal(Proposal)
}

public enum ContractEvent: String, Hashable, Sendable, CaseIterable {
    case created, delivering
    /// A side did.
    case confirmed
    /// There is more time to confirm it: the exchange was away.
    case postponed
    /// Its end moved on by a period.
    case rolled
    /// The next stretch of a forward was paid ahead.
    case funded
    /// It will not be rolled again.
    case closing
    /// A stretch is over and charged: reports on it are awaited. The contract goes on.
    case charged
    /// A stretch was paid, or what of it is not in dispute.
    case paid
    case ended
    /// Its trade was declared void, and everything paid went back; it ends and is settled with that.
    case busted
    case settled
}
