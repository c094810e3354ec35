import CloudAPI
import Fleet
import Primitives
import Store

// What does not fit into what its contract has left, and the most of it that would: into the contract, and onto a host.

extension Refusal {
    /// - Parameters:
    ///   - who: as in `the instance needs`.
    ///   - what: as in `an instance`.
    ///   - most: what could be had now; nil: nothing.
    static func volume(
        of contract: ContractRecord, _ short: (name: String, needed: Int64, available: Int64), _ who: String, _ what: String,
        most: Resources?
    ) -> Refusal {
        var refusal = Refusal(
            "contract.volume", .capacity,
            "Contract \(contract.id) has \(short.available) \(short.name) left of its \(counted(contract.view.lots, "lot")), \(who) \(short.needed).",
            facts: ["component": .text(short.name), "needed": .number(short.needed), "free": .number(short.available)],
            nearest:
                "the same once \(short.needed - short.available) \(short.name) more of the contract are free, or under another contract"
        )
        guard let most else { return refusal }
        refusal.nearest = "\(what) of at most \(most.words)"
        for (name, amount) in most.components where amount > 0 {
            refusal.facts["most" + name.prefix(1).uppercased() + name.dropFirst()] = .number(amount)
        }
        return refusal
    }
}

extension Resources {
    /// E.g. `1000 milliCPU, 4096 MiB memory and 2048 MiB disk`: what is not zero.
    fileprivate var words: String {
        let units = ["milliCPU": "milliCPU", "memoryMiB": "MiB memory", "diskMiB": "MiB disk", "iops": "IOPS", "networkMbps": "Mbit/s"]
        let parts = components.filter { $0.amount > 0 }.map { "\($0.amount) \(units[$0.name] ?? "milli of GPUs")" }
        return parts.count > 1 ? parts.dropLast().joined(separator: ", ") + " and " + parts[parts.count - 1] : parts.joined()
    }
}

extension FleetState {
    /// What a contract has left.
    func free(of contract: ContractRecord) -> Resources { contract.volume - occupancy.usage(of: contract.id).resources }

    /// Why a request does not fit into its contract; nil when it does.
    func refusal(of contract: ContractRecord, for request: PlacementRequest, at now: Instant) -> Refusal? {
        let free = free(of: contract)
        guard let short = request.resources.shortfalls(against: free).first else { return nil }
        let most = occupancy.largest(request, within: free, at: now)
        return .volume(of: contract, short, "the instance needs", "an instance", most: most)
    }
}

extension ConnectCore {
    // MARK: Instances

    /// Refuses instances that do not all fit into what their contract has left.
    func checkVolume(
        _ contract: ContractRecord, _ specs: [CreateInstance], at now: Instant, in context: any ReadContext
    ) throws {
        let wanted = specs.map(\.resources).reduce(.zero, +)
        let free = memory.reading { $0.free(of: contract) }
        guard let short = wanted.shortfalls(against: free).first else { return }
        guard specs.count > 1 else {
            let most = specs.first.flatMap { self.most(of: $0, within: free, under: contract, at: now, in: context) }
            throw Refusal.volume(of: contract, short, "the instance needs", "an instance", most: most)
        }
        var refusal = Refusal.volume(of: contract, short, "the \(specs.count) instances need", "instances", most: nil)
        if let count = fitting(specs, within: free, under: contract, at: now, in: context) {
            refusal.nearest = "the first \(counted(count, "instance")) of the \(specs.count)"
            refusal.facts["instances"] = .number(Int64(count))
        }
        throw refusal
    }

    /// The most that could be had of an instance; nil: nothing, or too little for its image.
    private func most(
        of spec: CreateInstance, within free: Resources, under contract: ContractRecord, at now: Instant, in context: any ReadContext
    ) -> Resources? {
        guard let cut = spec.resources.cut(to: free) else { return nil }
        var smaller = spec
        smaller.resources = cut
        guard let request = (try? admissions(of: [smaller], under: contract, in: context))?.first?.request,
            let most = memory.reading({ $0.occupancy.largest(request, within: free, at: now) }),
            let image = try? image(spec.image, in: context), most.memoryMiB >= image.minimumMemoryMiB,
            most.diskMiB >= image.virtualSizeMiB
        else { return nil }
        return most
    }

    /// How many of them, from the first on, would fit; nil: not one.
    private func fitting(
        _ specs: [CreateInstance], within free: Resources, under contract: ContractRecord, at now: Instant, in context: any ReadContext
    ) -> Int? {
        var (count, sum) = (0, Resources.zero)
        while count < specs.count, (sum + specs[count].resources).fits(in: free) {
            sum += specs[count].resources
            count += 1
        }
        // Each try is a decision on all of them: halving takes a few where counting down would take hundreds.
        var most = 0
        while most < count {
            let middle = (most + count + 1) / 2
            let first = try? admissions(of: Array(specs.prefix(middle)), under: contract, in: context)
            if let first, (try? decide(first, at: now)) != nil { most = middle } else { count = middle - 1 }
        }
        return most > 0 ? most : nil
    }

    // MARK: Volumes

    /// Refuses a volume that does not fit into what its contract has left.
    func checkVolume(of contract: ContractRecord, for request: PlacementRequest, at now: Instant) throws(Refusal) {
        let refusal = memory.reading { state -> Refusal? in
            let free = state.free(of: contract)
            guard let short = request.resources.shortfalls(against: free).first else { return nil }
            let most = state.occupancy.largest(request, within: free, at: now)
            return .volume(of: contract, short, "the volume needs", "a volume", most: most)
        }
        if let refusal { throw refusal }
    }

    /// Refuses to let a volume grow by more than its contract has left.
    func checkGrowth(of volume: VolumeRecord, by more: Resources, under contract: ContractRecord) throws(Refusal) {
        let refusal = memory.reading { state -> Refusal? in
            let free = state.free(of: contract)
            guard let short = more.shortfalls(against: free).first else { return nil }
            let there = state.occupancy.placeable(volume.host)?.free ?? .zero
            let growth = Resources(
                diskMiB: max(0, min(more.diskMiB, free.diskMiB, there.diskMiB)), iops: min(more.iops, max(0, min(free.iops, there.iops))))
            let most = growth.diskMiB > 0 || growth.iops > 0 ? volume.resources + growth : nil
            return .volume(of: contract, short, "the volume needs", "a volume", most: most)
        }
        if let refusal { throw refusal }
    }
}
