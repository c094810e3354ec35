import CloudAPI
import CloudClient
import Logging
import PKI
import Primitives
import ServiceKit
import Store

extension ManageCore {
    /// Contracts in which the participant is the seller are none of manage's.
    func copy(_ contract: ContractView) async throws {
        guard contract.buyer == identity.record.participant else { return }
        let now = time.now()
        try await database.write { try ContractRecord.save(contract, at: now, in: $0) }
    }

    /// Learns which products there are.
    func syncProducts() async throws {
        let products = try await identity.exchange.items(of: ExchangeAPI.listProducts)
        try await database.write { try SiteRecords.save(products, in: $0) }
    }

    /// Learns which datacenters there are, and from each connect which images it has.
    func syncSites() async throws {
        let datacenters = try await identity.exchange.items(of: ExchangeAPI.listDatacenters)
        try await database.write { try SiteRecords.save(datacenters, in: $0) }
        for datacenter in datacenters {
            do {
                try await syncImages(of: datacenter)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                logger.info(
                    "images of a datacenter cannot be read now", metadata: ["datacenter": "\(datacenter.name)", "error": "\(error)"])
            }
        }
    }

    private func syncImages(of datacenter: DatacenterView) async throws {
        let name = IdentityName.dns(role: .connect, id: datacenter.id.description, exchange: identity.record.exchange)
        let images = try await withClient(name: name, address: datacenter.peerAddress) { client in
            try await client.call(ConnectAPI.listImages, query: ["limit": "1000"], deadline: .seconds(5)).items
        }
        try await database.write { try SiteRecords.save(images, of: datacenter.id, in: $0) }
    }

    /// A client that speaks with manage's own identity, for one conversation.
    func withClient<Value>(name: String, address: String, _ body: (CloudClient) async throws -> Value) async throws -> Value {
        try await identity.client(name: name, address: address).closing(body)
    }
}
