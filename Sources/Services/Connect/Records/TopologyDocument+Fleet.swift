import CloudAPI
import Fleet
import Primitives

// The wire's words for a topology, and the domain's.

extension Oversubscription {
    init(_ ratios: OversubscriptionRatios) { self.init(cpu: ratios.cpu, memory: ratios.memory, disk: ratios.disk) }
}

extension OversubscriptionRatios {
    init(_ ratios: Oversubscription) { self.init(cpu: ratios.cpu, memory: ratios.memory, disk: ratios.disk) }
}

extension HardwareProfile {
    init(_ profile: PodProfile) {
        self.init(
            name: profile.name, milliCPU: profile.milliCPU ?? 0, memoryMiB: profile.memoryMiB ?? 0, diskMiB: profile.diskMiB ?? 0,
            gpus: profile.gpus ?? 0, cells: profile.cells ?? 0, disks: profile.disks ?? 0, nics: profile.nics ?? 0,
            watts: profile.watts ?? 0, rackUnits: profile.rackUnits ?? 0, networkPorts: profile.networkPorts ?? 0,
            storageIOPS: profile.storageIOPS ?? 0, storageMBps: profile.storageMBps ?? 0, guests: profile.guests ?? 0)
    }
}

extension PodProfile {
    init(_ profile: HardwareProfile) {
        func stated(_ number: Int64) -> Int64? { number == 0 ? nil : number }
        self.init(
            name: profile.name, milliCPU: stated(profile.milliCPU), memoryMiB: stated(profile.memoryMiB), diskMiB: stated(profile.diskMiB),
            gpus: stated(profile.gpus), cells: stated(profile.cells), disks: stated(profile.disks), nics: stated(profile.nics),
            watts: stated(profile.watts), rackUnits: stated(profile.rackUnits), networkPorts: stated(profile.networkPorts),
            storageIOPS: stated(profile.storageIOPS), storageMBps: stated(profile.storageMBps), guests: stated(profile.guests))
    }
}

extension PodLimits {
    init(_ limits: PodSizeLimits?) {
        self.init(
            hosts: limits?.hosts, storageIOPS: limits?.storageIOPS, storageMBps: limits?.storageMBps, networkPorts: limits?.networkPorts,
            broadcastGuests: limits?.broadcastGuests)
    }
}

extension PodSizeLimits {
    init(_ limits: PodLimits) {
        self.init(
            hosts: limits.hosts, storageIOPS: limits.storageIOPS, storageMBps: limits.storageMBps, networkPorts: limits.networkPorts,
            broadcastGuests: limits.broadcastGuests)
    }
}

extension Baseline {
    init(_ baseline: PodBaseline) { self.init(product: baseline.product, bios: baseline.bios, firmware: baseline.firmware ?? [:]) }
}

extension PodBaseline {
    init(_ baseline: Baseline) {
        self.init(product: baseline.product, bios: baseline.bios, firmware: baseline.firmware.isEmpty ? nil : baseline.firmware)
    }
}

extension Topology.Pod.Kind { init(_ kind: HostingKind) { self = kind == .metal ? .metal : .virtual } }
extension HostingKind { init(_ kind: Topology.Pod.Kind) { self = kind == .metal ? .metal : .virtual } }

extension Topology.Pod.Storage {
    init(_ storage: StorageArchitecture) {
        self =
            switch storage {
            case .das: .das
            case .nas: .nas
            case .san: .san
            }
    }
}

extension StorageArchitecture {
    init(_ storage: Topology.Pod.Storage) {
        self =
            switch storage {
            case .das: .das
            case .nas: .nas
            case .san: .san
            }
    }
}

extension PlacementPolicy {
    init(_ policy: PodPolicy?) {
        self =
            switch policy {
            case .packing, nil: .packing
            case .spreading: .spreading
            case .firstFit: .firstFit
            case .lifetimeAligned: .lifetimeAligned
            case .gpuFragmentation: .gpuFragmentation
            }
    }
}

extension PodPolicy {
    init?(_ policy: PlacementPolicy) {
        switch policy {
        case .packing: return nil
        case .spreading: self = .spreading
        case .firstFit: self = .firstFit
        case .lifetimeAligned: self = .lifetimeAligned
        case .gpuFragmentation: self = .gpuFragmentation
        }
    }
}

