import Drivers
import Primitives
import Testing

/// What every power driver keeps to.
@Suite struct PowerTests {
    private let host = PowerTarget(id: HostID(bits: 1), name: "host-1; touch broken")
    private let other = PowerTarget(id: HostID(bits: 2), name: "host-2")

    private func keepsTheContract(_ power: any PowerDriver) async throws {
        for target in [host, other] { try await power.ensureOn(target) }
        #expect(try await power.state(of: host) == .on)
        try await power.ensureOff(host)
        #expect(try await power.state(of: host) == .off)
        #expect(try await power.state(of: other) == .on, "only that host")
        try await power.ensureOff(host)
        #expect(try await power.state(of: host) == .off)
        try await power.ensureOn(host)
        try await power.ensureOn(host)
        #expect(try await power.state(of: host) == .on)
    }

    @Test func simulated() async throws { try await keepsTheContract(SimulatedPower(SimulatedBehaviour(seed: 1))) }

    /// A command of the test's own, as a site would write one.
    private func command(_ lab: Lab, _ body: String) async throws -> CommandPower {
        try await lab.shell("printf '%s\\n' '#!/bin/sh' '\(body)' > \(lab.directory)/power && chmod +x \(lab.directory)/power")
        return try CommandPower(command: "\(lab.directory)/power \(lab.directory)", deadline: .seconds(10), interval: .milliseconds(10))
    }

    @Test func byCommand() async throws {
        try await Lab.with { lab in
            let power = try await command(
                lab,
                """
                case $2 in status) cat $1/$4 2>/dev/null || echo off;; *) (sleep 0.1; echo $2 > $1/$4.new; mv $1/$4.new $1/$4) >/dev/null 2>&1 & ;; esac
                """)
            try await keepsTheContract(power)
            #expect(try await lab.succeeds("test ! -e broken && test ! -e \(lab.directory)/broken"), "a name is no shell command")
        }
    }

    /// A controller that switches says nothing, or fails, for a moment: that is no answer, and the wait goes on.
    @Test func aStateThatCannotBeReadMeanwhileIsWaitedFor() async throws {
        try await Lab.with { lab in
            let power = try await command(
                lab,
                """
                case $2 in status) cat $1/$4 2>/dev/null || echo off; test ! -e $1/$4.busy;; *) touch $1/$4.busy; : > $1/$4; (sleep 0.2; echo $2 > $1/$4; rm $1/$4.busy) >/dev/null 2>&1 & ;; esac
                """)
            try await power.ensureOn(host)
            #expect(try await power.state(of: host) == .on)
        }
    }

    @Test func whatIsNotSeenOffIsNotOff() async throws {
        try await Lab.with { lab in
            let deaf = try await command(lab, "test $2 = status && echo on; exit 0")
            let quick = try CommandPower(command: "\(lab.directory)/power x", deadline: .seconds(3), interval: .milliseconds(10))
            _ = deaf
            #expect(await rule { try await quick.ensureOff(other) } == "power.deadline")
            let mumbling = try await command(lab, "echo perhaps")
            #expect(await rule { _ = try await mumbling.state(of: other) } == "power.status")
            let failing = try await command(lab, "exit 3")
            #expect(await rule { try await failing.ensureOff(other) } == "host.command")
        }
        #expect(throws: Refusal.self) { try CommandPower(command: " ") }
    }

    @Test func aSilentSuccessIsAnError() async throws {
        let power = SimulatedPower(SimulatedBehaviour(seed: 1))
        power.setUnreachable(true, worksSilently: true)
        #expect(await rule { try await power.ensureOff(other) } == "simulated.unreachable")
        power.setUnreachable(false)
        #expect(try await power.state(of: other) == .off)
        #expect(power.switchedOff == [other.id])
    }

    private func rule(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch { return (error as? Refusal)?.rule }
    }
}
