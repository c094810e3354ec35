import CloudAPI
import Fleet
import Foundation
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Accepts an instance under a contract: checks the contract's period and volume, places it, and stores what is wanted, all in
    /// one turn and one transaction. The same request again is answered with the same instance.
    func launch(_ call: Call<CreateInstance>, under terms: ContractTerms) async throws -> InstanceView {
        let spec = call.body
        let now = time.now()
        let core = self
        FaultPoint.hit("connect.launch.received")
        let view = try await write { transaction -> InstanceView in
            if let known = try InstanceRecord.load(spec.id, in: transaction) { return try core.sameAgain(known, spec, terms) }
            let contract = try core.activeContract(terms.contract, at: now)
            try core.checkVolume(contract, spec.resources, of: "instance")
            let image = try core.image(spec.image, in: transaction)
            try core.check(spec, against: image)
            let record = try core.place(spec, contract: contract, at: now, in: transaction)
            try record.insert(in: transaction)
            try record.announce(toHost: "launch", in: transaction, at: now)
            try transaction.appendAudit(
                actor: call.principal.name, action: "instance.launch", subject: record.id.description,
                detail: try WireJSON.text(spec.resources), at: now)
            let view = record.view(hostName: core.memory.hostName(record.host))
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
        FaultPoint.hit("connect.launch.committed")
        return view
    }

    private func sameAgain(_ known: InstanceRecord, _ spec: CreateInstance, _ terms: ContractTerms) throws -> InstanceView {
        guard known.contract == terms.contract, known.spec.image == spec.image, known.spec.resources == spec.resources else {
            throw Refusal(
                "instance.exists", .conflict, "There is an instance \(spec.id) already, with another contract, image or size.",
                facts: ["instance": .text(spec.id.description)], nearest: "another identifier")
        }
        return known.view(hostName: memory.hostName(known.host))
    }

    /// The contract, when it is in force now.
    func activeContract(_ id: ContractID, at now: Instant) throws -> ContractRecord {
        guard let contract = memory.contract(id) else {
            throw Refusal(
                "contract.unknown", .unavailable, "Contract \(id) has not reached this datacenter yet.",
                nearest: "the same request in a second")
        }
        guard contract.isActive(at: now) else { throw Self.ended(contract, at: now) }
        return contract
    }

    static func ended(_ contract: ContractRecord, at now: Instant) -> Refusal {
        let reason = contract.view.reason.map { ": \($0)" } ?? ""
        return Refusal(
            "contract.ended", .forbidden, "Contract \(contract.id) ended at \(contract.view.period.end)\(reason).",
            facts: [
                "contract": .text(contract.id.description), "end": .text(contract.view.period.end.description),
                "now": .text(now.description),
            ],
            nearest: "a new contract from the exchange")
    }

    /// Whether the contract's volume has room for an instance or a volume.
    func checkVolume(_ contract: ContractRecord, _ wanted: Resources, of what: String) throws {
        let used = memory.reading { $0.occupancy.usage(of: contract.id).resources }
        let short = wanted.shortfalls(against: contract.volume - used)
        guard let first = short.first else { return }
        let free = contract.volume - used
        throw Refusal(
            "contract.volume", .capacity,
            "Contract \(contract.id) has \(first.available) \(first.name) left of its \(contract.view.lots) lots, the \(what) needs \(first.needed).",
            facts: ["component": .text(first.name), "needed": .number(first.needed), "free": .number(first.available)],
            nearest: what == "instance"
                ? "an instance of at most \(free.milliCPU) milliCPU, \(free.memoryMiB) MiB memory and \(free.diskMiB) MiB disk"
                : "at most \(free.diskMiB) MiB more and \(free.iops) IOPS")
    }

    private func check(_ spec: CreateInstance, against image: ImageManifest) throws {
        let resources = spec.resources
        guard resources.isNonNegative, resources.milliCPU > 0 else {
            throw Refusal("instance.resources", .invalid, "An instance needs processor, memory and disk above zero.")
        }
        guard resources.memoryMiB >= image.minimumMemoryMiB, resources.diskMiB >= image.virtualSizeMiB else {
            throw Refusal(
                "instance.too-small", .invalid,
                "Image \(image.name) needs \(image.minimumMemoryMiB) MiB memory and \(image.virtualSizeMiB) MiB disk; the instance has \(resources.memoryMiB) and \(resources.diskMiB).",
                facts: ["memoryMiB": .number(image.minimumMemoryMiB), "diskMiB": .number(image.virtualSizeMiB)],
                nearest: "\(image.minimumMemoryMiB) MiB memory and \(image.virtualSizeMiB) MiB disk")
        }
        guard (spec.userData?.utf8.count ?? 0) <= 21_848 else {
            throw Refusal("instance.user-data", .invalid, "User data is longer than the 16 KiB allowed.", facts: ["bytes": 16_384])
        }
    }

    private func place(
        _ spec: CreateInstance, contract: ContractRecord, at now: Instant, in transaction: FleetTransaction
    ) throws -> InstanceRecord {
        var request = PlacementRequest(instance: spec.id, party: contract.view.buyer, resources: spec.resources)
        request.contract = contract.id
        request.zone = spec.zone ?? contract.view.zone
        request.image = spec.image
        try pull(&request, towards: spec.volumes ?? [], of: contract, in: transaction)
        let wanted = request
        return try memory.reading { state in
            let host = try state.occupancy.place(wanted, at: now)
            guard let entry = state.occupancy.host(host) else { preconditionFailure("placement chose a host that is not there") }
            guard let address = state.occupancy.freeAddress(on: host) else {
                throw Refusal(
                    "network.addresses", .capacity,
                    "Host \(state.hosts[host]?.name ?? host.description) has no free address in its network.",
                    facts: ["host": .text(host.description)])
            }
            return InstanceRecord(
                spec: spec, contract: contract.id, host: host, zone: entry.zone, address: GuestNetwork.text(address),
                mac: GuestNetwork.macAddress(for: spec.id), life: InstanceLifecycle(launchedAt: now))
        }
    }

    func image(_ id: ImageID, in context: any ReadContext) throws -> ImageManifest {
        if let known = manifests[id] { return known }
        guard let row = try context.queryOne("SELECT manifest FROM images WHERE id = $1", [SQLValue(id)]) else {
            throw Refusal(
                "image.unknown", .notFound, "There is no image \(id) in this datacenter.", facts: ["image": .text(id.description)])
        }
        let manifest = try json(ImageManifest.self, try row.text("manifest"))
        manifests.keep(manifest)
        return manifest
    }
}
