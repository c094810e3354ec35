import Primitives

// Where no single change makes a request fit: several together.
extension PlacementEngine {
    /// One term that can be given up, and what that comes to on the host where the request then fits.
    private struct Concession {
        let give: (inout PlacementRequest) -> Void
        let change: (PlacementHost) -> PlacementChange
    }

    /// As few changes as were found that make it fit when all are made: everything is given up that can be, and then taken back, term by
    /// term, while it still fits. Empty: nothing helps.
    mutating func together(_ request: PlacementRequest, at now: Instant) -> [PlacementChange] {
        var given = Self.concessions(of: request)
        var (base, changes) = (request, [PlacementChange]())
        if tried(request, at: now, { request in for one in given { one.give(&request) } }) == nil {
            guard let amounts = smallerAnywhere(request, given) else { return [] }
            changes = [.resources(was: request.resources, now: amounts)]
            base.resources = amounts
        }
        var index = 0
        while index < given.count {
            var fewer = given
            fewer.remove(at: index)
            if tried(base, at: now, { request in for one in fewer { one.give(&request) } }) != nil { given = fewer } else { index += 1 }
        }
        guard let host = tried(base, at: now, { request in for one in given { one.give(&request) } }) else { return [] }
        changes += given.map { $0.change(host) }
        let change = changes.count == 1 ? changes[0] : PlacementChange.together(changes)
        return tried(request, at: now, { $0 = $0.applying(change) }) == nil ? [] : [change]
    }

    /// Amounts that fit somewhere once everything else is given up; nil: there are none.
    private func smallerAnywhere(_ request: PlacementRequest, _ given: [Concession]) -> Resources? {
        var copy = self
        var open = request
        for one in given { one.give(&open) }
        guard let need = try? copy.prepare(open) else { return nil }
        for case .resources(_, var amounts) in copy.smaller(open, need) {
            amounts.milliGPU = request.resources.milliGPU
            return amounts
        }
        return nil
    }

    /// What is taken back first comes first: what the request runs on before where that stands.
    private static func concessions(of request: PlacementRequest) -> [Concession] {
        (request.isSoldAsItIs ? [] : hardware(of: request)) + terms(of: request) + places(of: request)
    }

    private static func hardware(of request: PlacementRequest) -> [Concession] {
        var all: [Concession] = []
        if request.jurisdiction != nil {
            all.append(
                Concession {
                    $0.jurisdiction = nil
                } change: {
                    .jurisdiction($0.jurisdiction)
                })
        }
        if request.kind != nil {
            all.append(
                Concession {
                    $0.kind = nil
                } change: {
                    .kind($0.kind)
                })
        }
        if request.storage != nil {
            all.append(
                Concession {
                    $0.storage = nil
                } change: {
                    .storage($0.storage)
                })
        }
        if let largest = request.largestOversubscription {
            all.append(
                Concession {
                    $0.largestOversubscription = nil
                } change: {
                    .oversubscription(largest.covering($0.ratios))
                })
        }
        if request.gpu?.models.isEmpty == false {
            all.append(
                Concession {
                    $0.gpu?.models = []
                } change: {
                    .gpuModel($0.gpuModel ?? "")
                })
        }
        return all
    }

    private static func terms(of request: PlacementRequest) -> [Concession] {
        var all: [Concession] = []
        func add(_ change: PlacementChange) {
            all.append(
                Concession {
                    $0 = $0.applying(change)
                } change: { _ in
                    change
                })
        }
        let tenancy = request.tenancy
        if tenancy.connect != .shared { add(.sharing(.tenancyConnect)) }
        if tenancy.pod != .shared { add(.sharing(.tenancyPod)) }
        if tenancy.pool != .shared { add(.sharing(.tenancyPool)) }
        if tenancy.host != .shared { add(.sharing(.tenancyHost)) }
        if request.gpu != nil || request.resources.milliGPU > 0 { add(.withoutGPUs) }
        for group in request.groups { add(.withoutGroup(group.id)) }
        if request.numa { add(.withoutNUMA) }
        if request.network != nil { add(.withoutNetwork) }
        return all
    }

    private static func places(of request: PlacementRequest) -> [Concession] {
        var all: [Concession] = []
        if request.volumePod != nil {
            all.append(
                Concession {
                    $0.volumePod = nil
                } change: {
                    .volumePod($0.pod)
                })
        }
        if request.zone != nil {
            all.append(
                Concession {
                    $0.zone = nil
                } change: {
                    .zone($0.zone)
                })
        }
        if request.pod != nil {
            all.append(
                Concession {
                    $0.pod = nil
                } change: {
                    .pod($0.pod)
                })
        }
        if request.host != nil {
            all.append(
                Concession {
                    $0.host = nil
                } change: {
                    .host($0.id)
                })
        }
        if !request.avoiding.isEmpty {
            all.append(
                Concession {
                    $0.avoiding = []
                } change: { _ in
                    .withoutAvoiding
                })
        }
        return all
    }
}

extension Oversubscription {
    /// The larger of each.
    func covering(_ other: Oversubscription) -> Oversubscription {
        Oversubscription(cpu: max(cpu, other.cpu), memory: max(memory, other.memory), disk: max(disk, other.disk))
    }
}
