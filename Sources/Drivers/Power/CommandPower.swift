public import Primitives

/// Power by a command of the site: `command off|on|status NAME IDENTIFIER`. It wraps whatever the site has: `ipmitool`, a switched power
/// strip, `ssh` to the hypervisor of virtual hosts, or a storage array that takes the host's access away. `status` prints `on` or `off`;
/// any exit but 0 is a failure. Nothing of a host's name reaches a shell.
public struct CommandPower: PowerDriver {
    private let program: String
    private let arguments: [String]
    private let deadline: Duration
    private let interval: Duration
    private let runner = CommandRunner(namespace: nil)

    /// - Parameters:
    ///   - command: a program and its first arguments, separated by spaces.
    ///   - deadline: for one verb, with the wait until the host is seen off or on.
    public init(command: String, deadline: Duration = .seconds(30), interval: Duration = .milliseconds(500)) throws(Refusal) {
        let words = command.split(separator: " ").map(String.init)
        guard let program = words.first else {
            throw Refusal("power.command", .invalid, "The power command is empty.", nearest: "/usr/local/sbin/host-power")
        }
        self.program = program
        arguments = Array(words.dropFirst())
        self.deadline = deadline
        self.interval = interval
    }

    public func ensureOff(_ host: PowerTarget) async throws(Refusal) { try await ensure(.off, host) }
    public func ensureOn(_ host: PowerTarget) async throws(Refusal) { try await ensure(.on, host) }

    public func state(of host: PowerTarget) async throws(Refusal) -> PowerState {
        let said = try await run("status", host).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        guard let state = PowerState(rawValue: said) else {
            throw Refusal(
                "power.status", .unavailable, "The power command said '\(said.prefix(80))' of \(host.name).",
                facts: ["host": .text(host.name)], nearest: "on or off")
        }
        return state
    }

    private func ensure(_ wanted: PowerState, _ host: PowerTarget) async throws(Refusal) {
        let end = ContinuousClock.now + deadline
        if try await state(of: host) == wanted { return }
        _ = try await run(wanted.rawValue, host)
        // While a controller switches, it may say nothing that can be read: that is waited out like the wrong state.
        var unread: Refusal?
        while ContinuousClock.now < end, !Task.isCancelled {
            do {
                if try await state(of: host) == wanted { return }
                unread = nil
            } catch { unread = error }
            try? await Task.sleep(for: interval)
        }
        throw Refusal(
            "power.deadline", .unavailable,
            "\(host.name) was not seen \(wanted.rawValue) within \(deadline)." + (unread.map { " \($0.message)" } ?? ""),
            facts: ["host": .text(host.name)], nearest: "look at the host, then vouch that it is off")
    }

    private func run(_ verb: String, _ host: PowerTarget) async throws(Refusal) -> String {
        try await runner.require(program, arguments + [verb, host.name, host.id.description], deadline: deadline)
    }
}
