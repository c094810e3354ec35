import CloudAPI
import Fleet
import Foundation
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    /// Accepts an instance under a contract: checks the contract's period and volume, places it, and stores what is wanted,
    /// all in one transaction. The same request again is answered with the same instance.
    func launch(_ call: Call<CreateInstance>, under terms: ContractTerms) async throws -> InstanceView {
        FaultPoint.hit("connect.launch.received")
        do {
            return try await accept(call, under: terms)
        } catch let refusal as Refusal where refusal.rule == "placement.capacity" {
            throw try await makeRoom(for: call.body, under: terms, after: refusal)
        }
    }

    private func accept(_ call: Call<CreateInstance>, under terms: ContractTerms) async throws -> InstanceView {
        let core = self
        let now = time.now()
        let view = try await database.write { transaction -> InstanceView in
            var spec = call.body
            if let known = try InstanceRecord.load(spec.id, in: transaction) { return try core.sameAgain(known, spec, terms, transaction) }
            let contract = try core.activeContract(terms.contract, at: now, in: transaction)
            if contract.view.firmness == .interruptible { spec.interruptible = true }
            try core.checkVolume(contract, spec.resources, in: transaction)
            let image = try core.image(spec.image, in: transaction)
            try core.check(spec, against: image)
            let record = try core.place(spec, contract: contract, at: now, in: transaction)
            try record.insert(in: transaction)
            _ = try transaction.appendChange(
                topic: Self.hostTopic(record.host), subject: record.id.description, kind: "launch", body: "{}", at: now)
            _ = try transaction.appendChange(
                topic: Self.contractTopic(record.contract), subject: record.id.description, kind: "instance", body: "{}", at: now)
            try transaction.appendAudit(
                actor: call.principal.name, action: "instance.launch", subject: record.id.description,
                detail: try WireJSON.text(spec.resources), at: now)
            let view = record.view(hostName: try core.hostName(record.host, in: transaction))
            try transaction.remember(view, status: 202, for: call.idempotency, at: now)
            return view
        }
        FaultPoint.hit("connect.launch.committed")
        return view
    }

    private func sameAgain(
        _ known: InstanceRecord, _ spec: CreateInstance, _ terms: ContractTerms, _ context: any ReadContext
    ) throws -> InstanceView {
        guard known.contract == terms.contract, known.spec.image == spec.image, known.spec.resources == spec.resources else {
            throw Refusal(
                "instance.exists", .conflict, "There is an instance \(spec.id) already, with another contract, image or size.",
                facts: ["instance": .text(spec.id.description)], nearest: "another identifier")
        }
        return known.view(hostName: try hostName(known.host, in: context))
    }

    /// The contract, when it is in force now.
    func activeContract(_ id: ContractID, at now: Instant, in context: any ReadContext) throws -> ContractRecord {
        guard let contract = try ContractRecord.load(id, in: context) else {
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

    private func checkVolume(_ contract: ContractRecord, _ wanted: Resources, in context: any ReadContext) throws {
        let used = try contract.used(in: context).resources
        let short = wanted.shortfalls(against: contract.volume - used)
        guard let first = short.first else { return }
        let free = contract.volume - used
        throw Refusal(
            "contract.volume", .capacity,
            "Contract \(contract.id) has \(first.available) \(first.name) left of its \(contract.view.lots) lots, the instance needs \(first.needed).",
            facts: ["component": .text(first.name), "needed": .number(first.needed), "free": .number(first.available)],
            nearest: "an instance of at most \(free.milliCPU) milliCPU, \(free.memoryMiB) MiB memory and \(free.diskMiB) MiB disk")
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
        _ spec: CreateInstance, contract: ContractRecord, at now: Instant, in transaction: any WriteContext
    ) throws -> InstanceRecord {
        let hosts = try HostRecord.all(in: transaction)
        let zone = spec.zone ?? contract.view.zone
        let chosen = try Placement(resources: spec.resources, zone: zone).choose(among: hosts.map(\.placeable))
        guard let host = hosts.first(where: { $0.id == chosen }) else { preconditionFailure("placement chose a host that is not there") }
        let taken = try transaction.query("SELECT address FROM instances WHERE host = $1 AND address IS NOT NULL", [SQLValue(host.id)])
            .compactMap { GuestNetwork.address(try $0.text("address")) }
        guard let network = GuestNetwork(host.guestNetwork), let address = network.firstFree(excluding: Set(taken)) else {
            throw Refusal("network.addresses", .capacity, "Host \(host.name) has no free address in \(host.guestNetwork).")
        }
        return InstanceRecord(
            spec: spec, contract: contract.id, host: host.id, zone: host.zone, address: GuestNetwork.text(address),
            mac: GuestNetwork.macAddress(for: spec.id), life: InstanceLifecycle(launchedAt: now))
    }

    func hostName(_ host: HostID, in context: any ReadContext) throws -> String? {
        try context.queryOne("SELECT name FROM hosts WHERE id = $1", [SQLValue(host)])?.text("name")
    }

    func image(_ id: ImageID, in context: any ReadContext) throws -> ImageManifest {
        guard let row = try context.queryOne("SELECT manifest FROM images WHERE id = $1", [SQLValue(id)]) else {
            throw Refusal(
                "image.unknown", .notFound, "There is no image \(id) in this datacenter.", facts: ["image": .text(id.description)])
        }
        return try json(ImageManifest.self, try row.text("manifest"))
    }
}
