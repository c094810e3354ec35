import Glibc
import NIOCore
import NIOEmbedded
import NIOSSL
import PKI
import Primitives
import Testing

struct HandshakeProbe {
    func run(client: TLSConfiguration, server: TLSConfiguration, host: String) throws -> String {
        let c = EmbeddedChannel(), s = EmbeddedChannel()
        try c.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: NIOSSLContext(configuration: client), serverHostname: host))
        try s.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: NIOSSLContext(configuration: server)))
        let a = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        c.connect(to: a, promise: nil); s.connect(to: a, promise: nil)
        do {
            for _ in 0..<20 {
                while let b = try c.readOutbound(as: ByteBuffer.self) { try s.writeInbound(b) }
                while let b = try s.readOutbound(as: ByteBuffer.self) { try c.writeInbound(b) }
            }
            var b = ByteBuffer(); b.writeString("hello")
            c.writeAndFlush(b, promise: nil)
            while let b = try c.readOutbound(as: ByteBuffer.self) { try s.writeInbound(b) }
            let got = try s.readInbound(as: ByteBuffer.self)
            return got.map { String(buffer: $0) } ?? "nothing"
        } catch { return "\(error)" }
    }
    @Test func probe() throws {
        let now = Instant(seconds: Int64(time(nil)))
        let lab = try Laboratory(now: now)
        let k = CredentialKey()
        let ids = try k.credential(chainPEM: lab.authority.issueIdentity(csrPEM: k.csrPEM(), identity: lab.node, now: now).chainPEM)
        let buyer = try k.credential(chainPEM: lab.authority.issueContract(csrPEM: k.csrPEM(), terms: lab.terms(.buyer, from: now), now: now).chainPEM)
        let seller = try k.credential(chainPEM: lab.authority.issueContract(csrPEM: k.csrPEM(), terms: lab.terms(.seller, from: now), now: now).chainPEM)
        for (c, s, h) in [(ids, ids, ids.dnsNames[0]), (buyer, seller, seller.dnsNames[0]), (buyer, seller, "x.bourse"), (seller, buyer, "x"), (buyer, ids, ids.dnsNames[0]), (seller, ids, ids.dnsNames[0])] {
            print("PROBE", c.identity, s.identity, h, try run(client: clientTLS(credential: c, trust: lab.trust), server: serverConfiguration(credential: s, trust: lab.trust), host: h))
        }
        print("PROBE none", try run(client: clientTLS(credential: nil, trust: lab.trust), server: serverConfiguration(credential: ids, trust: lab.trust), host: ids.dnsNames[0]))
        print("PROBE public", try run(client: clientTLS(credential: nil, trust: lab.trust), server: publicServerConfiguration(credential: ids), host: ids.dnsNames[0]))
    }
}
