import CloudAPI
import CloudClient
import Foundation
import Logging
import PKI
import Primitives
import ServiceKit
import Synchronization

/// Connections to the sellers' connects: one client per contract, which shows the contract's certificate.
///
/// Certificates are pulled when they are first needed, kept on disk, and renewed well before they lapse. Keys are made here.
final class ConnectClients: Sendable {
    private struct Entry {
        var credential: Credential
        var address: String
        var client: CloudClient
    }
    private struct State {
        var entries: [ContractID: Entry] = [:]
        /// Clients no longer handed out; closed when requests under way must have ended.
        var retired: [(client: CloudClient, at: Instant)] = []
    }

    private let identity: ProgramIdentity
    private let folder: String
    private let time: any TimeSource
    private let state = Mutex(State())
    private let gate = KeyedGate<ContractID>()

    init(identity: ProgramIdentity, dataDirectory: String, time: any TimeSource) {
        self.identity = identity
        self.folder = dataDirectory + "/contracts"
        self.time = time
    }

    /// A client that speaks for the buyer of this contract, with a certificate that is good now.
    func client(for contract: ContractView) async throws -> CloudClient {
        if let client = current(contract) { return client }
        return try await gate.run(contract.id) {
            if let client = current(contract) { return client }
            let credential = try await credential(for: contract)
            let name = IdentityName.dns(contract: contract.id, exchange: identity.record.exchange)
            let client = try identity.client(name: name, address: contract.peerAddress, credential: credential)
            let now = time.now()
            state.withLock { state in
                if let old = state.entries[contract.id] { state.retired.append((old.client, now)) }
                state.entries[contract.id] = Entry(credential: credential, address: contract.peerAddress, client: client)
            }
            return client
        }
    }

    private func current(_ contract: ContractView) -> CloudClient? {
        let now = time.now()
        return state.withLock { state in
            guard let entry = state.entries[contract.id], entry.address == contract.peerAddress, entry.credential.isValid(at: now),
                !entry.credential.needsRenewal(now: now, contractEnd: contract.period.end)
            else { return nil }
            return entry.client
        }
    }

    private func credential(for contract: ContractView) async throws -> Credential {
        let directory = folder + "/" + contract.id.description
        let now = time.now()
        if let held = try Credential.load(directory: directory), held.isValid(at: now),
            !held.needsRenewal(now: now, contractEnd: contract.period.end)
        {
            return held
        }
        let key = try CredentialKey.loadOrCreate(directory: directory)
        let issued = try await identity.exchange.call(
            ExchangeAPI.issueContractCertificate, path: ["contract": contract.id.description],
            body: CertificateRequest(csr: try key.csrPEM()),
            deadline: .seconds(10))
        let credential = try key.credential(chainPEM: issued.chain)
        try credential.save(directory: directory)
        return credential
    }

    /// Forgets a contract that is over, with its key.
    func drop(_ contract: ContractID) throws {
        let now = time.now()
        state.withLock { state in
            guard let entry = state.entries.removeValue(forKey: contract) else { return }
            state.retired.append((entry.client, now))
        }
        let directory = folder + "/" + contract.description
        if FileManager.default.fileExists(atPath: directory) { try FileManager.default.removeItem(atPath: directory) }
    }

    /// Closes clients that were replaced or dropped more than a minute ago.
    func closeRetired() async {
        let due = time.now() - .seconds(60)
        let old = state.withLock { state in
            defer { state.retired.removeAll { $0.at <= due } }
            return state.retired.filter { $0.at <= due }.map(\.client)
        }
        for client in old { await client.shutdown() }
    }

    /// Closes everything; at the end of the program.
    func closeAll() async {
        let all = state.withLock { state in
            defer { state = State() }
            return state.entries.values.map(\.client) + state.retired.map(\.client)
        }
        for client in all { await client.shutdown() }
    }
}

/// Lets one task at a time do something for a key; others wait their turn.
final class KeyedGate<Key: Hashable & Sendable>: Sendable {
    private let waiting = Mutex<[Key: [CheckedContinuation<Void, Never>]]>([:])

    init() {}

    func run<Value>(_ key: Key, _ body: () async throws -> Value) async throws -> Value {
        await enter(key)
        defer { leave(key) }
        return try await body()
    }

    private func enter(_ key: Key) async {
        await withCheckedContinuation { continuation in
            let isFree = waiting.withLock { waiting in
                if waiting[key] != nil {
                    waiting[key]?.append(continuation)
                    return false
                }
                waiting[key] = []
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    private func leave(_ key: Key) {
        let next = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
            guard let queue = waiting[key], !queue.isEmpty else {
                waiting[key] = nil
                return nil
            }
            return waiting[key]?.removeFirst()
        }
        next?.resume()
    }
}
