import CloudAPI
import Drivers
import Foundation
package import Logging
package import Primitives
package import ServiceKit
package import ServiceLifecycle
import Store

/// A node, put together: the agent on one host that runs virtual machines.
package struct NodeService: Sendable {
    /// What there is to run, and where it listens once it runs.
    package let services: [any Service]
    package let port = BoundPort()
    private let facts: NodeFacts
    private let listeners: NetworkListeners
    /// Where the metadata service listens, once it does.
    package var metadataPort: Int? { facts.metadataPort }
    package func metadataPort(of network: NetworkID) -> Int? { listeners.port(of: network) }

    /// - Parameter drivers: this host's own when nil; tests bring others.
    package init(
        _ configuration: NodeConfiguration, drivers: NodeDrivers? = nil, time: any TimeSource = SystemTime(),
        ids: any IDSource = RandomIDs(),
        logger: Logger
    ) async throws {
        guard let network = IPv4Prefix(configuration.guestNetwork) else {
            throw Refusal(
                "node.network", .invalid, "'\(configuration.guestNetwork)' is not a gateway address with its prefix.",
                nearest: "10.77.0.1/16")
        }
        let drivers = try drivers ?? NodeDrivers.ofThisHost(configuration, network)
        let database = try openDatabase(configuration.databaseURL)
        try await database.migrate([Tokens.migration] + Schema.migrations)
        let identity = try await ProgramIdentity.ofNode(configuration, time: time, logger: logger)
        let metrics = Metrics()
        let board = InstanceBoard()
        let core = NodeCore(
            configuration: configuration, network: network, drivers: drivers, database: database, identity: identity, board: board,
            volumes: VolumeBoard(news: board.news), networks: NetworkBoard(news: board.news),
            meters: MeterJournal(database, interval: .seconds(configuration.meterSeconds ?? 60)),
            lease: drivers.leases.map {
                HostLease(store: $0, watchdog: drivers.watchdog, lasts: .milliseconds(configuration.leaseMilliseconds))
            }, time: time, metrics: metrics, logger: logger)
        if let token = configuration.operatorToken {
            let (now, id) = (time.now(), ids.next(TokenID.self))
            try await database.write { try Tokens.insert(token, for: .operator, description: "operator", id: id, in: $0, at: now) }
        }
        facts = core.facts
        listeners = core.listeners
        try await core.restore()
        let router = ProgramRouter(database: database, metrics: metrics)
        router.serveHealth(metrics: metrics) { core.missing() }
        router.servePages(program: "node") { try await core.home($0) }
        services =
            [
                DatabaseClosing(database),
                try router.listen(host: configuration.host, port: configuration.port, security: .plain, bound: port, logger: logger),
                ComputeUpkeep(core: core), MachineWatch(core: core), GuestNetworkUpkeep(core: core), Reconciler(core: core),
                VolumeReconciler(core: core), NetworkReconciler(core: core),
                MeterLoop(core: core),
                IntentLoop(core: core), ReportLoop(core: core),
                Repeating("identity renewal", every: .seconds(600), logger: logger) { try await core.renewIdentityIfDue() },
            ] + (core.lease.map { [LeaseKeeper(core: core, lease: $0)] } ?? [])
    }
}

extension NodeDrivers {
    /// QEMU, local disks and a Linux bridge.
    static func ofThisHost(_ configuration: NodeConfiguration, _ network: IPv4Prefix) throws(Refusal) -> NodeDrivers {
        let data = configuration.dataDirectory
        let isShared = configuration.storageDirectory != nil || configuration.volumeDirectory != nil
        let writer = isShared ? "\(configuration.hostName ?? Hardware.hostName) \(data)" : ""
        return NodeDrivers(
            compute: try QEMUDriver(QEMUConfiguration(directory: data + "/machines", namespace: configuration.namespace)),
            storage: try LocalStorage(
                directory: configuration.storageDirectory ?? data + "/storage", volumes: configuration.volumeDirectory,
                writer: writer, reserveMiB: configuration.reservedDiskMiB),
            images: try LocalImageStore(
                directory: configuration.storageDirectory.map { $0 + "/images" } ?? data + "/images",
                writer: writer, reserveMiB: configuration.reservedDiskMiB),
            network: try LinuxBridgeNetwork(
                LinuxBridgeConfiguration(
                    bridge: configuration.bridge, gateway: network, metadataPort: configuration.metadataPort,
                    tunnel: try configuration.tunnelEnd(), namespace: configuration.namespace)),
            leases: configuration.leaseDirectory.map {
                FileLeases(directory: $0, deadline: .milliseconds(configuration.leaseMilliseconds / 6))
            },
            watchdog: configuration.watchdog.map { DeviceWatchdog(path: $0) })
    }
}

