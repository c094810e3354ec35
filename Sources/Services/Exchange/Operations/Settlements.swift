import CloudAPI
import Market
import Primitives
import ServiceKit
import Store

// The chart of accounts, and how far contracts are paid for.

extension ChartOfAccounts {
    /// As the ledger defines it.
    init() {
        self.init(
            accounts: LedgerAccount.chart.map { definition in
                AccountDefinition(
                    account: definition.kind.rawValue, holder: definition.holder == .participant ? .participant : .exchange,
                    normalBalance: definition.normalBalance == .credit ? .credit : .debit, limits: definition.limits,
                    purpose: definition.purpose)
            })
    }
}

extension ExchangeCore {
    func settlement(_ call: Call<Empty>) async throws -> SettlementView {
        let id = try call.id("contract", as: ContractID.self)
        let scope = try Scope(call.principal)
        return try await database.read { context in
            let contract = try context.contract(id, visibleTo: scope)
            let bust = try context.queryOne(
                "SELECT reason AS bust_reason, at AS busted_at, paid_back FROM busts WHERE trade = $1", [SQLValue(contract.trade)])
            return SettlementView(
                contract, deliveries: contract.state == .settled ? [] : try context.openDeliveries(of: id),
                busted: try bust.flatMap { try BustView($0, seen: true) })
        }
    }
}

extension SettlementView {
    fileprivate init(_ contract: Contract, deliveries: [Delivery], busted: BustView?) {
        let money = { (amount: Int64) in Money(microUnits: amount, contract.currency) }
        let isOpen = contract.isLive && contract.settledUntil < contract.period.end
        let unpaid = deliveries.map(\.held).reduce(0, +)
        let payments = deliveries.map(\.due) + (isOpen ? [contract.pieceEnd] : [])
        self.init(
            contract: contract.id, state: ContractState(contract.state), charged: money(contract.settled + contract.credited + unpaid),
            paid: money(contract.settled - contract.fees.seller.charged), credited: money(contract.credited), awaited: money(unpaid),
            buyerFee: money(contract.fees.buyer.charged), sellerFee: money(contract.fees.seller.charged), held: money(contract.held),
            feesHeld: money(contract.fees.held),
            settledUntil: contract.settledUntil,
            remaining: isOpen ? Period(start: contract.settledUntil, end: contract.period.end) : nil,
            nextSettlement: payments.min(), busted: busted)
    }
}
