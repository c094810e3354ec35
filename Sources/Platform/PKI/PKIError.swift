// Everything that can go wrong in this module, in one type.
public import Primitives

public enum PKIError: Error, Sendable, Hashable {
    /// The authority will not issue this, and says why.
    case refused(Refusal)
    /// A peer's certificate was not accepted. The text is for logs; peers are told nothing.
    case rejected(Rejection, String)
    /// A revocation list was not accepted; what was known before stays in force.
    case revocationList(RevocationProblem, String)
    /// A file is not what it should be, with what to do about it.
    case corrupted(path: String, String)
    /// The operating system refused a file operation.
    case file(path: String, operation: String, code: Int32)
    /// Text or bytes that are not what they claim to be (PEM, DER, names).
    case malformed(String)

    /// Why a peer's certificate was not accepted.
    public enum Rejection: String, Sendable, Hashable, CaseIterable {
        /// None was sent, or it is no certificate, or there are too many.
        case malformed
        /// No valid path to a root of ours: other authority, issuer that is no authority, path too long, name not permitted,
        /// unknown critical extension, bad signature.
        case untrusted
        case expired
        case notYetValid
        case revoked
        /// Key usage or extended key usage do not allow what the peer does with it.
        case wrongUsage
        /// Not a P-256 key.
        case wrongKey
        /// Not exactly one URI of our form in our trust domain, or host names that belong to somebody else.
        case wrongName
        /// The contract extension is missing, malformed, or disagrees with the URI.
        case wrongTerms
        /// The contract is over.
        case contractOver
    }

    /// Why a revocation list was not accepted.
    public enum RevocationProblem: String, Sendable, Hashable, CaseIterable {
        case malformed, wrongIssuer, badSignature, stale, notYetValid
        /// Its number is lower than the one in force: an old list replayed.
        case older
    }
}

extension PKIError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(let refusal): refusal.description
        case .rejected(let rejection, let text): "certificate rejected (\(rejection.rawValue)): \(text)"
        case .revocationList(let problem, let text): "revocation list rejected (\(problem.rawValue)): \(text)"
        case .corrupted(let path, let text): "\(path): \(text)"
        case .file(let path, let operation, let code): "\(path): \(operation) failed with error \(code)"
        case .malformed(let text): text
        }
    }
}

/// Runs `body`, turning what other libraries throw into `.malformed` with a sentence that says what was being done.
func decoding<T>(_ what: String, _ body: () throws -> T) throws(PKIError) -> T {
    do {
        return try body()
    } catch let error as PKIError {
        throw error
    } catch {
        throw .malformed("\(what): \(error)")
    }
}
