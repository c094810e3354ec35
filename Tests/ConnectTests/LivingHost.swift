import CloudAPI
import CloudClient
import Foundation
import PKI
import Primitives
import ServiceKit
import Synchronization
import TestSupport

/// A host that does what it is told and says so, as a node would, until it is cut off. What it runs it goes on running then.
final class LivingHost: Sendable {
    struct State {
        var isCutOff = false
        var holdsLease: Bool?
        var epoch: Int64?
        var running: Set<InstanceID> = []
        var disks: Set<InstanceID> = []
        var known: [InstanceID: Int64] = [:]
        var lastIntents: [InstanceIntent] = []
        /// How busy its machines are; nil: it does not tell.
        var loads: [InstanceID: Int64]?
    }

    let host: TestHost
    private let connect: CloudClient
    private let name: String
    private let state = Mutex(State())

    private init(_ host: TestHost, _ connect: CloudClient, _ name: String) {
        (self.host, self.connect, self.name) = (host, connect, name)
    }

    var id: HostID { host.id }
    var now: State { state.withLock { $0 } }
    func cutOff() { state.withLock { $0.isCutOff = true } }
    /// It tells connect so, at its next hello.
    func holdLease() {
        state.withLock {
            $0.holdsLease = true
            $0.epoch = nil
        }
    }
    func tellLoads(_ loads: [InstanceID: Int64]?) { state.withLock { $0.loads = loads } }
    func stopAll() { state.withLock { $0.running = [] } }
    func connectAgain() { state.withLock { $0.isCutOff = false } }
    /// Switched off and on again: it runs nothing, and has its disks.
    func reboot() {
        state.withLock {
            $0.running = []
            $0.epoch = nil
            $0.isCutOff = false
        }
    }

    /// Hosts that live while the body runs.
    static func with(_ count: Int, _ connect: ConnectFixture, _ body: ([LivingHost]) async throws -> Void) async throws {
        var hosts: [LivingHost] = []
        for number in 1...count {
            let host = try await TestHost.enrolled(at: connect)
            hosts.append(LivingHost(host, try connect.client(as: host.credential), "host-\(number)"))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for host in hosts { group.addTask { await host.live() } }
            let result: Result<Void, any Error>
            do { result = .success(try await body(hosts)) } catch { result = .failure(error) }
            group.cancelAll()
            try await group.waitForAll()
            for host in hosts { await host.connect.shutdown() }
            try result.get()
        }
    }

    private func live() async {
        while !Task.isCancelled {
            // What fails is done again.
            if !now.isCutOff { try? await turn() }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func turn() async throws {
        if now.epoch == nil {
            var hello = TestHost.hello
            hello.hostName = name
            hello.holdsLease = now.holdsLease
            let welcome = try await connect.call(ConnectAPI.hello, body: hello)
            state.withLock { $0.epoch = welcome.epoch ?? 0 }
        }
        let page = try await connect.call(ConnectAPI.intents, query: ["after": "0", "wait": "0"])
        state.withLock { $0.follow(page.intents) }
        let report = NodeReport(
            at: SystemTime().now(), observations: now.observations, meters: [], consoles: [], epoch: now.epoch, load: now.load)
        do {
            _ = try await connect.call(ConnectAPI.report, body: report)
        } catch let problem as ProblemDocument where problem.rule == "host.epoch" {
            state.withLock { $0.epoch = nil }
        }
    }
}

extension LivingHost.State {
    /// Older generations are refused.
    fileprivate mutating func follow(_ intents: [InstanceIntent]) {
        guard !isCutOff else { return }
        lastIntents = intents.filter { $0.generation >= known[$0.instance] ?? 0 }
        for intent in lastIntents {
            known[intent.instance] = intent.generation
            switch intent.desired {
            case .running:
                running.insert(intent.instance)
                disks.insert(intent.instance)
            case .stopped: running.remove(intent.instance)
            case .absent:
                running.remove(intent.instance)
                if intent.keepsDisk != true { disks.remove(intent.instance) }
            }
        }
    }

    fileprivate var load: HostLoadReport? {
        guard let loads else { return nil }
        let running = loads.filter { self.running.contains($0.key) }
        return HostLoadReport(
            milliseconds: 30_000, milliCPU: running.values.reduce(100, +), memoryMiB: 1_000,
            instances: running.map { InstanceLoad(instance: $0.key, milliCPU: $0.value) })
    }

    fileprivate var observations: [InstanceObservation] {
        let now = SystemTime().now()
        return lastIntents.map { intent in
            InstanceObservation(
                instance: intent.instance, generation: intent.generation,
                state: intent.desired == .running ? .running : intent.desired == .stopped ? .stopped : .absent, reason: nil,
                executed: intent.desired == .running ? now : nil, at: now)
        }
    }
}
