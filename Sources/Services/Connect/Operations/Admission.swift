import CloudAPI
import Fleet
import Foundation
import PKI
import Primitives
import ServiceKit
import Store

/// A request for an instance that its contract allows, on its way to a host.
struct Admission: Sendable {
    var spec: CreateInstance
    /// With those of the product, and identifiers for names.
    var terms: PlacementTerms
    var request: PlacementRequest
}

extension ConnectCore {
    /// Checks requests against their contract's volume and terms and their images. All of them together, since they come together.
    func admit(
        _ specs: [CreateInstance], under contract: ContractRecord, at now: Instant, in context: any ReadContext
    ) throws -> [Admission] {
        // Room may be reserved under that name.
        if let taken = memory.reading({ state in specs.first { state.occupancy[$0.id] != nil } }) { throw Self.exists(taken.id) }
        for spec in specs { try memory.reading { try $0.checkWhole(spec.resources, under: contract) } }
        try checkVolume(contract, specs, at: now, in: context)
        for spec in specs { try check(spec, against: try image(spec.image, in: context)) }
        return try admissions(of: specs, under: contract, in: context)
    }

    /// Requests with their terms and what they are near to, whether or not their contract has the volume.
    func admissions(
        of specs: [CreateInstance], under contract: ContractRecord, in context: any ReadContext
    ) throws -> [Admission] {
        var admissions = try memory.reading { state in
            try specs.map { spec in
                let terms = try state.terms(for: spec.placement, zone: spec.zone, under: contract)
                var spec = spec
                if specs.count > 1 { spec.launchCount = max(spec.batch, Int64(specs.count)) }
                spec.interruptible = terms.firmness == .interruptible ? true : nil
                var request = PlacementRequest(
                    instance: spec.id, party: contract.view.buyer, resources: spec.resources,
                    terms: InstanceTerms(terms, of: contract.view.buyer))
                (request.contract, request.fixed) = (contract.id, try state.fixedTerms(for: spec.placement, under: contract))
                request.image = spec.image
                request.outlook = state.lifetimes.outlook(spec.resources, batch: Int(clamping: spec.batch))
                return Admission(spec: spec, terms: terms, request: request)
            }
        }.map { admission in
            var admission = admission
            try pull(&admission.request, towards: admission.spec.volumes ?? [], of: contract, in: context)
            return admission
        }
        try assignAddresses(&admissions, of: contract)
        return admissions
    }

    /// Where they go: all of them, or none.
    func decide(_ admissions: [Admission], at now: Instant) throws -> [PlacementDecision] {
        let memory = self.memory
        do {
            return try memory.reading { state in
                if admissions.count == 1 { return [try state.occupancy.decide(admissions[0].request, at: now)] }
                return try state.occupancy.decide(gang: admissions.map(\.request), at: now)
            }
        } catch let refusal as Refusal {
            throw explained(refusal, admissions, at: now)
        }
    }

    /// A refusal with groups by name, and with what pre-emption would do for a firm instance.
    private func explained(_ refusal: Refusal, _ admissions: [Admission], at now: Instant) -> Refusal {
        var refusal = refusal
        for admission in admissions { refusal = refusal.naming(admission.terms.groups, of: admission.request.party) }
        guard refusal.rule == "placement.capacity", admissions.count == 1, !admissions[0].request.interruptible else { return refusal }
        let request = admissions[0].request
        let found = try? memory.reading { try $0.occupancy.preemption(for: request, at: now) }
        guard let proposal = found ?? nil else { return refusal }
        refusal.facts["preemptible"] = .number(Int64(proposal.victims.count))
        let text =
            "after pre-empting \(counted(proposal.victims.count, "interruptible instance")) on host \(memory.hostName(proposal.host) ?? proposal.host.description), whose notice would end at \(proposal.until)"
        refusal.nearest = refusal.nearest.map { $0.hasPrefix("after pre-empting") ? text : $0 + "; or " + text } ?? text
        return refusal
    }

    /// The record of an instance where it was decided to be, with its address on its network or its host's.
    func record(
        _ admission: Admission, at decision: PlacementDecision, under contract: ContractRecord, at now: Instant
    ) throws -> InstanceRecord {
        let (zone, address) = try site(of: decision, for: admission)
        return InstanceRecord(
            spec: admission.spec, contract: contract.id, host: decision.host, zone: zone, address: address,
            mac: GuestNetwork.macAddress(.random(in: 0...UInt64.max)), life: InstanceLifecycle(launchedAt: now),
            termsText: try WireJSON.text(admission.terms), spot: PlacementSpot(gpus: decision.gpus, cell: decision.cell))
    }

    /// The zone of the host, and its address on its network, or the first that is free in the host's own.
    func site(of decision: PlacementDecision, for admission: Admission) throws -> (zone: String, address: String) {
        try memory.reading { state in
            guard let entry = state.occupancy.host(decision.host) else { preconditionFailure("placement chose a host that is not there") }
            if admission.spec.network != nil, let address = admission.spec.address { return (entry.zone, address) }
            guard let address = state.occupancy.freeAddress(on: decision.host) else {
                throw Refusal.noAddress(on: decision.host, named: state.hosts[decision.host]?.name)
            }
            return (entry.zone, GuestNetwork.text(address))
        }
    }

    private func check(_ spec: CreateInstance, against image: ImageManifest) throws {
        let resources = spec.resources
        guard resources.isNonNegative, resources.milliCPU > 0 else { throw CreateInstance.nothing(resources) }
        try spec.checkTexts()
        guard resources.memoryMiB >= image.minimumMemoryMiB, resources.diskMiB >= image.virtualSizeMiB else {
            throw Refusal(
                "instance.too-small", .invalid,
                "Image \(image.name) needs \(image.minimumMemoryMiB) MiB memory and \(image.virtualSizeMiB) MiB disk; the instance has \(resources.memoryMiB) and \(resources.diskMiB).",
                facts: ["memoryMiB": .number(image.minimumMemoryMiB), "diskMiB": .number(image.virtualSizeMiB)],
                nearest: "\(image.minimumMemoryMiB) MiB memory and \(image.virtualSizeMiB) MiB disk")
        }
        guard (spec.userData?.utf8.count ?? 0) <= 21_848 else {
            throw Refusal(
                "instance.user-data", .invalid, "User data is longer than the 16 KiB allowed.", facts: ["bytes": 16_384],
                nearest: "user data of at most 16384 bytes")
        }
    }

    func image(_ id: ImageID, in context: any ReadContext) throws -> ImageManifest {
        if let known = manifests[id] { return known }
        guard let row = try context.queryOne("SELECT manifest FROM images WHERE id = $1", [SQLValue(id)]) else {
            throw try Refusal.unknownImage(id, in: context)
        }
        let manifest = try json(ImageManifest.self, try row.text("manifest"))
        manifests.keep(manifest)
        return manifest
    }
}
