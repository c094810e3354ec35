import CloudAPI
import Connect
import Foundation
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// What connect keeps in memory is what its tables say, whatever happened.
@Suite struct MemoryTests {
    /// Callers that do what comes to their minds, several at once.
    private struct Crowd: Sendable {
        let connect: ConnectFixture
        let buyers: [(contract: ContractView, credential: Credential)]
        let hosts: [TestHost]
        let image: ImageID

        func launch(_ number: UInt64, by buyer: Int, key: String? = nil) async throws -> InstanceView {
            try await connect.call(
                ConnectAPI.createInstance, as: buyers[buyer].credential, body: TestHost.instance(number, image), idempotencyKey: key)
        }

        func act(_ action: InstanceAction, on number: UInt64, by buyer: Int) async throws {
            _ = try await connect.call(
                ConnectAPI.actOnInstance, as: buyers[buyer].credential, path: ["instance": InstanceID(bits: number).description],
                body: ActOnInstance(action: action))
        }

        /// The host does at once what is wanted of it, and says so.
        func settle(_ host: TestHost) async throws {
            let page = try await connect.call(ConnectAPI.intents, as: host.credential, query: ["after": "0"], body: Empty())
            let now = SystemTime().now()
            let seen = page.intents.map { intent in
                let state: ObservedState =
                    switch intent.desired {
                    case .running: .running
                    case .stopped: .stopped
                    case .absent: .absent
                    }
                return InstanceObservation(
                    instance: intent.instance, generation: intent.generation, state: state, reason: nil,
                    executed: state == .running ? now : nil, at: now)
            }
            try await report(seen, from: host)
        }

        @discardableResult
        func report(_ seen: [InstanceObservation], settled: SettledDigest? = nil, from host: TestHost) async throws -> NodeReportAnswer {
            try await connect.call(
                ConnectAPI.report, as: host.credential,
                body: NodeReport(at: SystemTime().now(), observations: seen, meters: [], consoles: [], settled: settled))
        }

        func agrees(_ comment: Comment) async throws {
            #expect(try await connect.service.violations() == [], comment)
            try await connect.service.rebuild()
            #expect(try await connect.service.violations() == [], comment)
        }
    }

    private func crowd(_ kind: DatabaseKind, _ body: (Crowd) async throws -> Void) async throws {
        try await withTestDatabase(kind) { database in
            try await ConnectFixture.with({ $0.databaseURL = database.url }) { connect in
                let contracts = [connect.exchange.sell(1, lots: 6), connect.exchange.sell(2, lots: 20)]
                let buyers = try contracts.map { ($0, try connect.certificate($0).credential) }
                for (contract, credential) in buyers { try await connect.know(contract, credential) }
                let hosts = [try await TestHost.enrolled(at: connect), try await TestHost.enrolled(at: connect)]
                try await body(Crowd(connect: connect, buyers: buyers, hosts: hosts, image: try await connect.image()))
            }
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: DatabaseKind.allCases)
    func memoryIsWhatTheTablesSay(_ kind: DatabaseKind) async throws {
        try await crowd(kind) { crowd in
            var generator = SeededGenerator(seed: 7)
            for round in 0..<6 {
                let choices = (0..<14).map { _ in (UInt64.random(in: 1...24, using: &generator), Int.random(in: 0..<10, using: &generator))
                }
                await withTaskGroup(of: Void.self) { group in
                    for (number, choice) in choices {
                        let buyer = Int(number % 2)
                        group.addTask {
                            switch choice {
                            case 0..<4: _ = try? await crowd.launch(number, by: buyer)
                            case 4: try? await crowd.act(.stop, on: number, by: buyer)
                            case 5: try? await crowd.act(.start, on: number, by: buyer)
                            case 6: try? await crowd.act(.terminate, on: number, by: buyer)
                            default: try? await crowd.settle(crowd.hosts[buyer])
                            }
                        }
                    }
                }
                try await crowd.agrees("round \(round)")
            }
            crowd.connect.exchange.end(crowd.buyers[1].contract.id, because: "the test is over")
            try await eventually("its instances are told to stop") {
                await refusal { _ = try await crowd.launch(99, by: 1) } == "contract.ended"
            }
            for host in crowd.hosts { try await crowd.settle(host) }
            try await crowd.agrees("after a contract's end")
        }
    }

    /// Different launches under one key: one wins, and the others leave nothing behind, neither in tables nor in memory.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases)
    func whatIsRolledBackIsTakenBack(_ kind: DatabaseKind) async throws {
        try await crowd(kind) { crowd in
            let won = await withTaskGroup(of: Bool.self) { group in
                for number in 1...12 as ClosedRange<UInt64> {
                    group.addTask { (try? await crowd.launch(number, by: 1, key: "the same")) != nil }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(won == 1)
            try await crowd.agrees("after a conflict")
            #expect(try await crowd.connect.capacity(as: crowd.buyers[1].credential).instances == 1)
        }
    }

    @Test(.timeLimit(.minutes(5))) func aLostReportIsFoundByTheDigest() async throws {
        try await crowd(.sqlite) { crowd in
            let made = try await crowd.launch(1, by: 0)
            let host = try #require(crowd.hosts.first { $0.id == made.host })
            var digest = SetDigest()
            digest.insert(made.id.bits, UInt64(made.generation), 1)
            #expect(try await crowd.report([], settled: SettledDigest(digest), from: host).tellAll == true)
            try await crowd.settle(host)
            #expect(try await crowd.report([], settled: SettledDigest(digest), from: host).tellAll == nil)
            #expect(try await crowd.report([], settled: SettledDigest(SetDigest()), from: host).tellAll == true)
        }
    }

    /// A poll of one host is not woken by what is wanted of another, and is by what is wanted of it.
    @Test(.timeLimit(.minutes(5))) func pollsWaitForTheirOwnHost() async throws {
        try await crowd(.sqlite) { crowd in
            let first = try await crowd.launch(1, by: 0)
            let mine = try #require(crowd.hosts.first { $0.id == first.host })
            let other = try #require(crowd.hosts.first { $0.id != first.host })
            func poll(_ host: TestHost, after: Int64, wait: Int) async throws -> IntentPage {
                try await crowd.connect.call(
                    ConnectAPI.intents, as: host.credential, query: ["after": "\(after)", "wait": "\(wait)"], body: Empty())
            }
            let revisions = (try await poll(mine, after: 0, wait: 0).revision, try await poll(other, after: 0, wait: 0).revision)
            async let quiet = poll(other, after: revisions.1, wait: 2)
            async let woken = poll(mine, after: revisions.0, wait: 30)
            try await crowd.act(.terminate, on: 1, by: 0)
            #expect(try await woken.intents.map(\.desired) == [.absent])
            #expect(try await quiet.intents.isEmpty)
        }
    }
}
