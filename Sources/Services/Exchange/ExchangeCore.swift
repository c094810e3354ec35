import CloudAPI
import Foundation
import Logging
import Market
import PKI
import Primitives
import ServiceKit
import Store

/// What every operation of an exchange works with.
struct ExchangeCore: Sendable {
    let configuration: ExchangeConfiguration
    /// The market's tables, with everything acknowledged in them, and the exchange's other tables.
    let database: any Database
    /// The same as they are, perhaps behind what was acknowledged: for what looks again and again and waits for nothing. Asking for
    /// everything each second would have every order's rows written while callers wait.
    let tables: any Database
    let journal: MarketJournal
    let authority: CertificateAuthority
    let desk: MarketDesk
    let streams: MarketStreams
    let fairness: Fairness
    let selfMatches: SelfMatchLog
    let revocations: RevocationLists
    let tls: PeerTLS
    let secrets: SecretMaker
    let peerPort: BoundPort
    let time: any TimeSource
    let ids: any IDSource
    let logger: Logger

    /// The name on the exchange's own certificate.
    var peerName: String { IdentityName.dns(for: .ofExchange(configuration.name)) ?? "" }

    /// Where programs dial, known once the peer listener listens.
    func peerAddress() async -> String {
        if let address = configuration.advertisedPeerAddress { return address }
        return "\(configuration.host):\(await peerPort.value())"
    }
}

/// Whose things a caller may see.
enum Scope: Sendable, Hashable {
    /// The operator's: everything.
    case all
    case participant(ParticipantID)
    /// A seller's connect sees what its own datacenter delivers.
    case datacenter(DatacenterID, ParticipantID)

    init(_ principal: Principal) throws {
        switch principal {
        case .operator: self = .all
        case .participant(let id): self = .participant(id)
        case .program(let participant, .connect, let id):
            guard let datacenter = DatacenterID(id) else { throw Self.nothing(principal) }
            self = .datacenter(datacenter, participant)
        case .program(let participant, .manage, _): self = .participant(participant)
        default: throw Self.nothing(principal)
        }
    }

    private static func nothing(_ principal: Principal) -> Refusal {
        Refusal("http.forbidden", .forbidden, "\(principal.name) is no participant of this exchange, nor a program of one.")
    }

    /// Nil: the operator.
    var participant: ParticipantID? {
        switch self {
        case .all: nil
        case .participant(let id), .datacenter(_, let id): id
        }
    }

    var datacenter: DatacenterID? { if case .datacenter(let id, _) = self { id } else { nil } }

    func sees(_ contract: Contract) -> Bool {
        switch self {
        case .all: true
        case .participant(let id): contract.buyer == id || contract.seller == id
        case .datacenter(let datacenter, let id): contract.seller == id && contract.datacenter == datacenter
        }
    }

    func sees(_ order: Order) -> Bool {
        switch self {
        case .all: true
        case .participant(let id): order.draft.participant == id
        case .datacenter(let datacenter, let id): order.draft.participant == id && order.draft.datacenter == datacenter
        }
    }
}
