public import CloudAPI
public import PKI
public import Primitives

/// Who is calling, once authenticated.
public enum Principal: Sendable, Hashable {
    case anonymous
    case `operator`
    case participant(ParticipantID)
    case user(UserID)
    case program(participant: ParticipantID, role: IdentityRole, id: String)
    case contract(ContractTerms)

    public var caller: Caller? {
        switch self {
        case .anonymous: .anyone
        case .operator: .operator
        case .participant: .participant
        case .user: .user
        case .program(_, .manage, _): .manage
        case .program(_, .connect, _): .connect
        case .program(_, .node, _): .node
        case .program(_, .exchange, _): nil
        case .contract(let terms): terms.side == .buyer ? .buyer : nil
        }
    }

    /// For audit and idempotency scopes: one text per caller.
    public var name: String {
        switch self {
        case .anonymous: "anonymous"
        case .operator: "operator"
        case .participant(let id): id.description
        case .user(let id): id.description
        case .program(let participant, let role, let id): "\(participant)/\(role.rawValue)/\(id)"
        case .contract(let terms): "\(terms.contract)/\(terms.side.rawValue)"
        }
    }

    init(_ peer: VerifiedPeer) {
        switch peer.identity {
        case .program(_, let participant, let role, let id): self = .program(participant: participant, role: role, id: id)
        case .contract(_, let terms): self = .contract(terms)
        }
    }
}
