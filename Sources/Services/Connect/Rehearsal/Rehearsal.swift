import CloudAPI
package import Drivers
import Fleet
import Foundation
package import Logging
import PKI
import Primitives
import ServiceKit
import Store

/// A connect on a simulated site: with an identity, contracts, an image and enrolled hosts, but without an exchange.
package struct Rehearsal: Sendable {
    package let service: ConnectService

    /// - Parameter instances: that run already, spread over the hosts.
    ///
    /// Makes what is missing; what is there stays, so that a second start is a restart.
    package init(
        _ site: SimulatedSite, instances: Int, meterSeconds: Int64, heartbeatSeconds: Int64, logger: Logger
    ) async throws {
        let folder = site.directory + "/connect"
        try Self.makeIdentity(site, in: folder + "/identity")
        try Self.makeCertificates(site, in: folder + "/contracts")
        var configuration = ConnectConfiguration(
            dataDirectory: folder, databaseURL: "sqlite:\(folder)/connect.db", exchangeURL: "http://127.0.0.1:1", name: "rehearsal",
            region: SimulatedSite.region, zone: SimulatedSite.zone)
        configuration.operatorToken = SimulatedSite.operatorToken
        (configuration.publicPort, configuration.peerPort) = (0, 0)
        configuration.meterSeconds = meterSeconds
        configuration.heartbeatSeconds = heartbeatSeconds
        service = try await ConnectService(configuration, logger: logger)
        try await service.core.populate(site)
        try await service.core.fill(site, instances: instances)
    }

    private static func makeIdentity(_ site: SimulatedSite, in folder: String) throws {
        guard !FileManager.default.fileExists(atPath: folder + "/identity.json") else { return }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let now = SystemTime().now()
        let authority = try site.authority(at: now)
        let key = CredentialKey()
        let id = SimulatedSite.datacenter.description
        let issued = try authority.issueIdentity(
            csrPEM: try key.csrPEM(),
            identity: .program(exchange: SimulatedSite.exchange, participant: SimulatedSite.seller, role: .connect, id: id),
            extraNames: ["127.0.0.1"], now: now)
        try key.credential(chainPEM: issued.chainPEM).save(directory: folder)
        let record = ProgramIdentity.Record(
            exchange: SimulatedSite.exchange, participant: SimulatedSite.seller, role: .connect, id: id, peerAddress: "127.0.0.1:1",
            peerName: IdentityName.dns(role: .exchange, id: "main", exchange: SimulatedSite.exchange), exchangeURL: "http://127.0.0.1:1",
            root: authority.rootPEM, names: ["127.0.0.1"])
        try WireJSON.encode(record).write(to: URL(fileURLWithPath: folder + "/identity.json"))
    }
}

extension Rehearsal {
    /// The seller's certificates of all contracts: there is no exchange to get them from.
    private static func makeCertificates(_ site: SimulatedSite, in folder: String) throws {
        let now = SystemTime().now()
        let authority = try site.authority(at: now)
        for number in 0..<site.contracts {
            let own = folder + "/" + SimulatedSite.contract(number).description
            guard !FileManager.default.fileExists(atPath: own) else { continue }
            let key = CredentialKey()
            var terms = SimulatedSite.terms(
                number, lots: site.lotsPerContract, period: Period(start: now - .minutes(1), end: now + .days(1)))
            terms.side = .seller
            let issued = try authority.issueContract(csrPEM: try key.csrPEM(), terms: terms, now: now)
            try key.credential(chainPEM: issued.chainPEM).save(directory: own)
        }
    }
}

extension ConnectCore {
    /// Writes the site's rows, once.
    fileprivate func populate(_ site: SimulatedSite) async throws {
        guard memory.reading({ $0.contracts.isEmpty }) else { return }
        let now = time.now()
        try await write { transaction in
            try ProductRecord.save(Self.product(at: now), in: transaction)
            for number in 0..<site.contracts { try ContractRecord.save(Self.contract(number, site, at: now), in: transaction) }
            let manifest = ImageManifest(
                id: SimulatedSite.image, name: "rehearsal", files: [], commandLine: nil, minimumMemoryMiB: 64, virtualSizeMiB: 64)
            let view = ImageView(
                id: SimulatedSite.image, name: "rehearsal", description: "nothing", architecture: "x86_64", virtualSizeMiB: 64,
                minimumMemoryMiB: 64, user: "root", created: now)
            try transaction.execute(
                "INSERT INTO images (id, name, manifest, view, created) VALUES ($1, $2, $3, $4, $5)",
                [
                    SQLValue(SimulatedSite.image), .text("rehearsal"), .text(try WireJSON.text(manifest)), .text(try WireJSON.text(view)),
                    SQLValue(now),
                ])
            try Self.addHosts(site, at: now, in: transaction)
        }
    }

