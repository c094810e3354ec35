import CloudAPI
import Fleet
import Primitives

// What a request under a contract comes to.
extension FleetState {
    /// A request's terms with those of its contract's product, and identifiers for names.
    /// - Parameter contract: nil: the operator asks, under no product.
    func terms(for wanted: PlacementTerms?, zone: String?, under contract: ContractRecord?) throws(Refusal) -> PlacementTerms {
        var terms = wanted ?? PlacementTerms()
        try terms.check()
        if let zone {
            guard terms.zone == nil || terms.zone == zone else {
                throw Refusal(
                    "placement.zone", .invalid, "The request names zone \(zone), its terms zone \(terms.zone ?? "").",
                    facts: ["zone": .text(zone)],
                    nearest: "zone \(zone), or zone \(terms.zone ?? ""), in both")
            }
            terms.zone = zone
        }
        if let contract {
            guard let product = products[contract.view.product] else {
                throw Refusal(
                    "contract.terms", .unavailable,
                    "The terms of product \(contract.view.productName) have not reached this datacenter yet.",
                    facts: ["product": .text(contract.view.product.description)], nearest: "the same request in a few seconds")
            }
            terms = try ProductTerms(
                product: product, zone: contract.view.zone, statesJurisdiction: jurisdictions.values.contains { !$0.isEmpty }
            ).terms(for: terms)
        }
        return try identified(terms)
    }

    /// What a contract's product fixes for each of its instances, whatever a request asks for beside it.
    func fixedTerms(for wanted: PlacementTerms?, under contract: ContractRecord) throws(Refusal) -> HeldTerms {
        var least = PlacementTerms()
        least.gpu = wanted?.gpu
        least.gpu?.models = nil
        return HeldTerms(InstanceTerms(try terms(for: least, zone: nil, under: contract), of: contract.view.buyer))
    }

    /// Refuses a machine of a bare-metal product that is not one lot of it.
    func checkWhole(_ resources: Resources, under contract: ContractRecord) throws(Refusal) {
        guard let product = products[contract.view.product], product.hosting == .metal, resources != product.lot else { return }
        throw Refusal(
            "instance.whole-host", .invalid,
            "A machine of \(product.name) is a host of its own with \(product.lot.amounts); the request asks for \(resources.amounts).",
            facts: ["product": .text(product.name), "lot": .text(product.lot.amounts), "asked": .text(resources.amounts)],
            nearest: product.lot.amounts)
    }

    private func identified(_ terms: PlacementTerms) throws(Refusal) -> PlacementTerms {
        var terms = terms
        if let pod = terms.pod { terms.pod = try podID(pod).description }
        if let pod = terms.volumePod { terms.volumePod = try podID(pod).description }
        if let host = terms.host { terms.host = try hostID(host).description }
        if let avoiding = terms.avoiding {
            var ids: [String] = []
            for host in avoiding { ids.append(try hostID(host).description) }
            terms.avoiding = ids
        }
        return terms
    }

    /// Refuses a zone without hosts, where a request that fits nowhere would not be told from one that names no zone there is.
    func check(zone: String?) throws(Refusal) {
        guard let zone, jurisdictions[zone] == nil else { return }
        throw Refusal(
            "placement.zone", .invalid, "There is no zone '\(zone)' with hosts here.", facts: ["zone": .text(zone)],
            nearest: NearestNames.text(jurisdictions.keys, to: zone) ?? "the same once a host has joined")
    }

    func podID(_ name: String) throws(Refusal) -> PodID {
        if let id = PodID(name), pods.values.contains(id) { return id }
        guard let id = pods[name] else {
            throw Refusal(
                "placement.pod", .invalid, "There is no pod '\(name)' with hosts here.", facts: ["pod": .text(name)],
                nearest: NearestNames.text(pods.keys, to: name) ?? "the same once a host has joined")
        }
        return id
    }

    private func hostID(_ name: String) throws(Refusal) -> HostID {
        if let id = HostID(name), hosts[id] != nil { return id }
        guard let found = hosts.first(where: { $0.value.name == name }) else {
            throw Refusal(
                "placement.host", .invalid, "There is no host '\(name)' here.", facts: ["host": .text(name)],
                nearest: NearestNames.text(hosts.values.map(\.name), to: name) ?? "the same once a host has joined")
        }
        return found.key
    }
}

extension Refusal {
    /// With the names of groups instead of their numbers.
    func naming(_ groups: [GroupTerm]?, of party: ParticipantID) -> Refusal {
        var refusal = self
        refusal.message = PlacementGroup.naming(groups, of: party, in: message)
        refusal.nearest = nearest.map { PlacementGroup.naming(groups, of: party, in: $0) }
        for group in groups ?? [] where facts["group"] == .text("\(PlacementGroup.number(group.name, of: party))") {
            refusal.facts["group"] = .text(group.name)
        }
        return refusal
    }
}

extension PlacementGroup {
    /// A text with the names of groups instead of their numbers.
    static func naming(_ groups: [GroupTerm]?, of party: ParticipantID, in text: String) -> String {
        (groups ?? []).reduce(text) { text, group in
            text.replacing("roup \(number(group.name, of: party))", with: "roup \(group.name)")
        }
    }
}
