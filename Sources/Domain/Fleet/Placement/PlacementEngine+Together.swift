import Primitives

// Where no single change makes a request fit: several together.
extension PlacementEngine {
    /// As few changes as were found that make it fit when all are made: everything is given up that can be, and then taken back, term by
    /// term, while it still fits. Empty: nothing helps.
    mutating func together(_ request: PlacementRequest, at now: Instant) -> [PlacementChange] {
        var given = PlacementConcession.all(of: request)
        var (base, changes) = (request, [PlacementChange]())
        if tried(Self.without(given, request), at: now) == nil {
            guard let amounts = smallerAnywhere(request, given) else { return [] }
            changes = [.resources(was: request.resources, now: amounts)]
            base.resources = amounts
        }
        var index = 0
        while index < given.count {
            var fewer = given
            fewer.remove(at: index)
            if tried(Self.without(fewer, base), at: now) != nil { given = fewer } else { index += 1 }
        }
        guard let host = tried(Self.without(given, base), at: now) else { return [] }
        changes += given.map { request.change(for: $0, on: host) }
        let change = changes.count == 1 ? changes[0] : PlacementChange.together(changes)
        return tried(request.applying(change), at: now) == nil ? [] : [change]
    }

    private static func without(_ given: [PlacementConcession], _ request: PlacementRequest) -> PlacementRequest {
        given.reduce(request) { $0.without($1) ?? $0 }
    }

    /// Amounts that fit somewhere once everything else is given up; nil: there are none.
    private mutating func smallerAnywhere(_ request: PlacementRequest, _ given: [PlacementConcession]) -> Resources? {
        let open = Self.without(given, request)
        guard let need = try? prepare(open) else { return nil }
        for case .resources(_, var amounts) in smaller(open, need) {
            amounts.milliGPU = request.resources.milliGPU
            return amounts
        }
        return nil
    }
}