extension Topology.FaultDomain.Kind {
    init(_ kind: FaultDomainKind) {
        self =
            switch kind {
            case .power: .power
            case .network: .network
            case .facility: .facility
            }
    }
}

extension FaultDomainKind {
    init(_ kind: Topology.FaultDomain.Kind) {
        self =
            switch kind {
            case .power: .power
            case .network: .network
            case .facility: .facility
            }
    }
}

// MARK: - The file

extension TopologyFile {
    init(_ document: TopologyDocument) {
        self.init(
            region: document.region, datacenter: document.datacenter,
            zones: document.zones.map { zone in
                Zone(
                    name: zone.name, jurisdiction: zone.jurisdiction, site: zone.site,
                    domains: zone.domains?.map { Domain(name: $0.name, kind: .init($0.kind), limit: $0.limit) },
                    pods: zone.pods?.map(Pod.init))
            })
    }
}

extension TopologyFile.Pod {
    init(_ pod: PodEntry) {
        self.init(
            name: pod.name, kind: .init(pod.kind), storage: .init(pod.storage), oversubscription: .init(pod.oversubscription),
            profile: pod.profile.map(HardwareProfile.init), limits: PodLimits(pod.limits), baseline: pod.baseline.map(Baseline.init),
            policy: PlacementPolicy(pod.policy),
            racks: pod.racks?.map { rack in
                TopologyFile.Rack(
                    name: rack.name, units: rack.units, watts: rack.watts, domains: rack.domains,
                    hosts: rack.hosts?.map { .init(name: $0.name, domains: $0.domains) })
            }, hosts: pod.hosts?.map { .init(name: $0.name, domains: $0.domains) })
    }
}

extension TopologyDocument {
    init(_ file: TopologyFile) {
        self.init(
            region: file.region, datacenter: file.datacenter,
            zones: file.zones.map { zone in
                ZoneEntry(
                    name: zone.name, jurisdiction: zone.jurisdiction, site: zone.site,
                    domains: zone.domains?.map { FaultDomainEntry(name: $0.name, kind: .init($0.kind), limit: $0.limit) },
                    pods: zone.pods?.map(PodEntry.init))
            })
    }
}

extension PodEntry {
    init(_ pod: TopologyFile.Pod) {
        self.init(
            name: pod.name, kind: .init(pod.kind), storage: .init(pod.storage), oversubscription: .init(pod.oversubscription),
            profile: pod.profile.map(PodProfile.init), limits: pod.limits.map(PodSizeLimits.init),
            baseline: pod.baseline.map(PodBaseline.init), policy: PodPolicy(pod.policy),
            racks: pod.racks?.map { rack in
                RackEntry(
                    name: rack.name, units: rack.units, watts: rack.watts, domains: rack.domains,
                    hosts: rack.hosts?.map { HostEntry(name: $0.name, domains: $0.domains) })
            }, hosts: pod.hosts?.map { HostEntry(name: $0.name, domains: $0.domains) })
    }
}

// MARK: - Plans

extension TopologyPlanView {
    init(_ plan: TopologyPlan, applied: Bool, revision: Int64) {
        self.init(
            changes: plan.changes.map(TopologyChangeView.init),
            refusals: plan.refusals.map { TopologyRefusal(rule: $0.rule, message: $0.message, nearest: $0.nearest) }, applied: applied,
            revision: revision)
    }
}

extension TopologyChangeView {
    init(_ change: TopologyChange) {
        self.init(
            action: .init(change.action), kind: .init(change.kind), name: change.name,
            fields: change.fields.map { TopologyFieldChange(name: $0.name, before: $0.before, after: $0.after) })
    }
}

extension TopologyAction {
    fileprivate init(_ action: TopologyChange.Action) {
        self =
            switch action {
            case .add: .add
            case .change: .change
            case .remove: .remove
            }
    }
}

extension TopologyObjectKind {
    fileprivate init(_ kind: TopologyKind) {
        self =
            switch kind {
            case .zone: .zone
            case .domain: .domain
            case .pod: .pod
            case .rack: .rack
            case .host: .host
            }
    }
}
