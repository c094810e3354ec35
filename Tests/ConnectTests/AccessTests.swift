import CloudAPI
import CloudClient
import Foundation
import PKI
import Primitives
import ServiceKit
import Synchronization
import TestSupport
import Testing

/// A contract is the credential: its certificate opens what the contract gives, while it lasts, and nothing else.
@Suite struct AccessTests {
    @Test(.timeLimit(.minutes(5))) func aContractsCertificateOpensThatContractOnly() async throws {
        try await ConnectFixture.with { connect in
            let (one, two) = (connect.exchange.sell(1), connect.exchange.sell(2, lots: 5))
            let mine = try connect.certificate(one).credential
            let other = try connect.certificate(two).credential
            try await connect.know(one, mine)
            try await connect.know(two, other)
            #expect(try await connect.capacity(as: mine).contract == one.id)
            #expect(try await connect.capacity(as: other).lots == 5)
            let host = try await TestHost.enrolled(at: connect)
            let image = try await connect.image()
            let view = try await connect.call(ConnectAPI.createInstance, as: other, body: TestHost.instance(7, image))
            #expect(view.contract == two.id)
            let path = ["instance": view.id.description]
            #expect(
                await refusal { _ = try await connect.call(ConnectAPI.showInstance, as: mine, path: path, body: Empty()) }
                    == "instance.unknown")
            #expect(
                await refusal {
                    _ = try await connect.call(ConnectAPI.actOnInstance, as: mine, path: path, body: ActOnInstance(action: .terminate))
                } == "instance.unknown")
            #expect(
                try await connect.call(ConnectAPI.listInstances, as: mine, body: Empty()).items.isEmpty, "not even that it is there")
            #expect(
                await refusal { _ = try await connect.call(ConnectAPI.createInstance, as: mine, body: TestHost.instance(7, image)) }
                    == "instance.exists")
            _ = host
        }
    }

    @Test(.timeLimit(.minutes(5))) func rolesAreApart() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            func program(_ role: IdentityRole, _ participant: ParticipantID, _ id: String) throws -> Credential {
                try connect.town.credential(.program(exchange: Town.exchange, participant: participant, role: role, id: id))
            }
            let manage = try program(.manage, connect.town.buyer, "mng-1")
            #expect(await refusal { _ = try await connect.capacity(as: manage) } == "http.forbidden", "a manage's identity buys nothing")
            let node = try program(.node, connect.town.seller, connect.town.host.description)
            #expect(await refusal { _ = try await connect.capacity(as: node) } == "http.forbidden")
            let hello = TestHost.hello
            #expect(await refusal { _ = try await connect.call(ConnectAPI.hello, as: buyer, body: hello) } == "http.forbidden")
            let stranger = try program(.node, connect.town.buyer, connect.town.host.description)
            #expect(await refusal { _ = try await connect.call(ConnectAPI.hello, as: stranger, body: hello) } == "http.forbidden")
            #expect(
                await refusal { _ = try await connect.call(ConnectAPI.hello, as: node, body: hello) } == "node.unknown", "never enrolled")
            // The seller's certificate of the same contract is a server's: it opens no connection.
            let seller = try connect.certificate(contract, .seller).credential
            #expect(await refusal { _ = try await connect.capacity(as: seller) } == "unreachable")
        }
    }

    @Test(.timeLimit(.minutes(5))) func whatIsNotOfThisExchangeIsTurnedAwayByTLS() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            #expect(await refusal { _ = try await connect.capacity(as: nil) } == "unreachable", "no certificate")
            let twin = try CertificateAuthority.open(
                directory: connect.town.directory.file("twin"), exchange: Town.exchange, now: SystemTime().now())
            let forged = try connect.certificate(contract, from: twin).credential
            #expect(await refusal { _ = try await connect.capacity(as: forged) } == "unreachable", "another authority of the same name")
            let now = SystemTime().now()
            var past = contract
            past.period = Period(start: now - .minutes(4), end: now - .minutes(2))
            let expired = try connect.certificate(past, at: now - .minutes(4)).credential
            #expect(await refusal { _ = try await connect.capacity(as: expired) } == "unreachable", "expired")
        }
    }

    @Test(.timeLimit(.minutes(5))) func theEndOfTheContractEndsTheConnection() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            connect.exchange.end(contract.id, because: "stopped by the test")
            // The certificate itself is good for most of an hour.
            try await eventually("connect has heard") { await refusal { _ = try await connect.capacity(as: buyer) } == "contract.ended" }
            do {
                _ = try await connect.capacity(as: buyer)
            } catch let problem as ProblemDocument {
                #expect(problem.status == 403 && problem.detail.contains(contract.id.description))
                #expect(problem.detail.contains("stopped by the test"))
            }
        }
    }

    @Test(.timeLimit(.minutes(5))) func aContractsPeriodEndsItWithoutTheExchange() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1, length: .seconds(12))
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            try await eventually("it is over") {
                let rule = await refusal { _ = try await connect.capacity(as: buyer) }
                return rule == "contract.ended" || rule == "certificate.ended" || rule == "unreachable"
            }
            // Certificates count in whole seconds, and never past the contract.
            #expect(SystemTime().now() >= contract.period.end - .seconds(1), "not before its time")
        }
    }

    @Test(.timeLimit(.minutes(5))) func aRevokedCertificateIsDeadWithinAMinute() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1)
            let (buyer, serial) = try connect.certificate(contract)
            let another = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            connect.exchange.state.withLock { $0.revoked.append(serial) }
            try await eventually("it is refused", within: .seconds(60), every: .milliseconds(200)) {
                await refusal { _ = try await connect.capacity(as: buyer) } != nil
            }
            #expect(try await connect.capacity(as: another).contract == contract.id, "the contract's other certificate is good")
        }
    }

    /// A connection that was opened with a good certificate does not outlive it.
    @Test(.timeLimit(.minutes(5))) func anOpenConnectionIsNoWayAround() async throws {
        try await ConnectFixture.with { connect in
            let contract = connect.exchange.sell(1)
            let buyer = try connect.certificate(contract).credential
            try await connect.know(contract, buyer)
            let identity = try ProgramIdentity(
                connect.town.record(
                    of: .program(exchange: Town.exchange, participant: connect.town.buyer, role: .manage, id: "mng-1"),
                    peerAddress: "127.0.0.1:1"), credential: buyer, directory: connect.town.directory.file("kept"), time: SystemTime(),
                logger: connect.town.logger)
            let client = try identity.client(
                name: IdentityName.dns(role: .connect, id: connect.town.datacenter.description, exchange: Town.exchange),
                address: "127.0.0.1:\(connect.peerPort)")
            _ = try await client.call(ConnectAPI.contractCapacity)
            connect.exchange.end(contract.id, because: "over")
            try await eventually("the same connection is refused") {
                await refusal { _ = try await client.call(ConnectAPI.contractCapacity) } == "contract.ended"
            }
            await client.shutdown()
        }
    }
}
