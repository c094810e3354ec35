public import Primitives

/// Why hosts were left out, and what would have to change.
public struct PlacementExplanation: Hashable, Sendable {
    public var hosts: Int
    /// Rules that kept hosts away, in the order of `PlacementRule`. Each host is counted once, by the first rule that keeps it away.
    public var fallen: [Fallen]
    /// Hosts that keep all rules and have room.
    public var fitting: Int
    /// Changes with which the request fits, nearest first; empty when it fits as it is, or when no change helps. Each was tried. Where no
    /// single one is enough, there is one of several together.
    public var changes: [PlacementChange]

    public struct Fallen: Hashable, Sendable {
        public var rule: PlacementRule
        public var hosts: Int
    }

    /// E.g. `8 by zone, 2 by milliCPU`.
    public var causes: String { fallen.map { "\($0.hosts) by \($0.rule.rawValue)" }.joined(separator: ", ") }

    /// As a refusal.
    public var refusal: Refusal {
        guard hosts > 0 else { return Self.noHosts }
        var facts: [String: Refusal.Fact] = ["hosts": .number(Int64(hosts))]
        for fallen in fallen { facts[fallen.rule.rawValue] = .number(Int64(fallen.hosts)) }
        return Refusal(
            "placement.capacity", .capacity,
            hosts == 1 ? "The only host cannot take it: \(causes)." : "None of \(hosts) hosts can take it: \(causes).", facts: facts,
            nearest: changes.first?.description ?? "the same once a host is up that can take it")
    }

    static let noHosts = Refusal(
        "placement.hosts", .capacity, "This datacenter has no hosts yet.", nearest: "the same once a host has joined: `bourse host enrol`")
}

/// One change to a request.
public enum PlacementChange: Hashable, Sendable {
    case zone(String)
    case pod(PodID)
    case host(HostID)
    case withoutAvoiding
    /// Other amounts: `was` and `now` differ in one or more components.
    case resources(was: Resources, now: Resources)
    case gpus(was: Int, now: PlacementRequest.GPUDemand)
    /// Shared instead of what was asked for at this level: connect, pod, pool or host.
    case sharing(PlacementRule)
    case withoutGroup(UInt64)
    case withoutNUMA
    /// On its host's own network.
    case withoutNetwork
    case gpuModel(String)
    case kind(PlacementHost.Kind)
    case profile(String)
    case storage(PlacementHost.Storage)
    case jurisdiction(String)
    case oversubscription(Oversubscription)
    /// The volume in another pod.
    case volumePod(PodID)
    case withoutGPUs
    /// All of them: one alone is not enough.
    indirect case together([PlacementChange])
    /// Interruptible instances make room first.
    case preempting([InstanceID], on: HostID)
}

extension PlacementChange: CustomStringConvertible {
    public var description: String {
        switch self {
        case .zone(let zone): "zone \(zone)"
        case .pod(let pod): "pod \(pod)"
        case .host(let host): "host \(host)"
        case .withoutAvoiding: "one of the hosts to avoid"
        case .resources(let was, let now): Self.fewer(was, now)
        case .gpus(let was, let now):
            now.milliEach < 1_000 ? "\(now.milliEach) milli of one GPU" : "\(was - now.count) fewer GPUs (\(now.count) instead of \(was))"
        case .sharing(let rule): "shared instead of other terms of tenancy at the \(rule.rawValue.split(separator: ".").last ?? "host")"
        case .withoutGroup(let group): "without group \(group)"
        case .withoutNetwork: "without a network of its own"
        case .withoutGPUs: "without GPUs"
        case .together(let changes): changes.map(\.description).joined(separator: ", and ")
        case .withoutNUMA: "without one NUMA cell for all of it"
        case .gpuModel(let model): "GPU model \(model)"
        case .kind(let kind): "\(kind.rawValue) hosts"
        case .profile(let profile): profile.isEmpty ? "hardware without a profile" : "hardware profile \(profile)"
        case .storage(let storage): "\(storage.rawValue) storage"
        case .jurisdiction(let jurisdiction): jurisdiction.isEmpty ? "no jurisdiction asked for" : "jurisdiction \(jurisdiction)"
        case .oversubscription(let ratios):
            "an oversubscription of up to \(ratios.cpu) milli of processor, \(ratios.memory) of memory and \(ratios.disk) of disk"
        case .volumePod(let pod): "the volume in pod \(pod)"
        case .preempting(let instances, let host): "after pre-empting \(counted(instances.count, "interruptible instance")) on host \(host)"
        }
    }

    private static func fewer(_ was: Resources, _ now: Resources) -> String {
        zip(was.components, now.components).compactMap { was, now in
            guard was.amount != now.amount else { return nil }
            if was.name == "milliCPU", was.amount % 1_000 == 0, now.amount % 1_000 == 0 {
                return "\((was.amount - now.amount) / 1_000) fewer vCPU (\(now.amount / 1_000) instead of \(was.amount / 1_000))"
            }
            return "\(was.amount - now.amount) fewer \(was.name) (\(now.amount) instead of \(was.amount))"
        }.joined(separator: " and ")
    }
}

extension PlacementRequest {
    /// The request with a change made. Pre-emption changes what is on hosts, not the request.
    public func applying(_ change: PlacementChange) -> PlacementRequest {
        var changed = self
        switch change {
        case .zone(let zone): changed.zone = zone
        case .pod(let pod): changed.pod = pod
        case .host(let host): changed.host = host
        case .withoutAvoiding: changed.avoiding = []
        case .resources(_, let now): changed.resources = now
        case .gpus(_, let now):
            changed.gpu = PlacementRequest.GPUDemand(models: gpu?.models ?? [], count: now.count, milliEach: now.milliEach)
            changed.resources.milliGPU = Int64(now.count) * now.milliEach
        case .sharing(.tenancyConnect): changed.tenancy.connect = .shared
        case .sharing(.tenancyPod): changed.tenancy.pod = .shared
        case .sharing(.tenancyPool):
            changed.tenancy.pool = .shared
            if poolIsHost { (changed.tenancy.host, changed.poolIsHost) = (.shared, false) }
        case .sharing: changed.tenancy.host = .shared
        case .withoutGroup(let id): changed.groups.removeAll { $0.id == id }
        case .withoutNUMA: changed.numa = false
        case .withoutNetwork: changed.network = nil
        case .gpuModel(let model): changed.gpu?.models = [model]
        case .kind(let kind): changed.kind = kind
        case .profile(let profile): changed.profile = profile
        case .storage(let storage): changed.storage = storage
        case .jurisdiction(let jurisdiction): changed.jurisdiction = jurisdiction
        case .oversubscription(let ratios): changed.largestOversubscription = ratios
        case .volumePod(let pod): changed.volumePod = pod
        case .withoutGPUs: (changed.gpu, changed.resources.milliGPU) = (nil, 0)
        case .together(let changes): for change in changes { changed = changed.applying(change) }
        case .preempting: break
        }
        return changed
    }
}
