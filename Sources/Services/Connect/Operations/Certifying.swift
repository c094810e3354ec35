import CloudAPI
import CloudClient
import Crypto
import Fleet
import Foundation
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Tests this datacenter for a product and hands the result in at the exchange, passed or not.
    func certify(_ call: Call<CertifyProduct>) async throws -> CertificationView {
        guard let datacenter else { throw Refusal.noDatacenter }
        let products = try await identity.exchange.items(of: ExchangeAPI.listProducts)
        guard let definition = products.first(where: { $0.id == call.body.product })?.definition else {
            throw Refusal.unknownProduct(call.body.product, among: products)
        }
        let (hosts, site) = try await database.read { (try HostRecord.all(in: $0), try SiteFacts(in: $0)) }
        let evidence = try WireJSON.text(TestEvidence(definition: definition, hosts: hosts.map(\.view), at: time.now()))
        let hash = SHA256.hash(data: Data(evidence.utf8)).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        let test = TechnicalTest(
            product: call.body.product, checks: checks(of: definition, hosts, site), evidence: evidence, evidenceHash: hash,
            validDays: call.body.validDays)
        return try await identity.exchange.call(
            ExchangeAPI.certifyTechnically, path: ["datacenter": datacenter.description], body: test,
            idempotencyKey: call.idempotency.map { "certify-" + $0.key })
    }

    private func checks(of definition: ProductDefinition, _ hosts: [HostRecord], _ site: SiteFacts) -> [CertificationCheck] {
        let pods = site.pods(for: definition)
        let mine = hosts.filter { pods.has($0.pod) }
        let up = mine.filter { $0.state == .up }
        let lots = up.map { $0.placeable.promised.wholeLots(of: definition.lot) }.reduce(0, +)
        let place = definition.zone ?? definition.region
        let isThere = definition.region == configuration.region && site.has(definition.zone)
        let misfit = site.misfit(of: definition).map { refusal($0, definition).message }
        return [
            CertificationCheck(
                name: "place", passed: isThere,
                detail: "delivered in \(place), stands in \(site.zones.joined(separator: ", ")) of \(configuration.region)"),
            CertificationCheck(name: "hosts", passed: !up.isEmpty, detail: "\(up.count) of \(mine.count) hosts that may deliver it are up"),
            CertificationCheck(name: "capacity", passed: lots > 0, detail: "\(counted(lots, "lot")) on the hosts that are up"),
            CertificationCheck(
                name: "pods", passed: misfit == nil,
                detail: misfit ?? "kind, storage, law and oversubscription of processors are as the product says"),
        ]
    }
}

/// What the checks are made of.
private struct TestEvidence: Codable {
    var definition: ProductDefinition
    var hosts: [HostView]
    var at: Instant
}
