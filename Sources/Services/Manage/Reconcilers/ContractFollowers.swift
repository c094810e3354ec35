import CloudAPI
import CloudClient
import Foundation
import Logging
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization

/// One follower for each contract that is not closed: takes in what connect says of its instances and meters, to the last reading.
struct ContractFollowers: Service {
    let core: ManageCore
    private let followed = Followed()

    init(core: ManageCore) { self.core = core }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                while !Task.isCancelled {
                    let heard = core.database.changes.latest
                    let open = (try? await core.database.read { try ContractRecord.all(in: $0, open: true) }) ?? []
                    for contract in open where followed.insert(contract.id) {
                        group.addTask {
                            await follow(contract.id)
                            followed.remove(contract.id)
                        }
                    }
                    await core.database.changes.wait(after: heard, timeout: .seconds(1))
                }
            }
        }
    }

    private func follow(_ id: ContractID) async {
        while !Task.isCancelled {
            do {
                guard let contract = try await core.database.read({ try ContractRecord.load(id, in: $0) }), contract.closed == nil else {
                    return
                }
                if contract.isOver(at: core.time.now()) {
                    try await core.closeDown(contract)
                } else if try await core.hasInstances(contract) {
                    try await core.listen(to: contract)
                } else {
                    try await Task.sleep(for: .milliseconds(250))
                }
            } catch is CancellationError {
                return
            } catch {
                core.logger.info("a contract cannot be followed now", metadata: ["contract": "\(id)", "error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}

private final class Followed: Sendable {
    private let state = Mutex<Set<ContractID>>([])
    func insert(_ id: ContractID) -> Bool { state.withLock { $0.insert(id).inserted } }
    func remove(_ id: ContractID) { _ = state.withLock { $0.remove(id) } }
}

extension ManageCore {
    /// Machines and volumes that connect has been told of. Before the first there is nothing to hear, and perhaps not yet a certificate.
    fileprivate func hasInstances(_ contract: ContractRecord) async throws -> Bool {
        try await database.read { context in
            try ["instances", "volumes"].contains { table in
                try context.queryOne("SELECT id FROM \(table) WHERE contract = $1 AND seen IS NOT NULL LIMIT 1", [SQLValue(contract.id)])
                    != nil
            }
        }
    }

    /// One long poll of connect's feed under this contract, and what it brought.
    fileprivate func listen(to contract: ContractRecord) async throws {
        let (changes, meters) = try await database.read { context in
            (try Bookmark.load("changes/\(contract.id)", in: context), try Bookmark.load("meters/\(contract.id)", in: context))
        }
        let client = try await connects.client(for: contract.view)
        let page = try await client.call(
            ConnectAPI.contractChanges, query: ["after": String(changes), "wait": "15"], deadline: .seconds(25))
        var views: [InstanceView] = []
        for subject in Set(page.changes.filter { $0.kind != "meter" }.map(\.subject)).compactMap(InstanceID.init).sorted() {
            views.append(try await client.call(ConnectAPI.showInstance, path: ["instance": subject.description], deadline: .seconds(10)))
        }
        var readings = MeterPage(readings: [], latest: meters)
        if changes == 0 || page.changes.contains(where: { $0.kind == "meter" }) { readings = try await allReadings(client, after: meters) }
        try await takeIn(try await volumes(among: page.changes.filter { $0.kind != "meter" }.map(\.subject), client), of: contract)
        let orphans = try await takeIn(views, readings, of: contract, changes: page.latest)
        for orphan in orphans {
            _ = try await client.call(
                ConnectAPI.actOnInstance, path: ["instance": orphan.description], body: ActOnInstance(action: .terminate),
                idempotencyKey: "orphan-\(orphan)", deadline: .seconds(10))
        }
    }

    private func allReadings(_ client: CloudClient, after position: Int64) async throws -> MeterPage {
        var all = MeterPage(readings: [], latest: position)
        while true {
            let page = try await client.call(ConnectAPI.contractMeters, query: ["after": String(all.latest)], deadline: .seconds(10))
            all.readings += page.readings
            guard page.latest > all.latest, !page.readings.isEmpty else { return all }
            all.latest = page.latest
        }
    }

    /// After the end: the contract's certificate is dead, and the last states and readings are asked for with manage's own identity,
    /// until nothing more can come.
    fileprivate func closeDown(_ contract: ContractRecord) async throws {
        try await enforceEnd(of: contract)
        try await endVolumes(of: contract)
        try connects.drop(contract.id)
        let position = try await database.read { try Bookmark.load("meters/\(contract.id)", in: $0) }
        let now = time.now()
        let name = IdentityName.dns(role: .connect, id: contract.view.datacenter.description, exchange: identity.record.exchange)
        do {
            let closing = try await withClient(name: name, address: contract.view.peerAddress) { client in
                try await client.call(
                    ConnectAPI.closing, path: ["contract": contract.id.description], query: ["after": String(position)],
                    deadline: .seconds(10))
            }
            _ = try await takeIn(closing.instances, closing.meters, of: contract, changes: nil)
            let isQuiet =
                closing.meters.readings.isEmpty && closing.instances.allSatisfy { $0.state == .stopped || $0.state == .terminated }
            // A node cuts a machine's last reading when it stops; this leaves it time to arrive.
            if isQuiet, now > contract.view.period.end + .seconds(configuration.contractGraceSeconds + 60) {
                return try await close(contract)
            }
        } catch let error where !(error is CancellationError) {
            try await presumeStopped(contract)
            // A seller that stays away for a day will not tell any more.
            if now > contract.view.period.end + .days(1) { return try await close(contract) }
        }
        try await Task.sleep(for: .seconds(2))
    }

    private func close(_ contract: ContractRecord) async throws {
        let now = time.now()
        try await database.write {
            try $0.execute("UPDATE contracts SET closed = $2 WHERE id = $1", [SQLValue(contract.id), SQLValue(now)])
        }
    }
}
