import CloudAPI
import CloudClient
import Foundation
import Primitives

/// One node of a swarm: what it knows and the conversation it has.
struct SwarmSession: Sendable {
    private struct Machine: Sendable {
        var generation: Int64
        var state: ObservedState
        var executed: Instant?
    }

    private let number: Int
    private let swarm: NodeSwarm
    private var machines: [InstanceID: Machine] = [:]
    private var revision: Int64 = 0
    /// Under which token this node speaks for its host.
    private var epoch: Int64?
    private var generator: SeededGenerator
    private var heartbeat = Duration.seconds(5)
    private var nextHeartbeat = ContinuousClock.now
    private var nextLoad = ContinuousClock.now

    init(_ number: Int, _ swarm: NodeSwarm) {
        self.number = number
        self.swarm = swarm
        generator = SeededGenerator(seed: swarm.behaviour.seed &+ UInt64(number))
    }

    mutating func greet(on connection: PeerConnection) async throws {
        let hello = NodeHello(
            hostName: "host-\(number + 1)", capacity: swarm.site.hardware, hypervisor: "simulated", agentVersion: "1",
            guestNetwork: "10.77.0.1/16")
        let welcome = try await call(ConnectAPI.hello, body: hello, on: connection)
        (heartbeat, epoch) = (.seconds(max(1, welcome.heartbeatSeconds)), welcome.epoch)
        swarm.count { $0.greeted += 1 }
    }

    /// Follows what connect wants, and tells it by a heartbeat what is settled, until the connection breaks.
    mutating func follow(on connection: PeerConnection) async throws {
        revision = 0
        nextHeartbeat = .now + heartbeat
        while !Task.isCancelled {
            let wait = revision == 0 ? 0 : max(1, (nextHeartbeat - .now).components.seconds)
            let page = try await call(
                ConnectAPI.intents, query: "?after=\(revision)&wait=\(wait)", body: Empty(), on: connection)
            swarm.count { $0.polls += 1 }
            revision = page.revision
            try await settle(page, on: connection)
            if page.full { swarm.count { $0.settled += 1 } }
            if ContinuousClock.now >= nextHeartbeat { try await beat(on: connection) }
        }
    }

    /// Does at once all that is new, then reports it.
    private mutating func settle(_ page: IntentPage, on connection: PeerConnection) async throws {
        let fresh = page.intents.filter { $0.generation > machines[$0.instance]?.generation ?? 0 }
        var working = Span.zero
        if !fresh.isEmpty {
            let range = swarm.behaviour.step
            working = Span(
                microseconds: Int64.random(in: range.lowerBound.microseconds...range.upperBound.microseconds, using: &generator))
            try await Task.sleep(for: .microseconds(working.microseconds))
        }
        let now = Self.now()
        // What there is when a node comes ran before: connect learns nothing new of it.
        for intent in fresh { take(intent, at: page.full ? SimulatedSite.executed(intent.instance) : now) }
        let told = (page.full ? page.intents : fresh).map(\.instance)
        try await report(told, after: working, at: now, on: connection)
    }

    /// What is settled here, in a few bytes; everything when connect knows otherwise.
    private mutating func beat(on connection: PeerConnection) async throws {
        nextHeartbeat = .now + heartbeat
        var digest = SetDigest()
        for (instance, machine) in machines {
            switch machine.state {
            case .running: digest.insert(instance.bits, UInt64(bitPattern: machine.generation), 1)
            case .stopped: digest.insert(instance.bits, UInt64(bitPattern: machine.generation), 2)
            default: break
            }
        }
        let now = Self.now()
        let heartbeat = NodeReport(
            at: now, observations: [], meters: [], consoles: [], settled: SettledDigest(digest), epoch: epoch, load: load())
        let answer = try await call(ConnectAPI.report, body: heartbeat, on: connection)
        swarm.count { $0.heartbeats += 1 }
        guard answer.tellAll == true else { return }
        swarm.count { $0.mismatches += 1 }
        try await report(Array(machines.keys), after: .zero, at: now, on: connection)
    }

    /// How busy its machines are, as often as nodes tell it.
    private mutating func load() -> HostLoadReport? {
        guard ContinuousClock.now >= nextLoad else { return nil }
        nextLoad = .now + .seconds(30)
        let loads = machines.filter { $0.value.state == .running }.map {
            InstanceLoad(instance: $0.key, milliCPU: Int64.random(in: 0...1_000, using: &generator))
        }
        return HostLoadReport(
            milliseconds: 30_000, milliCPU: loads.map(\.milliCPU).reduce(0, +), memoryMiB: swarm.site.hardware.memoryMiB / 2,
            instances: loads)
    }

    private mutating func report(
        _ instances: [InstanceID], after working: Span, at now: Instant, on connection: PeerConnection
    ) async throws {
        let observations = instances.compactMap { instance in
            machines[instance].map {
                InstanceObservation(
                    instance: instance, generation: $0.generation, state: $0.state, reason: nil, executed: $0.executed, at: now)
            }
        }
        guard !observations.isEmpty else { return }
        let report = NodeReport(at: now, observations: observations, meters: [], consoles: [], settled: nil, epoch: epoch)
        _ = try await call(ConnectAPI.report, body: report, on: connection)
        swarm.count {
            $0.reports += 1
            $0.observations += observations.count
        }
        for observation in observations {
            if observation.state == .running { swarm.lag.acknowledged(observation.instance, working: .microseconds(working.microseconds)) }
            if observation.state == .absent { machines[observation.instance] = nil }
        }
    }

    private mutating func take(_ intent: InstanceIntent, at now: Instant) {
        let state: ObservedState =
            switch intent.desired {
            case .running: .running
            case .stopped: .stopped
            case .absent: .absent
            }
        let executed = state == .running ? machines[intent.instance]?.executed ?? now : nil
        machines[intent.instance] = Machine(generation: intent.generation, state: state, executed: executed)
    }

    private func call<Body: Encodable, Answer: Decodable>(
        _ endpoint: Endpoint<Body, Answer>, query: String = "", body: Body, on connection: PeerConnection
    ) async throws -> Answer {
        let bytes = PeerConnection.request(
            endpoint.method.rawValue, endpoint.path + query, host: SimulatedSite.connectName,
            body: endpoint.method == .get ? Data() : try WireJSON.encode(body))
        let (status, data) = try await connection.send(bytes)
        guard (200..<300).contains(status) else {
            if let problem = try? WireJSON.decode(ProblemDocument.self, from: data) { throw problem }
            throw ClientError.malformed("answered \(status)")
        }
        return try WireJSON.decode(Answer.self, from: data)
    }

    private static func now() -> Instant { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }
}