extension NodeConfiguration {
    func tunnelEnd() throws(Refusal) -> TunnelEnd? {
        guard let text = tunnelAddress else { return nil }
        guard let address = IPv4Address(text) else {
            throw Refusal(
                "node.tunnel", .invalid, "'\(text)' is not an IPv4 address.", nearest: "an address of this host, such as 10.0.0.7")
        }
        guard (1_280...65_535).contains(tunnelMTU) else {
            throw Refusal(
                "node.tunnel", .invalid, "A network between hosts that carries packets of \(tunnelMTU) bytes is of no use.",
                facts: ["tunnelMTU": .number(tunnelMTU)], nearest: "1280 to 65535 bytes")
        }
        return TunnelEnd(address: address, mtu: tunnelMTU)
    }
}

extension NodeCore {
    /// What keeps this node from doing its work; empty when ready.
    func missing() -> [String] {
        var missing: [String] = []
        if let problem = facts.networkProblem { missing.append("network: \(problem)") }
        if let lease, !lease.isHeld { missing.append("the lease on the pod's storage is not held") }
        if !facts.greeted { missing.append("connect has not answered yet") }
        return missing
    }

    func home(_ principal: Principal) async throws -> ServiceKit.Page {
        try ProgramRouter.authorize(principal, for: [.operator])
        let now = time.now()
        let rows = board.all.map { entry -> [String] in
            let seen = entry.observation(at: now)
            return [
                "\(entry.intent.instance)", entry.intent.desired.rawValue, seen.state.rawValue, entry.intent.address,
                entry.machine.executed.map(\.description) ?? "", entry.machine.processID.map(String.init) ?? "", seen.reason?.message ?? "",
            ]
        }
        let disks = volumes.all.map { entry -> [String] in
            [
                "\(entry.intent.volume)", entry.intent.desired.rawValue, entry.observation(at: now)?.state.rawValue ?? "preparing",
                "\(entry.intent.sizeMiB)", entry.intent.instance.map(\.description) ?? "", entry.failure?.message ?? "",
            ]
        }
        let tenants = networks.all.map { entry -> [String] in
            [
                "\(entry.intent.network)", entry.intent.desired.rawValue, entry.observation(at: now)?.state.rawValue ?? "preparing",
                entry.intent.cidr, "\(entry.intent.vni)", entry.intent.peers.joined(separator: ", "), entry.failure?.message ?? "",
            ]
        }
        return ServiceKit.Page(
            title: configuration.hostName ?? Hardware.hostName,
            facts: [
                ("Host", facts.values?.host.description ?? "not welcomed yet"), ("Zone", facts.values?.zone ?? ""),
                ("Hypervisor", await drivers.compute.description), ("Guest network", configuration.guestNetwork),
                ("Tunnel", configuration.tunnelAddress ?? "none: no tenants' networks"),
            ],
            tables: [
                .init("Instances", columns: ["Instance", "Wanted", "Is", "Address", "Running since", "Process", "Reason"], rows: rows),
                .init("Volumes", columns: ["Volume", "Wanted", "Is", "MiB", "Instance", "Reason"], rows: disks),
                .init("Networks", columns: ["Network", "Wanted", "Is", "Addresses", "VNI", "Peers", "Reason"], rows: tenants),
            ])
    }
}
