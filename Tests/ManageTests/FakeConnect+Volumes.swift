import CloudAPI
import Foundation
import Primitives
import ServiceKit
import Synchronization
import TestSupport

/// Volumes that are at once what is wanted of them.
extension FakeConnect {
    func view(_ id: VolumeID) throws -> VolumeView {
        guard let view = state.withLock({ $0.volumes[id] }) else { throw Refusal("volume.unknown", .notFound, "no such volume") }
        return view
    }

    func create(_ request: CreateVolume, under contract: ContractID) throws -> VolumeView {
        let now = SystemTime().now()
        let feed = try state.withLock { state -> FakeFeed? in
            if state.volumes[request.id] != nil { return nil }
            if !state.refuseVolumes.isEmpty { throw state.refuseVolumes.removeFirst() }
            state.volumes[request.id] = VolumeView(
                id: request.id, contract: contract, state: .available, reason: nil, generation: 1, sizeMiB: request.sizeMiB,
                actualMiB: request.sizeMiB, iops: request.iops ?? 0, zone: Town.zone, pod: "pod-1", storage: .das, host: town.host,
                hostName: "host-1", instance: nil, device: nil, isBlank: true, account: request.account, created: now, stateChanged: now)
            return state.feeds[contract]
        }
        feed?.append("volume", request.id.description, kind: "volume")
        return try view(request.id)
    }

    func act(_ request: ActOnVolume, on id: VolumeID, key: String) throws -> VolumeView {
        let now = SystemTime().now()
        let feed = try state.withLock { state -> FakeFeed? in
            guard var volume = state.volumes[id] else { throw Refusal("volume.unknown", .notFound, "no such volume") }
            if !state.refuseVolumes.isEmpty { throw state.refuseVolumes.removeFirst() }
            guard !state.actions.contains(key) else { return nil }
            state.actions.append(key)
            volume.generation += 1
            volume.stateChanged = now
            switch request.action {
            case .attach: (volume.state, volume.instance, volume.device) = (.inUse, request.instance, request.device ?? "vdb")
            case .detach: (volume.state, volume.instance, volume.device) = (.available, nil, nil)
            case .resize: (volume.sizeMiB, volume.actualMiB) = (request.sizeMiB ?? volume.sizeMiB, request.sizeMiB ?? volume.sizeMiB)
            case .delete: volume.state = .deleted
            case .retry: break
            }
            state.volumes[id] = volume
            return state.feeds[volume.contract]
        }
        feed?.append("volume", id.description, kind: "volume")
        return try view(id)
    }
}
