import Drivers
import Foundation
import Primitives
import Testing

/// What every store of leases keeps to.
@Suite struct LeaseTests {
    private let host = HostID(bits: 1), other = HostID(bits: 2)

    private func lease(_ number: Int64, epoch: Int64 = 0, guarded: Bool = true, of host: HostID? = nil) -> StorageLease {
        StorageLease(host: host ?? self.host, epoch: epoch, number: number, lasts: .seconds(30), isGuarded: guarded)
    }

    private func rule(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch { return (error as? Refusal)?.rule }
    }

    private func keepsTheContract(_ store: any LeaseStore) async throws {
        #expect(try await store.read(host) == nil)
        #expect(try await store.taken(host) == 0)
        try await store.renew(lease(1))
        #expect(try await store.read(host) == lease(1))
        try await store.renew(lease(2, guarded: false))
        #expect(try await store.read(host) == lease(2, guarded: false))
        #expect(try await store.read(other) == nil, "each host has its own")

        try await store.take(host, epoch: 2)
        try await store.take(host, epoch: 2)
        try await store.take(host, epoch: 1)
        #expect(try await store.taken(host) == 2, "an earlier taking changes nothing")
        #expect(await rule { try await store.renew(lease(3)) } == "lease.taken")
        #expect(await rule { try await store.renew(lease(3, epoch: 1)) } == "lease.taken")
        #expect(try await store.read(host)?.isReleased == false)
        try await store.release(lease(4))
        let released = try #require(try await store.read(host))
        #expect(released.isReleased && released.epoch == 0 && released.number == 4)
        try await store.renew(lease(5, epoch: 2))
        #expect(try await store.read(host) == lease(5, epoch: 2), "from the epoch it was taken for on it is the host's again")
        try await store.renew(lease(1, of: other))
        #expect(try await store.taken(other) == 0)
    }

    /// Whoever takes a lease and then looks finds the last renewal that will ever succeed, or the holder is refused.
    private func someoneAlwaysSees(_ make: (Int) -> any LeaseStore) async throws {
        for round in 0..<40 {
            let store = make(round)
            try await store.renew(lease(1))
            async let renewal = rule { try await store.renew(lease(2)) }
            try await store.take(host, epoch: 1)
            let seen = try #require(try await store.read(host))
            if await renewal == nil { #expect(seen.number == 2, "round \(round): a renewal that succeeded is seen by the taker") }
        }
    }

    @Test func simulated() async throws {
        try await keepsTheContract(SimulatedLeases(SimulatedBehaviour(seed: 1)))
        try await someoneAlwaysSees { SimulatedLeases(SimulatedBehaviour(seed: UInt64($0), delay: .zero ... .milliseconds(2))) }
    }

    @Test func inFiles() async throws {
        try await Lab.with { lab in
            try await lab.shell("cd \(lab.directory) && mkdir leases && for n in $(seq 0 39); do mkdir race-$n; done")
            try await keepsTheContract(FileLeases(directory: lab.directory + "/leases"))
            // Another program reads what one wrote.
            let again = FileLeases(directory: lab.directory + "/leases")
            #expect(try await again.read(host) == lease(5, epoch: 2))
            try await someoneAlwaysSees { FileLeases(directory: lab.directory + "/race-\($0)") }
        }
    }

    @Test func storageThatIsNotThereIsNoAnswer() async throws {
        try await Lab.with { lab in
            let away = FileLeases(directory: lab.directory + "/mount/leases")
            for body in [{ _ = try await away.read(host) }, { try await away.renew(lease(1)) }, { try await away.take(host, epoch: 1) }]
                as [() async throws -> Void]
            {
                #expect(await rule(body) == "host.file", "a mount point without its mount holds no leases")
            }
        }
    }

    @Test func whatIsNoLeaseIsNoAnswer() async throws {
        try await Lab.with { lab in
            let store = FileLeases(directory: lab.directory)
            for text in [
                "", "bourse-lease 1 \(host) 0 1", "bourse-lease 2 \(host) 0 1 30000000 guarded held",
                "bourse-lease 1 \(other) 0 1 30000000 guarded held",
            ] {
                try Data(text.utf8).write(to: URL(fileURLWithPath: "\(lab.directory)/\(host).lease"))
                #expect(await rule { _ = try await store.read(host) } == "lease.unreadable", "'\(text)'")
            }
            try Data("x".utf8).write(to: URL(fileURLWithPath: "\(lab.directory)/\(host).taken"))
            #expect(await rule { try await store.renew(lease(1)) } == "lease.unreadable", "perhaps it was taken")
        }
    }

    /// A pipe nobody reads from hangs whoever opens it, as storage that is away does.
    @Test func storageThatHangsIsNotWaitedFor() async throws {
        try await Lab.with { lab in
            let store = FileLeases(directory: lab.directory, deadline: .milliseconds(50))
            try await lab.shell("mkfifo \(lab.directory)/\(host).lease")
            for _ in 0..<6 { #expect(await rule { _ = try await store.read(host) } == "lease.deadline") }
            // Lets those go that hang.
            try await lab.shell("for n in 1 2 3 4 5 6; do timeout 1 sh -c 'exec 3<>\(lab.directory)/\(host).lease; sleep 0.05'; done; true")
        }
    }

    @Test func aDeviceThatIsNoWatchdogIsRefused() async throws {
        try await Lab.with { lab in
            let none = DeviceWatchdog(path: lab.directory + "/none")
            #expect(throws: Refusal.self) { try none.arm(.seconds(30)) }
            try Data().write(to: URL(fileURLWithPath: lab.directory + "/file"))
            let file = DeviceWatchdog(path: lab.directory + "/file")
            #expect(throws: Refusal.self, "it takes no timeout") { try file.arm(.seconds(30)) }
            #expect(throws: Refusal.self, "it was never armed") { try file.pat() }
        }
    }
}
