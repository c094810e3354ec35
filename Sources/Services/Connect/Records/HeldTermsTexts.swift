import CloudAPI
import Crypto
import Fleet
import Foundation
import Primitives
import Synchronization

/// Terms as tables have them, for placement. Instances of one product have the same, so each is made once.
final class HeldTermsTexts: Sendable {
    private struct Key: Hashable {
        var text: String
        var party: ParticipantID
    }

    private static let bound = 4_096
    private let known = Mutex<[Key: HeldTerms]>([:])

    static let shared = HeldTermsTexts()

    /// - Parameter text: JSON of `PlacementTerms` with identifiers for names; nil: none.
    func value(_ text: String?, of party: ParticipantID) throws -> HeldTerms {
        guard let text else { return .none }
        let key = Key(text: text, party: party)
        if let held = known.withLock({ $0[key] }) { return held }
        let terms = try WireJSON.decode(PlacementTerms.self, from: Data(text.utf8))
        let held = HeldTerms(InstanceTerms(terms, of: party))
        known.withLock { known in
            if known.count >= Self.bound { known = [:] }
            known[key] = held
        }
        return held
    }
}

extension InstanceTerms {
    /// - Parameter terms: with identifiers where names may stand.
    init(_ terms: PlacementTerms, of party: ParticipantID) {
        self.init()
        zone = terms.zone
        pod = terms.pod.flatMap(PodID.init)
        host = terms.host.flatMap(HostID.init)
        avoiding = (terms.avoiding ?? []).compactMap(HostID.init)
        volumePod = terms.volumePod.flatMap(PodID.init)
        kind = terms.kind.flatMap { PlacementHost.Kind(rawValue: $0.rawValue) }
        profile = terms.profile
        storage = terms.storage.flatMap { PlacementHost.Storage(rawValue: $0.rawValue) }
        jurisdiction = terms.jurisdiction
        largestOversubscription = terms.largestOversubscription.map(Oversubscription.init)
        if let wanted = terms.tenancy {
            tenancy = PlacementTenancy(
                connect: .init(wanted.connect), pod: .init(wanted.pod), pool: .init(wanted.pool), host: .init(wanted.host))
            // Direct attached disks are a pool of their host alone.
            if storage == .das {
                if tenancy.host == .shared, tenancy.pool != .shared { (tenancy.host, poolIsHost) = (tenancy.pool, true) }
                tenancy.pool = .shared
            }
        }
        groups = (terms.groups ?? []).map { PlacementGroup($0, of: party) }
        numa = terms.numa ?? false
        gpu = terms.gpu.map { .init(models: $0.models ?? [], count: Int(clamping: $0.count), milliEach: $0.milliEach ?? 1_000) }
        interruptible = terms.firmness == .interruptible
        priority = Int16(clamping: terms.priority ?? 0)
    }
}

extension PlacementTenancy.Sharing {
    fileprivate init(_ term: TenancyTerm?) {
        switch term?.sharing {
        case .shared, nil: self = .shared
        case .exclusive: self = .exclusive
        case .group: self = .group((term?.participants ?? []).sorted())
        }
    }
}

extension PlacementGroup {
    /// A buyer's groups are its own: the same name of another buyer is another group, whatever either calls it.
    init(_ term: GroupTerm, of party: ParticipantID) {
        let level = PlacementLevel(rawValue: (term.domain ?? .host).rawValue) ?? .host
        let rule: Rule =
            switch term.rule {
            case .together: .together(level)
            case .apart: .apart(level)
            case .spread: .spread(level, maxSkew: Int(clamping: term.maxSkew ?? 1))
            }
        self.init(id: Self.number(term.name, of: party), rule)
    }

    static func number(_ name: String, of party: ParticipantID) -> UInt64 {
        let digest = SHA256.hash(data: Data("\(party) \(name)".utf8))
        return digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
