import Primitives

/// How EC2 complains about identifiers of one kind.
public struct IdentifierErrors: Sendable {
    let malformed: ErrorCode
    let notFound: ErrorCode
    let noun: String

    public static let instance = IdentifierErrors(
        malformed: .invalidInstanceMalformed, notFound: .invalidInstanceNotFound, noun: "instance ID")
    public static let volume = IdentifierErrors(
        malformed: .invalidVolumeMalformed, notFound: .invalidVolumeNotFound, noun: "volume")
    public static let image = IdentifierErrors(malformed: .invalidImageMalformed, notFound: .invalidImageNotFound, noun: "image id")

    /// `The instance IDs 'i-…, i-…' do not exist`
    public func notFound(_ identifiers: [String]) -> EC2Error {
        let list = identifiers.joined(separator: ", ")
        return EC2Error(notFound, identifiers.count == 1 ? "The \(noun) '\(list)' does not exist" : "The \(noun)s '\(list)' do not exist")
    }

    /// An identifier of the right form that is none of ours (ours begin with 0) is *not found*, not *malformed*.
    func parse<Kind>(_ text: String, as kind: Kind.Type) throws(EC2Error) -> ID<Kind> {
        if let id = ID<Kind>(text) { return id }
        let digits = text.dropFirst(Kind.prefix.count + 1)
        guard text.hasPrefix(Kind.prefix + "-"), [8, 17].contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else {
            throw EC2Error(malformed, "Invalid id: \"\(text)\" (expecting \"\(Kind.prefix)-...\")")
        }
        throw notFound([text])
    }

    func parse<Kind>(_ texts: [String], as kind: Kind.Type) throws(EC2Error) -> [ID<Kind>] {
        var identifiers: [ID<Kind>] = []
        for text in texts {
            let id = try parse(text, as: kind)
            if !identifiers.contains(id) { identifiers.append(id) }
        }
        return identifiers
    }
}
