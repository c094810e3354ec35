import Glibc
import Primitives

/// dnsmasq as the DHCP and DNS server of one host network. It runs on when this process dies and is adopted by the next.
///
/// Leases are fixed: a file per machine in `hosts/`, which dnsmasq watches.
struct AddressServer: Sendable {
    var directory: String
    var bridge: String
    var network: IPv4Prefix
    var runner: CommandRunner

    private var hostsDirectory: String { directory + "/hosts" }
    private var pidFile: String { directory + "/dnsmasq.pid" }

    /// dnsmasq drops its privileges, so it must be able to look into its directory as nobody.
    private static let openMode: mode_t = 0o755

    private var arguments: [String] {
        [
            "--conf-file=/dev/null", "--pid-file=\(pidFile)", "--user=nobody", "--group=nogroup", "--interface=\(bridge)",
            "--bind-interfaces",
            "--except-interface=lo", "--listen-address=\(network.address)", "--dhcp-hostsdir=\(hostsDirectory)",
            "--dhcp-range=\(network.network),static,\(network.mask),1h", "--dhcp-authoritative", "--leasefile-ro", "--no-hosts",
            "--domain-needed", "--bogus-priv", "--no-ping", "--quiet-dhcp", "--log-facility=/dev/null",
        ]
    }

    /// Running, with these settings. One with other settings is replaced.
    func ensureRunning() async throws(Refusal) {
        try await Blocking.run { () throws(Refusal) in
            try Files.makeDirectory(hostsDirectory, mode: Self.openMode)
            for path in [directory, hostsDirectory] { chmod(path, Self.openMode) }
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
        if let process = try await running() { try await stop(process) }
    }

    // MARK: - Leases

    private func file(_ instance: InstanceID) -> String { "\(hostsDirectory)/\(instance)" }

    func lease(_ instance: InstanceID) -> NetworkPort? {
        guard let fields = Files.readText(file(instance))?.split(separator: "\n").first?.split(separator: ","), fields.count == 3,
            let address = IPv4Address(String(fields[1]))
        else { return nil }
        return NetworkPort(instance: instance, macAddress: String(fields[0]), address: address, hostName: String(fields[2]))
    }

    func leases() -> [NetworkPort] { Files.list(hostsDirectory).compactMap { InstanceID($0).flatMap(lease) } }

    func write(_ port: NetworkPort) throws(Refusal) {
        try Files.write(Array("\(port.macAddress),\(port.address),\(port.hostName)\n".utf8), to: file(port.instance), mode: 0o644)
    }

    func remove(_ instance: InstanceID) throws(Refusal) { try Files.remove(file(instance)) }

    /// dnsmasq sees new files by itself, but forgets old ones only when told to read everything again.
    func forgetOldLeases() async throws(Refusal) {
        if let process = try await running() { HostProcess.signal(process, SIGHUP) }
    }
}
