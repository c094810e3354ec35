import CloudAPI
import CloudClient
import Logging
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Stores a contract of this datacenter, and sees to the seller's certificate of it.
    func copy(_ contract: ContractView) async throws {
        guard contract.datacenter == datacenter else { return }
        let now = time.now()
        try await learnProducts([contract.product])
        try await write { transaction in
            try ContractRecord.save(contract, in: transaction)
            _ = try transaction.appendChange(
                topic: Self.contractTopic(contract.id), subject: contract.id.description, kind: "contract", body: "{}", at: now)
            guard contract.isOver else { return }
            let ledger = try ReservationLedger(transaction, at: now)
            for id in try Reservation.ids(of: contract.id, in: transaction) {
                guard var reservation = try Reservation.load(id, in: transaction) else { continue }
                try ledger.giveBackEnded(&reservation)
            }
        }
        do {
            try await ensureCertificate(of: contract)
        } catch let problem as ProblemDocument where problem.rule == "pki.authority.expires" && now < contract.period.start {
            // A forward that begins after the authority's present intermediate ends; upkeep asks again when the start is near.
            logger.info("the certificate of \(contract.id) comes later", metadata: ["detail": "\(problem.detail)"])
        }
    }

    /// Stores what the products of contracts promise that are not known yet: launches are held to it.
    /// - Parameter wanted: nil: those of all contracts that have not ended.
    func learnProducts(_ wanted: [ProductID]? = nil) async throws {
        let missing = memory.reading { state in
            let products = wanted ?? state.contracts.values.filter { $0.enforced == nil }.map(\.view.product)
            return Set(products).filter { state.products[$0] == nil }
        }
        guard !missing.isEmpty else { return }
        let found = try await identity.exchange.items(of: ExchangeAPI.listProducts).filter { missing.contains($0.id) }
        try await write { transaction in
            for product in found { try ProductRecord.save(product, in: transaction) }
        }
    }

    /// How long before a forward begins to deliver its certificate must be there.
    static let certificateLead = Span.days(1)

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
