import CloudAPI
import CloudClient
import Logging
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// Follows the exchange's change feed: copies this datacenter's contracts and pulls the seller's certificate of each.
struct ContractSync: Service {
    let core: ConnectCore

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await follow()
                } catch is CancellationError {
                    return
                } catch {
                    core.logger.warning("the exchange's change feed is interrupted", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
    }

    private func follow() async throws {
        let after = try await bookmark()
        if after == 0 { try await copyAll() }
        let page = try await core.identity.exchange.call(
            ExchangeAPI.changes, query: ["after": String(after), "wait": "30"], deadline: .seconds(45))
        for contract in Set(page.changes.filter { $0.topic == "contract" }.map(\.subject)).compactMap(ContractID.init).sorted() {
            try await copy(try await core.identity.exchange.call(ExchangeAPI.showContract, path: ["contract": contract.description]))
        }
        let latest = page.latest
        guard latest != after else { return }
        try await core.database.write { transaction in
            try transaction.execute(
                "INSERT INTO bookmarks (name, revision) VALUES ('exchange', $1) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision",
                [.integer(latest)])
        }
    }

    private func bookmark() async throws -> Int64 {
        try await core.database.read { try $0.queryOne("SELECT revision FROM bookmarks WHERE name = 'exchange'")?.integer("revision") ?? 0 }
    }

    private func copyAll() async throws {
        var cursor: String?
        repeat {
            let page = try await core.identity.exchange.call(
                ExchangeAPI.listContracts, query: ["limit": "1000"].merging(cursor.map { ["cursor": $0] } ?? [:]) { a, _ in a })
            for contract in page.items { try await copy(contract) }
            cursor = page.next
        } while cursor != nil
    }

    private func copy(_ contract: ContractView) async throws {
        guard contract.datacenter == core.datacenter else { return }
        let now = core.time.now()
        try await core.database.write { transaction in
            try ContractRecord.save(contract, in: transaction)
            _ = try transaction.appendChange(
                topic: ConnectCore.contractTopic(contract.id), subject: contract.id.description, kind: "contract", body: "{}", at: now)
        }
        try await core.ensureCertificate(of: contract)
    }
}

extension ConnectCore {
    private var contractFolder: String { configuration.dataDirectory + "/contracts" }

    /// Pulls, renews or drops the seller's certificate of a contract, whatever its state asks for.
    func ensureCertificate(of contract: ContractView) async throws {
        let folder = contractFolder + "/" + contract.id.description
        let now = time.now()
        guard contract.state == .created || contract.state == .delivering, now < contract.period.end else {
            identity.tls.setContract(contract.id, credential: nil)
            return
        }
        if let held = try Credential.load(directory: folder), !held.needsRenewal(now: now, contractEnd: contract.period.end) {
            return identity.tls.setContract(contract.id, credential: held)
        }
        let key = try CredentialKey.loadOrCreate(directory: folder)
        let issued = try await identity.exchange.call(
            ExchangeAPI.issueContractCertificate, path: ["contract": contract.id.description],
            body: CertificateRequest(csr: try key.csrPEM()))
        let credential = try key.credential(chainPEM: issued.chain)
        try credential.save(directory: folder)
        identity.tls.setContract(contract.id, credential: credential)
    }
}
