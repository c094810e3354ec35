import CloudAPI
import CloudClient
import Foundation
import NIOSSL
import PKI
public import Primitives
import Synchronization

/// Thousands of nodes in one process, each with a certificate and a connection of its own, that talk to a real connect as nodes do:
/// hello, long polls for intents, reports of what happened, heartbeats with a digest of what is settled, as often as connect wants
/// them. Hypervisors are simulated: a step takes a drawn time.
///
/// A node uses one connection for all it says, one thing after the other.
public final class NodeSwarm: Sendable {
    public struct Behaviour: Sendable {
        public var seed: UInt64 = 1
        /// How long a machine takes to start or stop.
        public var step = Span.milliseconds(100)...Span.milliseconds(900)

        public init() {}
    }

    public struct Counts: Sendable {
        public var greeted = 0
        /// Nodes that have done all they found wanted when they came.
        public var settled = 0
        public var polls = 0
        public var heartbeats = 0
        /// Heartbeats of which connect said that it knows otherwise.
        public var mismatches = 0
        public var reports = 0
        public var observations = 0
        public var errors = 0
    }

    let site: SimulatedSite
    let behaviour: Behaviour
    public let lag: LagMeter
    private let counted = Mutex(Counts())
    private let lastTrouble = Mutex<String?>(nil)

    public init(_ site: SimulatedSite, _ behaviour: Behaviour = Behaviour(), lag: LagMeter = LagMeter()) {
        self.site = site
        self.behaviour = behaviour
        self.lag = lag
    }

    public var counts: Counts { counted.withLock { $0 } }
    public var trouble: String? { lastTrouble.withLock { $0 } }
    func count(_ change: (inout Counts) -> Void) { counted.withLock { change(&$0) } }

    /// Runs all nodes until cancelled. They come up one after the other, no more than `joining` at a time.
    public func run(at now: Instant, joining: Int = 32) async throws {
        let authority = try site.authority(at: now)
        let gate = Gate(joining)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<site.hosts {
                group.addTask { await self.keep(number, authority, gate, at: now) }
            }
        }
    }

    /// One node: connects again when the connection is lost.
    private func keep(_ number: Int, _ authority: CertificateAuthority, _ gate: Gate, at now: Instant) async {
        var session = SwarmSession(number, self)
        var context: NIOSSLContext?
        while !Task.isCancelled {
            do {
                await gate.enter()
                let connection: PeerConnection
                do {
                    let own = try context ?? SimulatedSite.nodeContext(number, authority, at: now)
                    context = own
                    connection = try await PeerConnection.open(
                        host: "127.0.0.1", port: site.peerPort, serverName: SimulatedSite.connectName, context: own)
                    try await session.greet(on: connection)
                    await gate.leave()
                } catch {
                    await gate.leave()
                    throw error
                }
                defer { connection.close() }
                try await session.follow(on: connection)
            } catch is CancellationError {
                return
            } catch {
                count { $0.errors += 1 }
                lastTrouble.withLock { $0 = "\(error)" }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}

/// Lets so many in at once.
private actor Gate {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ places: Int) { free = places }

    func enter() async {
        guard free == 0 else { return free -= 1 }
        await withCheckedContinuation { waiting.append($0) }
    }

    func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
