import CloudAPI
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// The plain web page: machines, contracts, charges, each only for those who may see it.
    func home(_ principal: Principal) async throws -> ServiceKit.Page {
        try ProgramRouter.authorize(principal, for: [.operator, .user])
        let visible = try await visibleAccounts(principal)
        let rights = principal == .operator ? Set(Right.allCases) : try await user(principal).rights
        var tables: [ServiceKit.Page.Table] = []
        let instances = try await database.read { [self] context in
            try InstanceRecord.page(of: visible, limit: 200, before: nil, in: context).records.map { try managedView($0, in: context) }
        }
        if rights.contains(.technical) { tables.append(Self.table(instances)) }
        if rights.contains(.commercial) {
            let (contracts, charges) = try await database.read { context in
                (
                    try ContractRecord.page(limit: 200, before: nil, in: context).map { ($0.view, try $0.capacity(in: context)) },
                    try MeterRecord.page(of: visible, limit: 200, before: nil, in: context).records.map(\.view)
                )
            }
            tables.append(Self.table(contracts))
            tables.append(Self.table(charges))
        }
        return ServiceKit.Page(
            title: "Machines and contracts",
            facts: [("Region", configuration.region), ("Running", String(instances.count { $0.state == .running }))], tables: tables)
    }

    private static func table(_ instances: [ManagedInstanceView]) -> ServiceKit.Page.Table {
        .init(
            "Machines", columns: ["Instance", "Name", "State", "Type", "Address", "Zone", "Seller", "Now", "Charged", "Reason"],
            rows: instances.map { view in
                [
                    view.id.description, view.name ?? "", view.state.rawValue, view.offering, view.address ?? "", view.zone ?? "",
                    view.seller ?? "", view.step ?? "", view.charged.description, view.reason?.message ?? "",
                ]
            }, empty: "None yet: `bourse instance launch`, or any EC2 client.")
    }

    private static func table(_ contracts: [(ContractView, ContractCapacity)]) -> ServiceKit.Page.Table {
        .init(
            "Contracts",
            columns: ["Contract", "State", "Seller", "Product", "Lots", "Price per lot-hour", "Ends", "Rolls", "Machines", "Settled"],
            rows: contracts.map { view, capacity in
                [
                    view.id.description, view.state.rawValue, view.sellerName, view.productName, String(view.lots),
                    Money(microUnits: view.price, view.currency).description, view.period.end.description, view.rolls ? "yes" : "no",
                    String(capacity.instances), Money(microUnits: view.settledMicroUnits, view.currency).description,
                ]
            })
    }

    private static func table(_ charges: [ChargeView]) -> ServiceKit.Page.Table {
        .init(
            "Charges", columns: ["Instance", "Contract", "From", "To", "Amount"],
            rows: charges.map { view in
                [
                    view.instance.description, view.contract.description, view.period.start.description, view.period.end.description,
                    view.amount.description,
                ]
            })
    }
}
