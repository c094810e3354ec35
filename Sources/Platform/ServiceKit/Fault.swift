import CloudAPI
import CloudClient
import Foundation
public import HTTPTypes
import Hummingbird
import PKI
public import Primitives
import Store

/// Any error as the refusal the caller gets, and what the log gets beside it. The one place that maps errors to HTTP.
public struct Fault: Error, Sendable {
    public let refusal: Refusal
    /// For the log only.
    public let cause: String?

    public init(_ error: any Error) {
        switch error {
        case let fault as Fault: self = fault
        case PKIError.refused(let refusal): self.init(refusal: refusal)
        case let refusal as Refusal: self.init(refusal: refusal)
        case let problem as ProblemDocument: self.init(refusal: problem.refusal)
        case let error as ClientError: self.init(refusal: error.refusal, cause: "\(error)")
        case let error as StoreError: self.init(refusal: Self.refusal(of: error), cause: "\(error)")
        case let error as LeaseLost:
            self.init(
                refusal: Refusal(
                    "store.lease", .unavailable, "Another process has taken over; the same request may succeed there.",
                    nearest: "the same request, to the process that has taken over"),
                cause: "\(error)")
        case is CancellationError:
            self.init(
                refusal: Refusal(
                    "service.stopping", .unavailable, "The program is stopping; try again in a moment.",
                    nearest: "the same request in a moment"))
        case let error as HTTPError: self.init(refusal: Self.refusal(of: error))
        default:
            self.init(
                refusal: Refusal(
                    "internal", .unavailable, "Something went wrong here that is not your fault; it has been logged.",
                    nearest: "the same request later; the operator finds it in the log by its request"),
                cause: "\(error)")
        }
    }

    private init(refusal: Refusal, cause: String? = nil) {
        self.refusal = refusal
        self.cause = cause
    }

    public var status: HTTPResponse.Status { Self.status(refusal) }

    /// Stable rules with a status of their own; all others go by category.
    public static func status(_ refusal: Refusal) -> HTTPResponse.Status {
        switch refusal.rule {
        case "http.unauthorized": return .unauthorized
        case "http.method": return .methodNotAllowed
        case "http.too-large": return .contentTooLarge
        case "http.timeout": return .requestTimeout
        case "http.media-type": return .unsupportedMediaType
        case "http.malformed", "request.cursor", "request.path": return .badRequest
        case "internal": return .internalServerError
        // It is not what the caller's `If-Match` says.
        case _ where refusal.facts["ifMatch"] != nil: return .preconditionFailed
        default: break
        }
        switch refusal.category {
        case .invalid: return .unprocessableContent
        case .notFound: return .notFound
        case .forbidden: return .forbidden
        case .conflict: return .conflict
        case .funds: return .init(code: 402, reasonPhrase: "Payment Required")
        case .capacity: return .init(code: 507, reasonPhrase: "Insufficient Capacity")
        case .unavailable: return .serviceUnavailable
        case .throttled: return .tooManyRequests
        }
    }

    private static func refusal(of error: StoreError) -> Refusal {
        switch error {
        case .full:
            Refusal(
                "store.full", .unavailable, "The disk this program keeps its records on is full: nothing was changed.",
                nearest: "the same request, once space has been made")
        case .busy:
            Refusal(
                "store.busy", .throttled, "Too many requests are waiting; nothing was changed.", nearest: "the same request, a little later"
            )
        case .unique:
            Refusal(
                "store.exists", .conflict, "A record with this name or identifier exists already.", nearest: "another name or identifier")
        case .foreignKey:
            Refusal(
                "store.reference", .conflict, "The request names a record that does not exist.", nearest: "one that the lists show")
        case .connection:
            Refusal(
                "store.connection", .unavailable, "The database cannot be reached; nothing was changed.",
                nearest: "the same request once it can be reached")
        case .other("argument", let what):
            Refusal(
                "request.text", .invalid, "The request has a value that cannot be kept: \(what).", nearest: "texts without zero bytes")
        case .corrupted, .other:
            Refusal("internal", .unavailable, "The database refused; it has been logged.", nearest: "the same request later")
        }
    }

    private static func refusal(of error: HTTPError) -> Refusal {
        let text = error.body ?? error.status.reasonPhrase
        return switch error.status {
        case .notFound:
            Refusal(
                "http.not-found", .notFound, "There is nothing at this address.", nearest: "an address of this program's API description")
        case .contentTooLarge:
            Refusal(
                "http.too-large", .invalid, "The body is larger than the 1 MiB allowed.",
                nearest: "a body of at most \(ProgramRouter.largestBody) bytes")
        case .requestTimeout:
            Refusal("http.timeout", .unavailable, "The request did not finish in time.", nearest: "the same request again")
        case .unauthorized: Refusal("http.unauthorized", .forbidden, text)
        default: Refusal("http.malformed", .invalid, text)
        }
    }
}