    private static func addHosts(_ site: SimulatedSite, at now: Instant, in transaction: FleetTransaction) throws {
        guard let pod = try transaction.queryOne("SELECT id FROM pods ORDER BY id LIMIT 1")?.text("id") else {
            throw StoreError.corrupted("there is no pod")
        }
        let hosts = (0..<site.hosts).map(SimulatedSite.host)
        try transaction.executeMany(
            "INSERT INTO node_enrolments (hash, host, pod, expires, used) VALUES ($1, $2, $3, $4, $4)",
            hosts.map { [.text("rehearsal-\($0)"), SQLValue($0), .text(pod), SQLValue(now)] })
        let hardware = try WireJSON.text(site.hardware)
        try transaction.executeMany(
            """
            INSERT INTO hosts (id, pod, name, zone, state, hardware, hypervisor, agent_version, guest_network, last_seen, meter_sequence)
            VALUES ($1, $2, $3, $4, 'up', $5, 'simulated', '1', '10.77.0.1/16', $6, 0)
            """,
            hosts.map { [SQLValue($0), .text(pod), .text("host-\($0.bits)"), .text(SimulatedSite.zone), .text(hardware), SQLValue(now)] })
        try transaction.executeMany(
            "INSERT INTO host_places (host, name, pod, domains) VALUES ($1, $2, $3, '[]')",
            hosts.map { [SQLValue($0), .text("host-\($0.bits)"), .text(pod)] })
        for host in try HostRecord.plain(in: transaction) { try transaction.note(host) }
    }

    /// Writes rows of instances that run, once, some thousands in one transaction.
    fileprivate func fill(_ site: SimulatedSite, instances: Int) async throws {
        guard memory.reading({ $0.occupancy.instanceCount == 0 }) else { return }
        let now = time.now()
        for first in stride(from: 0, to: instances, by: 10_000) {
            let records = (first..<min(instances, first + 10_000)).map { Self.running($0, site, at: now) }
            try await write { transaction in
                for record in records { try record.insert(in: transaction) }
            }
        }
    }

    private static func running(_ number: Int, _ site: SimulatedSite, at now: Instant) -> InstanceRecord {
        // Spread as random identifiers are, and apart from those that buyers choose.
        var generator = SeededGenerator(seed: UInt64(number) | 1 << 40)
        let id = InstanceID(bits: generator.next())
        let spec = CreateInstance(
            id: id, image: SimulatedSite.image, offering: "m1.small", resources: SimulatedSite.lot, keys: [], userData: nil,
            reservation: ReservationID(bits: id.bits), launchIndex: 0, account: AccountID(bits: 1), tags: ["Name": "rehearsal"], zone: nil)
        var life = InstanceLifecycle(launchedAt: now)
        _ = life.observe(.running, generation: life.generation, reason: nil, executed: SimulatedSite.executed(id), at: now)
        let address = GuestNetwork.address("10.77.0.0").map { $0 + 10 + UInt32(number / site.hosts) }
        return InstanceRecord(
            spec: spec, contract: SimulatedSite.contract(number % site.contracts), host: SimulatedSite.host(number % site.hosts),
            zone: SimulatedSite.zone, address: address.map(GuestNetwork.text), mac: GuestNetwork.macAddress(id.bits), life: life)
    }

    private static func product(at now: Instant) -> ProductView {
        let definition = ProductDefinition(
            name: "general", unitClass: "general", lot: SimulatedSite.lot, region: SimulatedSite.region, zone: SimulatedSite.zone,
            jurisdiction: "DE", tenancy: .shared, storage: .das, firmness: .firm, slaProfile: "standard", largestOversubscription: 100_000,
            currency: .eur, spotPeriodSeconds: 3_600)
        return ProductView(id: ProductID(bits: 4), definition: definition, termsHash: "00", created: now)
    }

    private static func contract(_ number: Int, _ site: SimulatedSite, at now: Instant) -> ContractView {
        let id = SimulatedSite.contract(number)
        return ContractView(
            id: id, state: .delivering, reason: nil, buyer: SimulatedSite.buyer, buyerName: "Buyer", seller: SimulatedSite.seller,
            sellerName: "Seller", product: ProductID(bits: 4), productName: "general", series: SeriesID(bits: 5),
            trade: TradeID(bits: id.bits), datacenter: SimulatedSite.datacenter, region: SimulatedSite.region, zone: SimulatedSite.zone,
            peerAddress: "127.0.0.1:1", lots: site.lotsPerContract, lot: SimulatedSite.lot, price: 40_000, currency: .eur,
            period: Period(start: now - .hours(1), end: now + .days(30)), rolls: true, termsHash: "00", settledMicroUnits: 0)
    }
}
