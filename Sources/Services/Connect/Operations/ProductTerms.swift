import CloudAPI
import Primitives

/// What a contract's product promises, and what a request may ask for under it: the same or stricter, never looser.
struct ProductTerms: Sendable {
    let product: ProductDefinition
    /// The contract's; nil: anywhere in the datacenter.
    let zone: String?
    /// Whether zones of this datacenter state which law applies; where none does, the exchange's admission of the seller stands for it.
    let statesJurisdiction: Bool

    /// Large enough for any ratio that a pod may have.
    private static let anyRatio: Int64 = 1_000_000

    /// The terms an instance gets that asks for `wanted`.
    func terms(for wanted: PlacementTerms) throws(Refusal) -> PlacementTerms {
        var terms = wanted
        terms.zone = try agreed("zone", zone, wanted.zone)
        terms.kind = try agreed("kind", kind, wanted.kind)
        terms.profile = try agreed("profile", product.profile, wanted.profile)
        terms.storage = try agreed("storage", product.storage, wanted.storage)
        let law = try agreed("jurisdiction", product.jurisdiction, wanted.jurisdiction)
        terms.jurisdiction = statesJurisdiction ? law : nil
        terms.largestOversubscription = try ratios(wanted.largestOversubscription)
        terms.tenancy = try tenancy(wanted.tenancy)
        terms.firmness = try firmness(wanted.firmness)
        terms.gpu = try gpu(wanted.gpu)
        return terms
    }

    private var kind: HostingKind { product.hosting }

    private func agreed<Term: Equatable>(_ name: String, _ promised: Term?, _ wanted: Term?) throws(Refusal) -> Term? {
        guard let promised, let wanted, promised != wanted else { return promised ?? wanted }
        throw refusal(name, promised: "\(promised)", wanted: "\(wanted)")
    }

    private func ratios(_ wanted: OversubscriptionRatios?) throws(Refusal) -> OversubscriptionRatios {
        let promised = product.largestOversubscription
        if let wanted, wanted.cpu > promised {
            throw refusal(
                "largestOversubscription", promised: "at most \(promised) milli of processor", wanted: "up to \(wanted.cpu)")
        }
        return OversubscriptionRatios(
            cpu: min(promised, wanted?.cpu ?? promised), memory: wanted?.memory ?? Self.anyRatio, disk: wanted?.disk ?? Self.anyRatio)
    }

    private func firmness(_ wanted: Firmness?) throws(Refusal) -> Firmness? {
        if product.firmness == .interruptible, wanted == .firm {
            throw refusal("firmness", promised: "interruptible instances", wanted: "a firm one")
        }
        let firmness = wanted ?? product.firmness
        return firmness == .firm ? nil : firmness
    }

    /// A product shared by all keeps nobody off; one for a group or one party does so at the host, and wherever else it is asked for.
    private func tenancy(_ wanted: TenancyTerms?) throws(Refusal) -> TenancyTerms? {
        var terms = wanted ?? TenancyTerms()
        switch product.tenancy {
        case .shared:
            for (level, term) in [("connect", terms.connect), ("pod", terms.pod), ("pool", terms.pool), ("host", terms.host)] {
                guard let term, term.sharing != .shared else { continue }
                var refusal = refusal(
                    "tenancy", promised: "a \(level) shared with all", wanted: "\(term.sharing.rawValue) tenancy of it")
                refusal.nearest = "shared tenancy, or a contract of a product with \(term.sharing.rawValue) tenancy"
                throw refusal
            }
            return nil
        case .group:
            if terms.host?.sharing == .shared { throw refusal("tenancy", promised: "hosts to a group", wanted: "shared ones") }
            terms.host = terms.host ?? TenancyTerm(.group)
        case .exclusive:
            if let host = terms.host, host.sharing != .exclusive {
                throw refusal("tenancy", promised: "hosts to one buyer alone", wanted: "\(host.sharing.rawValue) ones")
            }
            terms.host = TenancyTerm(.exclusive)
        }
        return terms
    }

    /// A product of a GPU model gives that model.
    private func gpu(_ wanted: GPUTerm?) throws(Refusal) -> GPUTerm? {
        guard product.unitClass.hasPrefix("gpu-"), var gpu = wanted else { return wanted }
        let model = String(product.unitClass.dropFirst("gpu-".count))
        if let models = gpu.models, !models.isEmpty, !models.contains(model) {
            throw refusal("gpu", promised: "GPUs of model \(model)", wanted: models.joined(separator: " or "))
        }
        gpu.models = [model]
        return gpu
    }

    private func refusal(_ term: String, promised: String, wanted: String) -> Refusal {
        Refusal(
            "placement.product-terms", .invalid, "Product \(product.name) gives \(promised); the request asks for \(wanted).",
            facts: [
                "term": .text(term), "product": .text(product.name), "promised": .text(promised), "wanted": .text(wanted),
            ], nearest: "\(promised), or a contract of another product")
    }
}

extension PlacementTerms {
    /// What is wrong with a request by itself.
    func check() throws(Refusal) {
        if let priority, !(-100...100).contains(priority) {
            throw Refusal(
                "placement.priority", .invalid, "A priority is from -100 to 100, not \(priority).", facts: ["priority": .number(priority)],
                nearest: priority < 0 ? "-100" : "100")
        }
        if let avoiding, avoiding.count > 100 {
            throw Refusal(
                "placement.avoiding", .invalid, "At most 100 hosts can be avoided, not \(avoiding.count).",
                facts: ["hosts": .number(Int64(avoiding.count))], nearest: "another pod or zone")
        }
        for group in groups ?? [] where !(1...255).contains(group.name.count) {
            throw Refusal(
                "placement.group-name", .invalid, "A group's name has 1 to 255 characters, not \(group.name.count).",
                facts: ["characters": .number(Int64(group.name.count))], nearest: "a name of 1 to 255 characters")
        }
        if let ratios = largestOversubscription, min(ratios.cpu, ratios.memory, ratios.disk) < 1_000 {
            throw Refusal(
                "placement.oversubscription", .invalid, "No host promises less than it has: a ratio is 1000 thousandths or more.",
                nearest: "1000")
        }
        guard let gpu else { return }
        guard (1...16).contains(gpu.count), (1...1_000).contains(gpu.milliEach ?? 1_000) else {
            throw Refusal(
                "placement.gpu", .invalid, "An instance has 1 to 16 GPUs, each whole, or 1 to 999 thousandths of one.",
                facts: ["count": .number(gpu.count), "milliEach": .number(gpu.milliEach ?? 1_000)], nearest: "1 whole GPU")
        }
    }
}

extension CreateInstance {
    /// How many instances its request launched, as far as is known: at least those that the index tells of.
    var batch: Int64 { Self.batch(index: launchIndex, count: launchCount ?? 0) }

    static func batch(index: Int64, count: Int64) -> Int64 { max(1, count, index &+ 1) }

    /// The same request in one form: GPUs that are asked for by number count in the resources, and under the contract; what is said in
    /// short is said in the terms.
    var normalized: CreateInstance {
        var spec = self
        if interruptible == true, placement?.firmness == nil {
            var terms = placement ?? PlacementTerms()
            terms.firmness = .interruptible
            spec.placement = terms
        }
        if let gpu = placement?.gpu { spec.resources.milliGPU = gpu.milliGPU }
        return spec
    }
}

extension GPUTerm {
    /// What all of them come to; numbers that are refused anyway are not multiplied.
    var milliGPU: Int64 { min(max(0, count), 1_000) * min(max(0, milliEach ?? 1_000), 1_000) }
}
