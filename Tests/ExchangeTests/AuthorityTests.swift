import Foundation
import PKI
import Primitives
import Testing
import TestSupport

/// The intermediate is renewed by a start of the exchange in its last ninety days, when the root's key is there.
@Suite struct AuthorityTests {
    @Test func theIntermediateIsRenewedInTime() async throws {
        try await withHome(.sqlite) { home in
            let folder = home.directory + "/authority"
            func expires() throws -> Instant { try CertificateAuthority.load(directory: folder).expires }
            try await withExchange(home) { _ in }
            let first = try expires()
            home.clock.advance(by: .days(200))
            try await withExchange(home) { _ in }
            let early = try expires()
            #expect(early == first, "there is time yet")
            home.clock.advance(by: .days(100))
            try await withExchange(home) { exchange in
                let problems = try await exchange.problems()
                #expect(problems == [])
            }
            let second = try expires()
            #expect(second > first + .days(200))
            try FileManager.default.removeItem(atPath: folder + "/root.key")
            home.clock.advance(by: .days(300))
            try await withExchange(home) { exchange in
                let problems = try await exchange.problems()
                #expect(problems == [], "it starts without the key too")
            }
            let third = try expires()
            #expect(third == second)
        }
    }
}
