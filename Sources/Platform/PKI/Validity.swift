// For how long a certificate is valid: the arithmetic, apart from the certificates.
import Primitives

/// From the first to the last valid second. X.509 counts whole seconds and includes the last one (RFC 5280 §4.1.2.5).
struct Validity: Hashable {
    var notBefore: Instant
    var notAfter: Instant

    /// Clocks of peers may be this far behind ours.
    static let clockSkew: Span = .minutes(1)
    static let longestContract: Span = .hours(24)
    static let identityLifetimes: ClosedRange<Span> = .minutes(1)...(.days(90))

    /// From a little before `now`, for `lifetime`, but not past the issuer.
    static func identity(lifetime: Span, now: Instant, issuer: Validity) throws(PKIError) -> Validity {
        guard identityLifetimes.contains(lifetime) else {
            let nearest = lifetime < identityLifetimes.lowerBound ? identityLifetimes.lowerBound : identityLifetimes.upperBound
            throw .refused(
                Refusal(
                    "pki.identity.lifetime", .invalid,
                    "An identity certificate lives between 1 minute and 90 days, not \(lifetime.seconds) s.",
                    facts: ["seconds": .number(lifetime.seconds)], nearest: "\(nearest.seconds) s"))
        }
        try requireAlive(issuer, now)
        return Validity(from: now, to: min((now + lifetime).flooredToSecond, issuer.notAfter), issuer: issuer)
    }

    /// From a little before `now` or the contract's start, whichever is later; for at most 24 hours; and such that the last valid
    /// second is over when the contract is.
    ///
    /// A contract that starts later gets its certificate ahead of time, but not one that works ahead of time (beyond clock skew).
    static func contract(_ terms: ContractTerms, now: Instant, issuer: Validity) throws(PKIError) -> Validity {
        try requireAlive(issuer, now)
        let begin = max(now, terms.period.start)
        let end = terms.period.end.flooredToSecond - .seconds(1)
        guard begin <= end else {
            throw .refused(
                Refusal(
                    "pki.contract.over", .conflict,
                    "Contract \(terms.contract) ends at \(terms.period.end) and it is \(now): no certificate may outlive its contract.",
                    facts: [
                        "contract": .text(terms.contract.description), "end": .text(terms.period.end.description),
                        "now": .text(now.description),
                    ]))
        }
        // Measured from the earliest possible start, so that the certificate as a whole lives no longer than 24 hours.
        let longest = (begin - clockSkew).flooredToSecond + longestContract
        let last = min(end, longest, issuer.notAfter)
        guard begin <= last else {
            throw .refused(
                Refusal(
                    "pki.authority.expires", .unavailable,
                    "Contract \(terms.contract) starts at \(terms.period.start), after the issuing authority ends at \(issuer.notAfter).",
                    facts: ["contract": .text(terms.contract.description), "authorityEnd": .text(issuer.notAfter.description)],
                    nearest: "renew the intermediate certificate (needs root.key)"))
        }
        return Validity(from: begin, to: last, issuer: issuer)
    }

    private static func requireAlive(_ issuer: Validity, _ now: Instant) throws(PKIError) {
        guard issuer.notBefore <= now, now < issuer.notAfter else {
            throw .refused(
                Refusal(
                    "pki.authority.expired", .unavailable,
                    "The issuing authority is valid from \(issuer.notBefore) to \(issuer.notAfter) and it is \(now).",
                    facts: ["now": .text(now.description), "authorityEnd": .text(issuer.notAfter.description)],
                    nearest: "renew the intermediate certificate (needs root.key)"))
        }
    }

    init(notBefore: Instant, notAfter: Instant) {
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// Back-dates by the clock skew, but by no more than half of what is left: a certificate fresh from the authority must be
    /// in the first two thirds of its life, or its holder would ask for the next one at once.
    private init(from begin: Instant, to last: Instant, issuer: Validity) {
        let half = Span(microseconds: (last - begin).microseconds / 2)
        notBefore = max((begin - min(Self.clockSkew, half)).flooredToSecond, issuer.notBefore)
        notAfter = last
    }
}
