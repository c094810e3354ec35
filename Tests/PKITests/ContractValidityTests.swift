import PKI
import Primitives
import Testing

/// No certificate outlives its contract: over random periods, moments and both sides.
struct ContractValidityTests {
    @Test func neverOutlivesItsContract() throws {
        let laboratory = try Laboratory()
        let key = CredentialKey()
        let csr = try key.csrPEM()
        var generator = SeededGenerator(seed: 20_260_301)
        var issuedCount = 0
        for _ in 0..<600 {
            let longest = [Span.seconds(2), .minutes(1), .hours(1), .days(40)].randomElement(using: &generator)!
            let length = Span(microseconds: Int64.random(in: 1...longest.microseconds, using: &generator))
            let start = noon + Span(microseconds: Int64.random(in: 0...(60 * 86_400_000_000), using: &generator))
            let around = max(length.microseconds, 1_000_000)
            let now = max(noon, start + Span(microseconds: Int64.random(in: -around...(around + around / 4), using: &generator)))
            let terms = laboratory.terms(Bool.random(using: &generator) ? .buyer : .seller, from: start, lasting: length)
            let left = terms.period.end - max(now, start)
            guard let issued = try? laboratory.authority.issueContract(csrPEM: csr, terms: terms, now: now) else {
                #expect(left < .seconds(2), "refused with \(left) left of \(terms.period)")
                continue
            }
            issuedCount += 1
            // The last valid second is over when the contract is.
            #expect(issued.notAfter + .seconds(1) <= terms.period.end)
            #expect(issued.notAfter - issued.notBefore <= .hours(24))
            #expect(issued.notBefore <= max(now, start))
            #expect(issued.notBefore >= terms.period.start - .seconds(61))
            // No shorter than it must be.
            let reachable = min(terms.period.end - .seconds(2), max(now, start) + .hours(24) - .seconds(62))
            #expect(issued.notAfter >= reachable)
            let credential = try key.credential(chainPEM: issued.chainPEM)
            #expect(credential.identity == .contract(exchange: "demo", terms))
            #expect(credential.notAfter == issued.notAfter)
            #expect(credential.notBefore == issued.notBefore)
            // Fresh: its holder must not ask for the next one at once, not even when the contract rolls.
            guard issued.notAfter - max(now, start) >= .seconds(2) else { continue }
            #expect(!credential.needsRenewal(now: max(now, start), contractEnd: terms.period.end + .days(9)), "\(issued), now \(now)")
        }
        #expect(issuedCount > 300)
    }

    /// The last microsecond before the end is accepted where the end is a whole second, the end itself never is.
    @Test func worksUpToTheEndAndNotAtIt() async throws {
        let laboratory = try Laboratory()
        let terms = laboratory.terms(.buyer, lasting: .minutes(1))
        let issued = try laboratory.authority.issueContract(csrPEM: CredentialKey().csrPEM(), terms: terms, now: noon)
        let sent = try chain(issued.chainPEM)
        #expect(await verification(laboratory.trust, sent, .client, at: terms.period.end - Span(microseconds: 1)) == "accepted")
        #expect(await verification(laboratory.trust, sent, .client, at: terms.period.end) == "expired")
    }

    /// A contract that has yet to begin gets its certificate ahead of time, but one that does not work ahead of time.
    @Test func aheadOfTime() async throws {
        let laboratory = try Laboratory()
        let terms = laboratory.terms(.seller, from: noon + .hours(10), lasting: .days(3))
        let issued = try laboratory.authority.issueContract(csrPEM: CredentialKey().csrPEM(), terms: terms, now: noon)
        let sent = try chain(issued.chainPEM)
        #expect(await verification(laboratory.trust, sent, .server, at: noon) == "notYetValid")
        #expect(await verification(laboratory.trust, sent, .server, at: terms.period.start - .seconds(61)) == "notYetValid")
        #expect(await verification(laboratory.trust, sent, .server, at: terms.period.start) == "accepted")
        #expect(await verification(laboratory.trust, sent, .server, at: terms.period.start + .hours(24)) == "expired")
    }

    @Test func renewalOfAContractThatRolls() throws {
        let laboratory = try Laboratory()
        let key = CredentialKey()
        let terms = laboratory.terms(.buyer)
        let hour = try key.credential(chainPEM: laboratory.authority.issueContract(csrPEM: key.csrPEM(), terms: terms, now: noon).chainPEM)
        #expect(!hour.needsRenewal(now: noon + .minutes(59)), "there is no more to get")
        #expect(!hour.needsRenewal(now: noon + .minutes(30), contractEnd: noon + .hours(2)), "too early")
        #expect(hour.needsRenewal(now: noon + .minutes(45), contractEnd: noon + .hours(2)))
        let week = laboratory.terms(.buyer, lasting: .days(7))
        let day = try key.credential(chainPEM: laboratory.authority.issueContract(csrPEM: key.csrPEM(), terms: week, now: noon).chainPEM)
        #expect(!day.needsRenewal(now: noon + .hours(15)))
        #expect(day.needsRenewal(now: noon + .hours(17)))
    }
}
