import CloudAPI
import Fleet
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    func topology() async throws -> TopologyView {
        let configuration = self.configuration
        let datacenter = self.datacenter
        return try await database.read { context in
            let pods = try context.query(
                """
                SELECT p.id, p.name, p.zone, p.kind, p.storage, p.oversubscription, COUNT(h.id) AS hosts FROM pods p
                LEFT JOIN hosts h ON h.pod = p.id AND h.state <> 'retired' WHERE p.removed IS NULL
                GROUP BY p.id, p.name, p.zone, p.kind, p.storage, p.oversubscription ORDER BY p.name
                """, [])
            return TopologyView(
                datacenter: datacenter ?? DatacenterID(bits: 0), name: configuration.name, region: configuration.region,
                zones: try context.query("SELECT name FROM zones ORDER BY name").map { try $0.text("name") },
                pods: try pods.map(PodView.init))
        }
    }

    func sellerContracts() -> [SellerContractView] {
        memory.reading { state in
            state.contracts.values.sorted { $0.id < $1.id }.map { SellerContractView(contract: $0.view, capacity: state.capacity(of: $0)) }
        }
    }

    func images() async throws -> [ImageView] {
        try await database.read { context in
            try context.query("SELECT view FROM images ORDER BY created DESC, id", []).map {
                try WireJSON.decode(ImageView.self, from: Data(try $0.text("view").utf8))
            }
        }
    }

    /// Instances by identifier; the cursor is the last identifier of the page before.
    /// - Parameter host: only those that are there now, and may come back as running ones.
    func instances(under contract: ContractID?, limit: Int, cursor: String?, stuck: Bool = false, host: String? = nil) async throws
        -> CloudAPI.Page<InstanceView>
    {
        let now = time.now()
        if stuck { return try await stuckInstances(under: contract, limit: limit, cursor: cursor, host: host, at: now) }
        return try await database.read { context in
            let place = try host.map { try Self.hostID($0, in: context) }
            let records = try context.query(
                """
                SELECT \(InstanceRecord.columns) FROM instances WHERE ($1 = '' OR contract = $1) AND id > $2
                  \(place == nil ? "" : "AND host = $3 AND state <> 'terminated'") ORDER BY id LIMIT \(limit + 1)
                """, [.text(contract?.description ?? ""), .text(cursor ?? "")] + (place.map { [SQLValue($0)] } ?? [])
            ).map(InstanceRecord.init)
            let views = records.prefix(limit).map { $0.view(hostName: memory.hostName($0.host), at: now) }
            return CloudAPI.Page(views, next: records.count > limit ? views.last?.id.description : nil)
        }
    }

    /// Those that do not get where they should, among those that are not at rest.
    private func stuckInstances(
        under contract: ContractID?, limit: Int, cursor: String?, host: String?, at now: Instant
    ) async throws -> CloudAPI.Page<InstanceView> {
        try await database.read { context in
            let place = try host.map { try Self.hostID($0, in: context) }
            let records = try context.query(
                """
                SELECT \(InstanceRecord.columns) FROM instances WHERE ($1 = '' OR contract = $1) AND id > $2
                  AND (state IN ('pending', 'stopping', 'shutting-down') OR reason_code = 'Server.HostFailed' OR move IS NOT NULL) ORDER BY id
                """, [.text(contract?.description ?? ""), .text(cursor ?? "")]
            ).map(InstanceRecord.init).filter { $0.life.stuck(at: now) != nil && (place == nil || $0.host == place) }
            let views = records.prefix(limit).map { $0.view(hostName: memory.hostName($0.host), at: now) }
            return CloudAPI.Page(views, next: records.count > limit ? views.last?.id.description : nil)
        }
    }

    func console(of id: InstanceID, under contract: ContractID?) async throws -> ConsoleView {
        try await database.read { context in
            let record = try instance(id, under: contract, in: context)
            guard let row = try context.queryOne("SELECT output, at FROM consoles WHERE instance = $1", [SQLValue(id)]) else {
                return ConsoleView(instance: id, output: "", at: record.life.stateChanged)
            }
            return ConsoleView(instance: id, output: try row.text("output"), at: try row.instant("at"))
        }
    }

    func meters(under contract: ContractID?, after: Int64) async throws -> MeterPage {
        try await database.read { context in
            let rows = try context.query(
                """
                SELECT position, host, sequence, instance, contract, period_start, period_end, resources FROM meters
                WHERE ($1 = '' OR contract = $1) AND position > $2 ORDER BY position LIMIT 1000
                """, [.text(contract?.description ?? ""), .integer(after)])
            let readings = try rows.map { row in
                MeterReading(
                    host: try row.id("host"), sequence: try row.integer("sequence"), instance: try row.id("instance"),
                    contract: try row.id("contract"),
                    period: Period(start: try row.instant("period_start"), end: try row.instant("period_end")),
                    resources: try WireJSON.decode(Resources.self, from: Data(try row.text("resources").utf8)))
            }
            return MeterPage(readings: readings, latest: try rows.last?.integer("position") ?? min(after, context.latestRevision()))
        }
    }

    /// The last word on a contract, for the manage of its buyer.
    func closing(of id: ContractID, for principal: Principal, after: Int64) async throws -> ClosingView {
        guard case .program(let participant, .manage, _) = principal,
            let contract = memory.contract(id), contract.view.buyer == participant
        else { throw Refusal.unknownContract(id) }
        return ClosingView(
            instances: try await instances(under: id, limit: 1_000, cursor: nil).items, meters: try await meters(under: id, after: after))
    }

    /// An image file, from the offset of a `Range: bytes=N-` header on.
    func sendFile(sha256: String, _ request: Request) async throws -> Response {
        let (path, bytes) = try await imageFile(sha256: sha256)
        let offset = Self.offset(request.headers[.range])
        guard offset < bytes || bytes == 0 else {
            throw Refusal("http.range", .invalid, "The file has \(bytes) bytes, the range starts at \(offset).", nearest: "bytes=0-")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Refusal(
                "image.file", .unavailable, "The image file cannot be read.", nearest: "the same once the image is imported again")
        }
        try handle.seek(toOffset: UInt64(offset))
        let headers: HTTPFields = [.contentType: "application/octet-stream", .contentLength: String(bytes - offset)]
        return Response(
            status: offset > 0 ? .partialContent : .ok, headers: headers,
            body: .init { writer in
                defer { try? handle.close() }
                while let chunk = try handle.read(upToCount: 256 << 10), !chunk.isEmpty { try await writer.write(ByteBuffer(bytes: chunk)) }
                try await writer.finish(nil)
            })
    }

    private static func offset(_ range: String?) -> Int64 {
        guard let range, range.hasPrefix("bytes="), range.hasSuffix("-") else { return 0 }
        return max(0, Int64(range.dropFirst(6).dropLast()) ?? 0)
    }

    func home(_ principal: Principal) async throws -> ServiceKit.Page {
        try ProgramRouter.authorize(principal, for: [.operator])
        let hosts = try await hosts(HostListing.Filter(), after: "", limit: 200).items
        let contracts = sellerContracts()
        let instances = try await instances(under: nil, limit: 200, cursor: nil).items
        return ServiceKit.Page(
            title: configuration.name,
            facts: [
                ("Region", configuration.region), ("Zone", configuration.zone), ("Datacenter", datacenter?.description ?? ""),
                ("Peer address", peerAddress),
            ],
            tables: [
                .init(
                    "Hosts",
                    columns: [
                        "Host", "Name", "State", "vCPU used / promised", "Memory MiB", "Disk MiB", "Machines", "Hypervisor", "Last seen",
                    ],
                    rows: hosts.map { host in
                        [
                            host.id.description, host.name, host.state, "\(Self.cpu(host.allocated)) / \(Self.cpu(host.capacity))",
                            "\(host.allocated.memoryMiB) / \(host.capacity.memoryMiB)",
                            "\(host.allocated.diskMiB) / \(host.capacity.diskMiB)",
                            "\(host.instances)", host.hypervisor, host.lastSeen?.description ?? "never",
                        ]
                    }, empty: "No host has joined yet: make a token with `bourse host enrol`, then `bourse node serve` there."),
                .init(
                    "Contracts",
                    columns: ["Contract", "State", "Buyer", "Product", "Lots", "Price per lot-hour", "Ends", "Rolls", "Machines"],
                    rows: contracts.map { row in
                        let view = row.contract
                        return [
                            view.id.description, view.state.rawValue, view.buyerName, view.productName, "\(view.lots)",
                            "\(Money(microUnits: view.price, view.currency))", view.period.end.description, view.rolls ? "yes" : "no",
                            "\(row.capacity.instances)",
                        ]
                    }),
                .init(
                    "Machines", columns: ["Instance", "State", "Type", "Host", "Address", "Contract", "Reason"],
                    rows: instances.map { view in
                        [
                            view.id.description, view.state.rawValue, view.offering, view.hostName ?? "", view.privateAddress ?? "",
                            view.contract.description, view.reason?.message ?? "",
                        ]
                    }),
            ])
    }

    private static func cpu(_ resources: Resources) -> String { decimalText(microUnits: resources.milliCPU * 1_000) }
}

extension PodView {
    fileprivate init(_ row: Row) throws {
        let ratio = try WireJSON.decode(Oversubscription.self, from: Data(try row.text("oversubscription").utf8))
        self.init(
            id: try row.id("id"), name: try row.text("name"), zone: try row.text("zone"), kind: try row.text("kind"),
            storage: try row.value("storage"), cpuOversubscription: ratio.cpu, memoryOversubscription: ratio.memory,
            diskOversubscription: ratio.disk, hosts: try row.integer("hosts"))
    }
}
