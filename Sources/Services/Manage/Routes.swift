import CloudAPI
import EC2
import Foundation
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// Manage's own JSON API.
    func addRoutes(to router: ProgramRouter) {
        addAccountRoutes(to: router)
        addInstanceRoutes(to: router)
        addVolumeRoutes(to: router)
        addNetworkRoutes(to: router)
        router.on(ManageAPI.listOfferings) { call in CloudAPI.Page(try await offerings(call.principal)) }
        router.on(ManageAPI.listImages) { call in try Self.page(try await images(), call) { $0.id.description } }
        router.on(ManageAPI.importKey) { call in try await importKey(call) }
        router.on(ManageAPI.listKeys) { call in try Self.page(try await keys(call.principal), call) { $0.name } }
        router.on(ManageAPI.listContracts) { call in try await contracts(call) }
        router.on(ManageAPI.listCharges) { call in try await charges(call) }
    }

    private func addAccountRoutes(to router: ProgramRouter) {
        router.on(ManageAPI.createAccount) { call in try await createAccount(call) }
        router.on(ManageAPI.updateAccount) { call in try await updateAccount(call) }
        router.on(ManageAPI.listAccounts) { call in try Self.page(try await accounts(call.principal), call) { $0.id.description } }
        router.on(ManageAPI.createUser) { call in try await createUser(call) }
        router.on(ManageAPI.listUsers) { call in
            try Self.page(try await users(of: try call.id("account"), for: call.principal), call) { $0.id.description }
        }
        router.on(ManageAPI.createAccessKey) { call in try await createAccessKey(call) }
        router.on(ManageAPI.createUserToken) { call in try await createUserToken(call) }
    }

    private func addInstanceRoutes(to router: ProgramRouter) {
        router.on(ManageAPI.launchInstances) { call in
            let records = try await launch(try LaunchRequest(call.body), by: try await user(call.principal), remembering: call.idempotency)
            return CloudAPI.Page(try await database.read { context in try records.map { try managedView($0, in: context) } })
        }
        router.on(ManageAPI.listInstances) { call in try await instances(call) }
        router.on(ManageAPI.showInstance) { call in try await instance(try call.id("instance"), for: call.principal) }
        router.on(ManageAPI.actOnInstance) { call in
            let id = try call.id("instance", as: InstanceID.self)
            let now = time.now()
            _ = try await act(
                call.body.action, on: [id], of: try await visibleAccounts(call.principal) ?? [], force: call.body.force ?? false,
                by: try await user(call.principal),
                remembering: { transitions, transaction in
                    guard let record = transitions.first?.record else { return }
                    try transaction.remember(try managedView(record, in: transaction), status: 202, for: call.idempotency, at: now)
                })
            return try await instance(id, for: call.principal)
        }
        router.on(ManageAPI.console) { call in
            try await console(
                of: try call.id("instance"), in: try await visibleAccounts(call.principal) ?? [], by: try await user(call.principal))
        }
    }

    /// Cuts a list that is short enough to hold; it is put in the order of `key`, and the cursor is the last key of the page before.
    private static func page<Item>(_ items: [Item], _ call: Call<Empty>, key: (Item) -> String) throws -> CloudAPI.Page<Item> {
        let limit = try call.query.limit()
        let sorted = items.sorted { key($0) < key($1) }
        let rest = call.query.text("cursor").map { cursor in sorted.drop { key($0) <= cursor } } ?? sorted[...]
        return CloudAPI.Page(Array(rest.prefix(limit)), next: rest.count > limit ? rest.prefix(limit).last.map(key) : nil)
    }
}

extension LaunchRequest {
    fileprivate init(_ body: LaunchInstances) throws {
        let count = body.count ?? 1
        guard (1...1_000).contains(count) else {
            throw Refusal(
                "launch.count", .invalid, "A launch makes 1 to 1000 machines, not \(count).", facts: ["count": .number(count)],
                nearest: "\(min(max(count, 1), 1_000))")
        }
        if let userData = body.userData {
            guard let raw = Data(base64Encoded: userData), raw.count <= 16_384 else {
                throw Refusal("launch.userData", .invalid, "User data is base64 of at most 16384 bytes.")
            }
        }
        self.init(
            image: body.image, offering: body.offering, count: Int(count)...Int(count), keyName: body.keyName, userData: body.userData,
            zone: body.placement?.zone, placement: body.placement,
            tags: body.name.map { [ResourceTag(key: "Name", value: $0)] } ?? [], clientToken: nil, canonicalText: try WireJSON.text(body),
            network: body.network)
    }
}
