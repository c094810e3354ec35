/// The error codes of the EC2 API that this cloud answers with, and their HTTP statuses
/// (Amazon EC2 API Reference, "Error codes for the Amazon EC2 API"). Listed with their causes in `docs/ec2-errors.md`.
public enum ErrorCode: String, Sendable, CaseIterable {
    // The request as such.
    case invalidAction = "InvalidAction"
    case missingAction = "MissingAction"
    case noSuchVersion = "NoSuchVersion"
    case malformedQueryString = "MalformedQueryString"
    case unknownParameter = "UnknownParameter"
    case missingParameter = "MissingParameter"
    case invalidParameterValue = "InvalidParameterValue"
    case invalidParameterCombination = "InvalidParameterCombination"
    case filterLimitExceeded = "FilterLimitExceeded"
    case invalidNextToken = "InvalidNextToken"
    case unsupported = "Unsupported"
    case dryRunOperation = "DryRunOperation"
    case requestEntityTooLarge = "RequestEntityTooLarge"

    // Who asks.
    case missingAuthenticationToken = "MissingAuthenticationToken"
    case incompleteSignature = "IncompleteSignature"
    case signatureDoesNotMatch = "SignatureDoesNotMatch"
    case requestExpired = "RequestExpired"
    case authFailure = "AuthFailure"
    case unauthorizedOperation = "UnauthorizedOperation"

    // Things that are not there or not of the right form.
    case invalidImageMalformed = "InvalidAMIID.Malformed"
    case invalidImageNotFound = "InvalidAMIID.NotFound"
    case invalidInstanceMalformed = "InvalidInstanceID.Malformed"
    case invalidInstanceNotFound = "InvalidInstanceID.NotFound"
    case invalidInstanceType = "InvalidInstanceType"
    case invalidVolumeMalformed = "InvalidVolumeID.Malformed"
    case invalidVolumeNotFound = "InvalidVolume.NotFound"
    case invalidZone = "InvalidZone.NotFound"
    case invalidKeyPairNotFound = "InvalidKeyPair.NotFound"
    case invalidKeyPairDuplicate = "InvalidKeyPair.Duplicate"
    case invalidKeyPairFormat = "InvalidKeyPair.Format"
    case invalidKeyFormat = "InvalidKey.Format"
    case invalidUserDataMalformed = "InvalidUserData.Malformed"
    case invalidResource = "InvalidID"
    case invalidTagKeyMalformed = "InvalidTagKey.Malformed"
    case tagLimitExceeded = "TagLimitExceeded"

    // What the state of things does not allow.
    case incorrectInstanceState = "IncorrectInstanceState"
    case incorrectState = "IncorrectState"
    case volumeInUse = "VolumeInUse"
    case attachmentLimitExceeded = "AttachmentLimitExceeded"
    case volumeLimitExceeded = "VolumeLimitExceeded"
    case insufficientVolumeCapacity = "InsufficientVolumeCapacity"
    case idempotentParameterMismatch = "IdempotentParameterMismatch"
    case idempotentInstanceTerminated = "IdempotentInstanceTerminated"
    case operationNotPermitted = "OperationNotPermitted"
    case instanceLimitExceeded = "InstanceLimitExceeded"
    case vcpuLimitExceeded = "VcpuLimitExceeded"
    case insufficientInstanceCapacity = "InsufficientInstanceCapacity"
    case spotMaxPriceTooLow = "SpotMaxPriceTooLow"
    case insufficientFunds = "InsufficientFunds"

    // Ours to mend, or the moment's.
    case requestLimitExceeded = "RequestLimitExceeded"
    case unavailable = "Unavailable"
    case internalError = "InternalError"

    /// Client errors are 400 unless EC2 says otherwise. Lack of capacity is 400 too, not EC2's 500: clients would repeat a
    /// request at once that the market cannot satisfy.
    public var status: Int {
        switch self {
        case .authFailure: 401
        case .missingAuthenticationToken, .signatureDoesNotMatch, .unauthorizedOperation: 403
        case .dryRunOperation: 412
        case .requestEntityTooLarge: 413
        case .requestLimitExceeded, .unavailable: 503
        case .internalError: 500
        default: 400
        }
    }
}

/// A refusal in EC2's form: a code programs know and one sentence for a person.
public struct EC2Error: Error, Hashable, Sendable, CustomStringConvertible {
    public var code: ErrorCode
    public var message: String

    public init(_ code: ErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }

    /// What a request with `DryRun` gets that would have succeeded.
    public static let dryRun = EC2Error(.dryRunOperation, "Request would have succeeded, but DryRun flag is set.")

    /// The error document. It has no namespace, unlike answers.
    public func document(requestID: String) -> [UInt8] {
        var xml = XMLWriter(capacity: 512)
        xml.element("Response") { xml in
            xml.element("Errors") { xml in
                xml.element("Error") { xml in
                    xml.text("Code", code.rawValue)
                    xml.text("Message", message)
                }
            }
            xml.text("RequestID", requestID)
        }
        return xml.bytes
    }
}
