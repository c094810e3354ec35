import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

/// A program that knows nothing but its token enrols over TLS.
@Suite struct EnrolmentTests {
    /// An exchange of which only enrolment is there.
    private func with(_ body: (_ town: Town, _ url: String, _ enrolments: @Sendable () -> Int) async throws -> Void) async throws {
        let town = try Town("enrol")
        let database = try openDatabase("sqlite:" + town.directory.file("exchange.db"))
        try await database.migrate([Tokens.migration])
        let issued = try town.credential(.ofExchange(Town.exchange), names: ["127.0.0.1"])
        let tls = PeerTLS(credential: issued, trust: try town.authority.trustBundle(), time: SystemTime())
        let router = ProgramRouter(database: database, metrics: Metrics())
        let count = Mutex(0)
        router.on(ExchangeAPI.authority) { _ in
            AuthorityView(exchange: Town.exchange, root: town.authority.rootPEM, intermediate: "", peerAddress: "127.0.0.1:1")
        }
        router.on(ExchangeAPI.enrol) { call in
            count.withLock { $0 += 1 }
            let identity = PeerIdentity.program(exchange: Town.exchange, participant: town.buyer, role: .manage, id: "mng-1")
            let issued = try town.authority.issueIdentity(csrPEM: call.body.csr, identity: identity, now: SystemTime().now())
            return IdentityView(
                exchange: Town.exchange, participant: town.buyer, role: .manage, id: "mng-1", chain: issued.chainPEM,
                root: town.authority.rootPEM, peerAddress: "127.0.0.1:1", peerName: "main.exchange.demo.bourse")
        }
        let port = BoundPort()
        let group = ServiceGroup(
            services: [try router.listen(host: "127.0.0.1", port: 0, security: .server(tls), bound: port, logger: town.logger)],
            logger: town.logger)
        let task = Task { try await group.run() }
        let url = "https://127.0.0.1:\(await port.value())"
        let result: Result<Void, any Error>
        do { result = .success(try await body(town, url) { count.withLock { $0 } }) } catch { result = .failure(error) }
        await group.triggerGracefulShutdown()
        _ = await task.result
        await database.close()
        try result.get()
    }

    private func enrol(_ town: Town, _ url: String, token: String, in folder: String) async throws -> ProgramIdentity {
        try await ProgramIdentity.loadOrEnrol(
            directory: town.directory.file(folder), exchangeURL: url, token: token, names: [], time: SystemTime(), logger: town.logger)
    }

    @Test(.timeLimit(.minutes(5))) func thePinInTheTokenIsTrustEnough() async throws {
        try await with { town, url, _ in
            let identity = try await enrol(town, url, token: try town.authority.makeEnrolmentToken().text, in: "program")
            #expect(identity.record.id == "mng-1")
            let again = try await enrol(town, "https://127.0.0.1:1", token: "", in: "program")
            #expect(again.record.id == "mng-1", "the second start asks nobody")
        }
    }

    @Test(.timeLimit(.minutes(5))) func aTokenForAnotherExchangeIsNotEvenSent() async throws {
        try await with { town, url, enrolments in
            let other = try CertificateAuthority.open(
                directory: town.directory.file("other"), exchange: Town.exchange, now: SystemTime().now())
            do {
                _ = try await enrol(town, url, token: try other.makeEnrolmentToken().text, in: "stray")
                Issue.record("enrolled at the wrong exchange")
            } catch let refusal as Refusal {
                #expect(refusal.rule == "identity.root")
            }
            #expect(enrolments() == 0)
        }
    }
}
