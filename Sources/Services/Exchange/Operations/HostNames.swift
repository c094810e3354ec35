package import PKI
import Primitives
import ServiceKit
import Store

// Whose host names and addresses are: a certificate with a name makes its holder the server of that name to everybody here.

extension ExchangeCore {
    /// Refuses names that are the exchange's own.
    func checkNotOwn(_ names: [HostName]) throws(Refusal) {
        let own = configuration.ownNames
        guard let name = names.first(where: own.contains) else { return }
        throw Refusal(
            "enrolment.name-of-exchange", .forbidden,
            "'\(name)' is where this exchange is; no program gets a certificate for it.",
            facts: ["name": .text(name.description)], nearest: "a name or address of the program's own machine")
    }
}

extension ExchangeConfiguration {
    /// Where programs and people find this exchange, without what every machine calls itself.
    package var ownNames: Set<HostName> {
        let advertised = advertisedPeerAddress.map { address in
            let host = address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
            return host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        }
        return Set([host, publicName, advertised].compactMap { $0.flatMap(HostName.init) }.filter { !$0.isEverybodys })
    }
}

extension WriteContext {
    /// Notes names as a participant's until the certificate with them ends. Refused while another participant has a certificate with one.
    func claim(_ names: [HostName], for participant: ParticipantID, until: Instant, at now: Instant) throws {
        for name in names where !name.isEverybodys {
            let claimed = try execute(
                """
                INSERT INTO certified_names (name, participant, until) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE
                SET participant = excluded.participant, until = excluded.until
                WHERE certified_names.participant = excluded.participant OR certified_names.until < $4
                """, [.text(name.description), SQLValue(participant), SQLValue(until), SQLValue(now)])
            guard claimed == 1 else {
                throw Refusal(
                    "enrolment.name-taken", .conflict, "'\(name)' is in a certificate of another participant.",
                    facts: ["name": .text(name.description)], nearest: "a name or address of the program's own machine")
            }
        }
    }
}
