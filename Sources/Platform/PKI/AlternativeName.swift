// Real host names and addresses that a program asks for beside the names that are ours to give.
import Primitives
import SwiftASN1
import X509

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

enum AlternativeName {
    static let limit = 16

    /// Checks and converts the names a requester asked for. Names under `.bourse` are identities and never given on request.
    static func parsed(_ names: [String]) throws(PKIError) -> [GeneralName] {
        guard names.count <= limit else {
            throw .refused(
                Refusal(
                    "pki.names", .invalid, "\(names.count) extra names were asked for; at most \(limit) are given.",
                    facts: ["names": .number(Int64(names.count)), "limit": .number(Int64(limit))]))
        }
        var result: [GeneralName] = []
        for name in names {
            guard let parsed = address(name) ?? hostName(name.lowercased()) else {
                throw .refused(
                    Refusal(
                        "pki.names", .invalid,
                        "'\(name.prefix(100))' is not a name to certify: it must be an IP address or a host name without wildcard,"
                            + " and not end in .\(IdentityName.topLevel).",
                        facts: ["name": .text(String(name.prefix(100)))]))
            }
            if !result.contains(parsed) { result.append(parsed) }
        }
        return result
    }

    static func address(_ text: String) -> GeneralName? {
        for (family, length) in [(AF_INET, 4), (AF_INET6, 16)] {
            var octets = [UInt8](repeating: 0, count: length)
            if inet_pton(family, text, &octets) == 1 { return .ipAddress(ASN1OctetString(contentBytes: octets[...])) }
        }
        return nil
    }

    static func hostName(_ text: String) -> GeneralName? {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard text.utf8.count <= 253, labels.allSatisfy(IdentityName.isLabel), let last = labels.last, last != IdentityName.topLevel,
            !last.utf8.allSatisfy({ (48...57).contains($0) })
        else { return nil }
        return .dnsName(text)
    }
}
