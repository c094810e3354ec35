import EC2
import Primitives
import ServiceKit

extension EC2Error {
    /// Any error in EC2's words; the one place that maps them. Listed in `docs/ec2-errors.md`.
    init(any error: any Error) {
        if let error = error as? EC2Error {
            self = error
            return
        }
        let refusal = Fault(error).refusal
        let text = refusal.message + (refusal.nearest.map { " Nearest: \($0)" } ?? "")
        self.init(Self.codes[refusal.rule] ?? Self.code(refusal), text)
    }

    private static func code(_ refusal: Refusal) -> ErrorCode {
        switch refusal.category {
        case .invalid, .notFound: .invalidParameterValue
        case .forbidden: .unauthorizedOperation
        case .conflict: .operationNotPermitted
        case .funds: .insufficientFunds
        case .capacity: .insufficientInstanceCapacity
        case .throttled: .requestLimitExceeded
        case .unavailable: .unavailable
        }
    }

    private static let codes: [String: ErrorCode] = [
        "http.too-large": .requestEntityTooLarge, "internal": .internalError,
        "instance.contractEnded": .incorrectInstanceState, "instance.state": .incorrectInstanceState,
        "instance.unknown": .invalidInstanceNotFound,
        "volume.unknown": .invalidVolumeNotFound, "volume.state": .incorrectState, "volume.device": .invalidParameterValue,
        "volume.count": .attachmentLimitExceeded, "volume.gravity": .invalidParameterCombination,
        "volume.contract": .insufficientVolumeCapacity, "contract.volume": .insufficientVolumeCapacity,
        "tenancy.volume-quota": .volumeLimitExceeded,
        "key.exists": .invalidKeyPairDuplicate, "key.format": .invalidKeyFormat,
        "launch.clientToken": .idempotentParameterMismatch, "launch.image": .invalidImageNotFound,
        "launch.keyPair": .invalidKeyPairNotFound,
        "launch.offering": .invalidParameterValue, "launch.size": .invalidParameterCombination, "launch.zone": .invalidParameterValue,
        "sourcing.cash": .insufficientFunds, "sourcing.priceCap": .spotMaxPriceTooLow, "tenancy.quota": .vcpuLimitExceeded,
    ]
}
