import CloudAPI
import CloudClient
import Foundation
public import Primitives

/// Buyers that launch instances over mutual TLS, each with a contract certificate and a connection of its own, each waiting for its
/// answer before it asks again.
public struct LaunchLoad: Sendable {
    public struct Outcome: Sendable {
        public var accepted = 0
        /// By rule.
        public var refused: [String: Int] = [:]
        /// Of each accepted launch, in microseconds.
        public var latencies: [Int] = []
        public var seconds = 0.0

        public var perSecond: Double { seconds > 0 ? Double(accepted) / seconds : 0 }

        /// Microseconds within which so many percent were answered.
        public func percentile(_ percent: Double) -> Int {
            let sorted = latencies.sorted()
            return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * percent / 100))]
        }
    }

    let site: SimulatedSite
    public var callers: Int
    public var shapes: [Resources]
    /// Told of each launch that is accepted.
    public var lag: LagMeter?

    public init(_ site: SimulatedSite, callers: Int, shapes: [Resources], lag: LagMeter? = nil) {
        self.site = site
        self.lag = lag
        self.callers = callers
        self.shapes = shapes
    }

    /// Launches so many instances, numbered from `first` on.
    public func run(_ count: Int, from first: Int, at now: Instant) async throws -> Outcome {
        let authority = try site.authority(at: now)
        let contexts = try (0..<min(site.contracts, callers)).map { try site.buyerContext($0, authority, at: now) }
        var connections: [PeerConnection] = []
        for caller in 0..<callers {
            connections.append(
                try await PeerConnection.open(
                    host: "127.0.0.1", port: site.peerPort, serverName: SimulatedSite.connectName,
                    context: contexts[caller % contexts.count]))
        }
        let each = count / callers
        let templates = try shapes.map { try Template($0) }
        // Made before: it is not the callers that are measured.
        let requests = (0..<callers).map { caller in
            (0..<each).map { number in
                let index = first + caller * each + number
                return templates[index % templates.count].request(index)
            }
        }
        let start = ContinuousClock.now
        var outcome = try await withThrowingTaskGroup(of: Outcome.self) { group in
            for (connection, requests) in zip(connections, requests) {
                group.addTask {
                    var own = Outcome()
                    for (id, request) in requests {
                        if try await Self.launch(request, on: connection, &own) { lag?.accepted(id) }
                    }
                    return own
                }
            }
            return try await group.reduce(into: Outcome()) { all, one in
                all.accepted += one.accepted
                all.latencies += one.latencies
                all.refused.merge(one.refused) { $0 + $1 }
            }
        }
        let took = (ContinuousClock.now - start).components
        outcome.seconds = Double(took.seconds) + Double(took.attoseconds) / 1e18
        for connection in connections { connection.close() }
        return outcome
    }

    private static func launch(_ request: [UInt8], on connection: PeerConnection, _ outcome: inout Outcome) async throws -> Bool {
        let begun = ContinuousClock.now
        let (status, body) = try await connection.send(request)
        guard status != 202 else {
            let took = (ContinuousClock.now - begun).components
            outcome.accepted += 1
            outcome.latencies.append(Int(took.seconds) * 1_000_000 + Int(took.attoseconds / 1_000_000_000_000))
            return true
        }
        let rule = (try? WireJSON.decode(ProblemDocument.self, from: body))?.rule ?? "status \(status)"
        outcome.refused[rule, default: 0] += 1
        return false
    }

    /// A launch request in which only identifiers change.
    private struct Template: Sendable {
        private let parts: [String]
        private static let id = InstanceID(bits: .max >> 1), reservation = ReservationID(bits: .max >> 1)

        init(_ resources: Resources) throws {
            let body = CreateInstance(
                id: Self.id, image: SimulatedSite.image, offering: "m1.small", resources: resources, keys: [], userData: nil,
                reservation: Self.reservation, launchIndex: 0, account: AccountID(bits: 1), tags: ["Name": "rehearsal"], zone: nil)
            parts = try WireJSON.text(body).components(separatedBy: Self.id.description)
        }

        /// Identifiers are spread as random ones are.
        func request(_ number: Int) -> (InstanceID, [UInt8]) {
            var generator = SeededGenerator(seed: UInt64(number))
            let bits = generator.next()
            let body = parts.joined(separator: InstanceID(bits: bits).description)
                .replacingOccurrences(of: Self.reservation.description, with: ReservationID(bits: bits).description)
            let bytes = PeerConnection.request(
                "POST", "/v1/instances", host: SimulatedSite.connectName, body: Data(body.utf8), idempotencyKey: String(bits, radix: 16))
            return (InstanceID(bits: bits), bytes)
        }
    }
}
