import Foundation
import Glibc
import Primitives

/// dnsmasq as the DHCP and DNS server of one network on this host. It runs on when this process dies and is adopted by the next.
///
/// Leases are fixed: a file per machine in `hosts/`, which dnsmasq watches.
struct AddressServer: Sendable {
    var directory: String
    /// The device whose guests it serves.
    var device: String
    /// The address is its own.
    var network: IPv4Prefix
    var runner: CommandRunner
    /// Whom its leases are for: nil is the host's own network.
    var tenant: NetworkID?
    /// What this network's guests are told beside the usual, and whom it asks.
    var settings: [String] = []

    private var hostsDirectory: String { directory + "/hosts" }
    private var pidFile: String { directory + "/dnsmasq.pid" }

    /// dnsmasq drops its privileges, so it must be able to look into its directory as nobody.
    private static let openMode: mode_t = 0o755

    private var arguments: [String] {
        [
            "--conf-file=/dev/null", "--pid-file=\(pidFile)", "--user=nobody", "--group=nogroup", "--interface=\(device)",
            "--bind-interfaces",
            "--except-interface=lo", "--listen-address=\(network.address)", "--dhcp-hostsdir=\(hostsDirectory)",
            "--dhcp-range=\(network.network),static,\(network.mask),1h", "--dhcp-authoritative", "--leasefile-ro", "--no-hosts",
            "--domain-needed", "--bogus-priv", "--no-ping", "--quiet-dhcp", "--log-facility=/dev/null",
        ] + settings
    }

    /// By directory: a server is started and stopped by one task at a time.
    private static let lock = KeyedLock<String>()

    /// Running, with these settings. One with other settings is replaced.
    func ensureRunning() async throws(Refusal) {
        try await Self.lock.withLock(directory) { () async throws(Refusal) in try await makeRun() }
    }

    private func makeRun() async throws(Refusal) {
        try await Blocking.run { () throws(Refusal) in
            try Files.makeDirectory(hostsDirectory, mode: Self.openMode)
            let above = (directory as NSString).deletingLastPathComponent
            for path in (tenant == nil ? [] : [above]) + [directory, hostsDirectory] { chmod(path, Self.openMode) }
        }
        if let process = try await running() {
            if HostProcess.commandLine(of: process.pid).suffix(arguments.count).elementsEqual(arguments) { return }
            try await stop(process)
        }
        try await start()
    }

    /// A former server that is just ending holds its address a moment longer than its process can be recognised.
    private func start() async throws(Refusal) {
        for attempt in 1... {
            let result = try await runner.run("dnsmasq", arguments)
            if result.succeeded { return }
            guard attempt < 20, result.complaint.contains("already in use") else {
                throw CommandRunner.failed("dnsmasq", arguments, result.complaint)
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// The server that was started for this directory, if it lives.
    private func running() async throws(Refusal) -> ProcessIdentity? {
        let (pidFile, own) = (pidFile, "--pid-file=\(pidFile)")
        return try await Blocking.run { () throws(Refusal) in
            guard let pid = HostProcess.pid(inFile: pidFile), let process = HostProcess.identity(of: pid),
                HostProcess.commandLine(of: pid).contains(own)
            else { return nil }
            return process
        }
    }

    private func stop(_ process: ProcessIdentity) async throws(Refusal) {
        let pidFile = pidFile
        try await Blocking.run { () throws(Refusal) in
            HostProcess.signal(process, SIGTERM)
            for _ in 0..<400 where HostProcess.isAlive(process) { usleep(5_000) }
            HostProcess.signal(process, SIGKILL)
            try Files.remove(pidFile)
        }
    }

    func ensureStopped() async throws(Refusal) {
        try await Self.lock.withLock(directory) { () async throws(Refusal) in
            if let process = try await running() { try await stop(process) }
        }
    }

    // MARK: - Leases

    private func file(_ instance: InstanceID) -> String { "\(hostsDirectory)/\(instance)" }

    /// `MAC,address,name`, and the owner in a comment after it. As a tag (`set:`) it would end dnsmasq 2.90: that frees a tag twice when it
    /// reads its leases again and one of them is in use.
    func lease(_ instance: InstanceID) -> NetworkPort? {
        guard let lines = Files.readText(file(instance))?.split(separator: "\n"), let line = lines.first else { return nil }
        let fields = line.split(separator: ",").map(String.init)
        let owner = lines.dropFirst().first { $0.hasPrefix(Self.ownerMark) }.map { String($0.dropFirst(Self.ownerMark.count)) }
        guard fields.count == 3, let address = IPv4Address(fields[1]) else { return nil }
        return NetworkPort(
            instance: instance, macAddress: fields[0], address: address, hostName: fields[2], network: tenant, owner: owner)
    }

    private static let ownerMark = "# owner "

    func leases() -> [NetworkPort] { Files.list(hostsDirectory).compactMap { InstanceID($0).flatMap(lease) } }

    func write(_ port: NetworkPort) throws(Refusal) {
        let owner = port.owner.map { Self.ownerMark + $0 + "\n" } ?? ""
        let text = "\(port.macAddress),\(port.address),\(port.hostName)\n" + owner
        try Files.write(Array(text.utf8), to: file(port.instance), mode: 0o644)
    }

    func remove(_ instance: InstanceID) throws(Refusal) { try Files.remove(file(instance)) }

    /// dnsmasq sees new files by itself, but forgets old ones only when told to read everything again.
    func readAgain() async throws(Refusal) {
        if let process = try await running() { HostProcess.signal(process, SIGHUP) }
    }

    /// Takes back the address of a machine that has it no more, and whose file is gone. dnsmasq keeps it for whom it was leased to until
    /// that runs out, unless that one, who may have been ended without a word, gives it back.
    func takeBack(_ port: NetworkPort) async throws(Refusal) {
        try await Self.lock.withLock(directory) { () async throws(Refusal) in
            guard let process = try await running() else { return }
            HostProcess.signal(process, SIGHUP)
            let returned = try? await runner.run("dhcp_release", [device, "\(port.address)", port.macAddress])
            if returned?.succeeded == true { return }
            // A server that has just begun knows of no leases; guests that renew theirs get them again.
            try await stop(process)
            try await start()
        }
    }
}
