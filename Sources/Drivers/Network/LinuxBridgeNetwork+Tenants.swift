import Foundation
public import Primitives

/// Tenants' networks. The order in `ensure` is that of safety: the filter is there before any device, and the router's before its guests.
extension LinuxBridgeNetwork {
    @discardableResult public func ensure(_ network: TenantNetwork) async throws(Refusal) -> MetadataPlace {
        let end = try network.validate(on: configuration.tunnel)
        guard try await underlay() != nil else {
            throw Refusal(
                "network.tunnel", .unavailable, "no device of this host has the tunnel address \(end.address)",
                facts: ["address": .text("\(end.address)")], nearest: "--tunnel-address with an address that this host has")
        }
        var wanted = network
        wanted.peers = Array(Set(network.peers)).filter { $0 != end.address }.sorted()
        let known = wanted
        return try await tenantLock.withLock(network.network) { () async throws(Refusal) -> MetadataPlace in
            try await make(known, end)
        }
    }

    private func make(_ network: TenantNetwork, _ end: TunnelEnd) async throws(Refusal) -> MetadataPlace {
        let records = records
        let record = try await filterLock.withLock(0) { () async throws(Refusal) -> TenantRecord in
            let record = try await Blocking.run { () throws(Refusal) -> TenantRecord in
                let record = try records.next(network)
                try records.write(record)
                return record
            }
            try await replaceRules()
            return record
        }
        let router = router(of: network.network)
        let scripts = TenantScripts(record: record, router: router, rules: rules)
        // A name server would live on in a namespace that has no name any more.
        if !Files.exists("/run/netns/\(router)") { try await addressServer(of: record).ensureStopped() }
        try await run(scripts.makeRouter, for: network)
        let inRouter = CommandRunner(namespace: router)
        try await inRouter.require(
            "nft", ["-f", "-"], input: RouterRules(network: network, metadataPort: configuration.metadataPort).replacement)
        let said = try await run(scripts.makeDevices(end), for: network)
        try await rejoin(record)
        let server = addressServer(of: record)
        // It is bound to the device that was there when it started.
        if said.contains(TenantScripts.newRouterPort) { try await server.ensureStopped() }
        try await server.ensureRunning()
        return MetadataPlace(address: "\(network.gateway)", port: configuration.metadataPort, namespace: router)
    }

    @discardableResult private func run(_ script: String, for network: TenantNetwork) async throws(Refusal) -> String {
        let result = try await runner.run("sh", ["-c", script], deadline: .seconds(20))
        if result.succeeded { return result.output }
        if let foreign = result.complaint.split(separator: "\n").first(where: { $0.hasPrefix("foreign device ") }) {
            let device = String(foreign.dropFirst("foreign device ".count))
            throw Refusal(
                "network.foreign", .conflict, "a network device \(device) exists that is not Bourse's",
                facts: ["device": .text(device), "network": .text("\(network.network)")], nearest: "rename it or remove it")
        }
        throw CommandRunner.failed("sh", ["network \(network.network)"], result.complaint)
    }

    /// A bridge that somebody took away came back without its guests.
    private func rejoin(_ record: TenantRecord) async throws(Refusal) {
        let server = addressServer(of: record)
        let ports = try await Blocking.run { () throws(Refusal) in server.leases() }
        guard !ports.isEmpty else { return }
        let steps = ports.map { "link set dev \($0.deviceName) mtu \(record.network.mtu) master \(record.bridge)\n" }.joined()
        // Some may be devices that are not there yet, or no longer.
        _ = try await runner.run("ip", ["-force", "-batch", "-"], input: steps)
    }

    public func ensureAbsent(_ network: NetworkID) async throws(Refusal) {
        try await tenantLock.withLock(network) { () async throws(Refusal) in
            let used = try await ports().filter { $0.network == network }.map(\.instance)
            guard used.isEmpty else { throw TenantNetwork.used(network, by: used) }
            try await remove(network)
        }
    }

    /// With whoever is on it. The filter is the last to go.
    func remove(_ network: NetworkID) async throws(Refusal) {
        let records = records
        if let server = try await addressServer(of: network) { try await server.ensureStopped() }
        try await runner.require("sh", ["-c", TenantScripts.remove(network, router: router(of: network), rules: rules)])
        try await filterLock.withLock(0) { () async throws(Refusal) in
            let wasKnown = try await Blocking.run { () throws(Refusal) -> Bool in
                defer { try? records.remove(network) }
                return records.record(network) != nil
            }
            if wasKnown { try await replaceRules() }
        }
    }

    public func networks() async throws(Refusal) -> [TenantNetwork] { try await tenantRecords().map(\.network) }

    // MARK: - What is written down

    func tenantRecords() async throws(Refusal) -> [TenantRecord] {
        let records = records
        return try await Blocking.run { () throws(Refusal) in records.all() }
    }

    private func record(of network: NetworkID) async throws(Refusal) -> TenantRecord? {
        let records = records
        return try await Blocking.run { () throws(Refusal) in records.record(network) }
    }

    func tenantServers() async throws(Refusal) -> [AddressServer] { try await tenantRecords().map { addressServer(of: $0) } }

    /// Nil: no such network.
    func addressServer(of network: NetworkID?) async throws(Refusal) -> AddressServer? {
        guard let network else { return server }
        return try await record(of: network).map { addressServer(of: $0) }
    }

    /// It asks the host's own name server, through the way out; one whose guests have no way out answers with what it knows.
    private func addressServer(of record: TenantRecord) -> AddressServer {
        let network = record.network
        let upstream = network.hasInternet ? ["--server=\(record.hostEnd)"] : []
        return AddressServer(
            directory: records.folder(network.network), device: TenantRecord.inside, network: network.gatewayPrefix,
            runner: CommandRunner(namespace: router(of: network.network)), tenant: network.network,
            settings: ["--dhcp-option=26,\(network.mtu)", "--no-resolv"] + upstream)
    }

    func tenantPlace(of port: NetworkPort, on network: NetworkID) async throws(Refusal) -> Place {
        guard let record = try await record(of: network) else { throw TenantNetwork.unknown(network) }
        try port.validate(in: record.network.gatewayPrefix)
        return Place(bridge: record.bridge, group: .tenantGuest, mtu: record.network.mtu, server: addressServer(of: record))
    }

    /// The name says whose it is: several hosts may be namespaces of one machine.
    func router(of network: NetworkID) -> String { (configuration.directory as NSString).lastPathComponent + "-\(network)" }

    /// The network between the hosts, as far as this host is in it; nil when it does not have the tunnel address.
    func underlay() async throws(Refusal) -> IPv4Prefix? {
        guard let end = configuration.tunnel else { return nil }
        let shown = try await runner.require("ip", ["-o", "-4", "address", "show", "to", "\(end.address)/32"])
        let prefixes = shown.split(whereSeparator: \.isWhitespace).compactMap { text -> IPv4Prefix? in
            let text = String(text)
            // An address of its own, without a network, is a prefix of 32 bits.
            return text == "\(end.address)/32" || text == "\(end.address)/31" ? IPv4Prefix("\(end.address)/30") : IPv4Prefix(text)
        }
        return prefixes.first { $0.address == end.address }
    }
}
