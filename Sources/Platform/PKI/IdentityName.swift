// The names an identity has: one URI, and at most one host name of ours, so that an ordinary TLS client's check of the host
// name is the check of the identity.
public import Primitives

/// URIs and host names of identities (DESIGN.md §5).
public enum IdentityName {
    /// The top-level name under which all our host names lie. It exists only in certificates, never in the DNS.
    public static let topLevel = "bourse"

    /// `bourse://<exchange>/<par-…>/<role>/<id>` or `bourse://<exchange>/contract/<ctr-…>/<side>`.
    public static func uri(for identity: PeerIdentity) -> String {
        switch identity {
        case .program(let exchange, let participant, let role, let id):
            "bourse://\(exchange)/\(participant)/\(role.rawValue)/\(id)"
        case .contract(let exchange, let terms):
            "bourse://\(exchange)/contract/\(terms.contract)/\(terms.side.rawValue)"
        }
    }

    /// The host name a client asks for to reach exactly this peer; nil for a buyer, who is never a server.
    public static func dns(for identity: PeerIdentity) -> String? {
        switch identity {
        case .program(let exchange, _, let role, let id): dns(role: role, id: id, exchange: exchange)
        case .contract(let exchange, let terms): terms.side == .seller ? dns(contract: terms.contract, exchange: exchange) : nil
        }
    }

    /// `<id>.<role>.<exchange>.bourse`
    public static func dns(role: IdentityRole, id: String, exchange: String) -> String {
        "\(id).\(role.rawValue).\(exchange).\(topLevel)"
    }

    /// `<ctr-…>.contract.<exchange>.bourse`: the seller's side of a contract.
    public static func dns(contract: ContractID, exchange: String) -> String {
        "\(contract).contract.\(exchange).\(topLevel)"
    }

    /// The contract a host name of the form `<ctr-…>.contract.<exchange>.bourse` asks for, e.g. from SNI; nil for any other name.
    public static func contract(inDNS name: String, exchange: String) -> ContractID? {
        let suffix = ".contract.\(exchange).\(topLevel)"
        guard name.hasSuffix(suffix) else { return nil }
        return ContractID(String(name.dropLast(suffix.count)))
    }

    /// What a URI of ours names. The form is exact: no escapes, no port, no query, no upper case.
    public enum Parsed: Sendable, Hashable {
        case program(exchange: String, participant: ParticipantID, role: IdentityRole, id: String)
        case contract(exchange: String, contract: ContractID, side: ContractSide)
    }

    /// Nil unless `uri` has exactly one of the two forms above.
    public static func parse(uri: String) -> Parsed? {
        let prefix = "bourse://"
        guard uri.utf8.count <= 256, uri.hasPrefix(prefix) else { return nil }
        let parts = uri.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, isExchangeName(parts[0]) else { return nil }
        if parts[1] == "contract" {
            guard let contract = ContractID(parts[2]), let side = ContractSide(rawValue: parts[3]) else { return nil }
            return .contract(exchange: parts[0], contract: contract, side: side)
        }
        guard let participant = ParticipantID(parts[1]), let role = IdentityRole(rawValue: parts[2]), isLabel(parts[3]) else { return nil }
        return .program(exchange: parts[0], participant: participant, role: role, id: parts[3])
    }

    /// An exchange's name is a DNS label of at most 32 characters.
    public static func isExchangeName(_ name: String) -> Bool { isLabel(name) && name.utf8.count <= 32 }

    /// A DNS label in lower case: 1 to 63 letters, digits and hyphens, no hyphen at either end (RFC 1123 §2.1).
    public static func isLabel(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), bytes.first != UInt8(ascii: "-"), bytes.last != UInt8(ascii: "-") else { return false }
        return bytes.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
    }
}
