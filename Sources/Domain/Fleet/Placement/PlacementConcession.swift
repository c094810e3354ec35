/// A term that a request may do without.
enum PlacementConcession: Hashable, Sendable {
    case zone, pod, host, avoiding, volumePod
    /// Terms of tenancy at one level.
    case tenancy(PlacementRule)
    case group(UInt64)
    case numa, network, gpus
    case gpuModels, kind, profile, storage, jurisdiction, oversubscription

    static let places: [PlacementConcession] = [.zone, .pod, .host, .avoiding, .volumePod]
    static let hardware: [PlacementConcession] = [.gpuModels, .kind, .profile, .storage, .jurisdiction, .oversubscription]

    static func terms(of request: PlacementRequest) -> [PlacementConcession] {
        [.tenancy(.tenancyHost), .tenancy(.tenancyPool), .tenancy(.tenancyPod), .tenancy(.tenancyConnect)]
            + request.groups.map { .group($0.id) } + [.numa, .network]
    }

    /// All that a request can do without. What is taken back first comes first: what it runs on before where that stands.
    static func all(of request: PlacementRequest) -> [PlacementConcession] {
        let hardware: [PlacementConcession] = [.jurisdiction, .kind, .profile, .storage, .oversubscription, .gpuModels]
        let tenancy: [PlacementConcession] = [.tenancyConnect, .tenancyPod, .tenancyPool, .tenancyHost].map { .tenancy($0) }
        let terms = tenancy + [.gpus] + request.groups.map { .group($0.id) } + [.numa, .network]
        let places: [PlacementConcession] = [.volumePod, .zone, .pod, .host, .avoiding]
        return (hardware + terms + places).filter { request.without($0) != nil }
    }
}

extension PlacementRequest {
    /// The request without a term, or with it as loose as its product allows; nil: it has no such term, or the product fixes it.
    func without(_ concession: PlacementConcession) -> PlacementRequest? {
        let fixed = fixed.value
        var open = self
        switch concession {
        case .zone: open.zone = fixed.zone
        case .pod: open.pod = fixed.pod
        case .host:
            guard host != nil else { return nil }
            (open.host, open.zone) = (fixed.host, zone ?? fixed.zone)
        case .avoiding: open.avoiding = fixed.avoiding
        case .volumePod:
            // No volume lies on bare metal.
            guard !isWhole else { return nil }
            open.volumePod = fixed.volumePod
        case .tenancy(let rule):
            guard tenancyTerms(rule) != .shared, fixed.tenancy[rule] == .shared else { return nil }
            open = applying(.sharing(rule))
        case .group(let id): open.groups.removeAll { $0.id == id && !fixed.groups.contains($0) }
        case .numa: open.numa = fixed.numa
        case .network: open.network = nil
        case .gpus:
            guard !isWhole else { return nil }
            open = applying(.withoutGPUs)
        case .gpuModels: open.gpu?.models = fixed.gpu?.models ?? []
        case .kind: open.kind = fixed.kind
        case .profile: open.profile = fixed.profile
        case .storage: open.storage = fixed.storage
        case .jurisdiction: open.jurisdiction = fixed.jurisdiction
        case .oversubscription: open.largestOversubscription = fixed.largestOversubscription
        }
        return open == self ? nil : open
    }

    /// Its own at a level; at the host none when those are its pool's.
    private func tenancyTerms(_ rule: PlacementRule) -> PlacementTenancy.Sharing {
        switch rule {
        case .tenancyPool where poolIsHost: tenancy.host
        case .tenancyHost where poolIsHost: .shared
        default: tenancy[rule]
        }
    }

    /// What doing without a term comes to on the host where the request then fits.
    func change(for concession: PlacementConcession, on host: PlacementHost) -> PlacementChange {
        switch concession {
        case .zone: .zone(host.zone)
        case .pod: .pod(host.pod)
        case .host: .host(host.id)
        case .avoiding: .withoutAvoiding
        case .volumePod: .volumePod(host.pod)
        case .tenancy(let rule): .sharing(rule)
        case .group(let id): .withoutGroup(id)
        case .numa: .withoutNUMA
        case .network: .withoutNetwork
        case .gpus: .withoutGPUs
        case .gpuModels: .gpuModel(host.gpuModel ?? "")
        case .kind: .kind(host.kind)
        case .profile: .profile(host.profile)
        case .storage: .storage(host.storage)
        case .jurisdiction: .jurisdiction(host.jurisdiction)
        case .oversubscription: .oversubscription((largestOversubscription ?? host.ratios).covering(host.ratios))
        }
    }
}

extension PlacementTenancy {
    /// By the rule about a level; any other rule: the host's.
    subscript(_ rule: PlacementRule) -> Sharing {
        switch rule {
        case .tenancyConnect: connect
        case .tenancyPod: pod
        case .tenancyPool: pool
        default: host
        }
    }
}

extension Oversubscription {
    /// The larger of each.
    func covering(_ other: Oversubscription) -> Oversubscription {
        Oversubscription(cpu: max(cpu, other.cpu), memory: max(memory, other.memory), disk: max(disk, other.disk))
    }
}
