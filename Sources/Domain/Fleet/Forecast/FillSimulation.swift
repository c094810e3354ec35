public import Primitives

/// How many instances of a mix still fit: a world of its own is filled, one instance after the other, until the next one finds no host.
///
/// Shapes take turns by their shares: whichever is furthest behind comes next, of equals the first. The same world and mix give the same
/// outcome.
public struct FillSimulation: Sendable {
    public struct Shape: Sendable {
        public var name: String
        /// What each instance of it asks for; its identifier does not matter.
        public var request: PlacementRequest
        /// Parts of the mix, above 0.
        public var share: Int64

        public init(name: String, request: PlacementRequest, share: Int64) {
            self.name = name
            self.request = request
            self.share = share
        }
    }

    /// What there is of one component on the hosts that keep all rules but room, for the shape that found no host.
    public struct Component: Hashable, Sendable {
        public var name: String
        public var promised: Int64
        public var free: Int64
        public var needed: Int64
        /// Hosts that have less of it than is needed.
        public var short: Int
    }

    /// Where it ended.
    public struct End: Sendable {
        public var shape: Int
        public var explanation: PlacementExplanation
        /// Nothing: the hosts fell to other rules than room.
        public var components: [Component]
        /// The component of which most hosts are short; of equals, the one of which the least is left for its need. Nil: none is.
        public var binding: String?
    }

    public let shapes: [Shape]
    public private(set) var placed: [Int64]
    /// Hosts that took an instance of the mix.
    public private(set) var hosts: Set<HostID> = []
    /// Nil: not yet.
    public private(set) var end: End?
    private var world: PlacementEngine
    private let now: Instant
    private var next: UInt64 = .max

    /// - Throws: when a share is not above 0, or there is no shape.
    public init(of world: PlacementEngine, shapes: [Shape], at now: Instant) throws(Refusal) {
        guard !shapes.isEmpty, shapes.allSatisfy({ (1...1_000_000).contains($0.share) }) else {
            throw Refusal(
                "placement.mix", .invalid, "A mix has one shape or more, each with a share from 1 to 1000000.",
                facts: ["shapes": .number(Int64(shapes.count))], nearest: "a share of 1")
        }
        self.world = world
        self.shapes = shapes
        self.now = now
        placed = Array(repeating: 0, count: shapes.count)
    }

    public var total: Int64 { placed.reduce(0, +) }

    /// Goes on for at most so many instances. False: it has ended.
    /// - Throws: when a request itself is wrong.
    public mutating func run(_ most: Int) throws(Refusal) -> Bool {
        for _ in 0..<most {
            guard end == nil else { return false }
            try place(due)
        }
        return end == nil
    }

    /// The shape that is furthest behind its share.
    private var due: Int {
        var best = 0
        for shape in shapes.indices.dropFirst() {
            let (mine, its) = ((placed[shape] + 1) * shapes[best].share, (placed[best] + 1) * shapes[shape].share)
            if mine < its { best = shape }
        }
        return best
    }

    private mutating func place(_ shape: Int) throws(Refusal) {
        while world.hostID(of: InstanceID(bits: next)) != nil { next -= 1 }
        var request = shapes[shape].request
        request.instance = InstanceID(bits: next)
        do throws(Refusal) {
            let decision = try world.place(request, at: now)
            placed[shape] += 1
            hosts.insert(decision.host)
        } catch {
            guard error.category == .capacity else { throw error }
            let components = try world.components(for: request)
            end = End(
                shape: shape, explanation: try world.explain(request, at: now), components: components,
                binding: Self.binding(components))
        }
    }

    private static func binding(_ components: [Component]) -> String? {
        let short = components.filter { $0.short > 0 }
        return short.max { a, b in
            if a.short != b.short { return a.short < b.short }
            return a.free * max(1, b.needed) > b.free * max(1, a.needed)
        }?.name
    }
}

extension PlacementEngine {
    /// Component by component, what the hosts have that keep all rules but room.
    func components(for request: PlacementRequest) throws(Refusal) -> [FillSimulation.Component] {
        var copy = self
        let need = try copy.prepare(request)
        var scratch = Scratch(stride: rows.stride)
        copy.keepRules(request, need, withRoom: false, &scratch)
        let mask = scratch.fitting
        let names = ["milliCPU", "memoryMiB", "diskMiB", "iops", "networkMbps", "milliGPU", "gpu", "gpuShare"]
        var found: [FillSimulation.Component] = []
        for (lane, name) in names.enumerated() where need.amounts[lane] > 0 {
            var component = FillSimulation.Component(name: name, promised: 0, free: 0, needed: Int64(need.amounts[lane]), short: 0)
            forEachHost(in: mask) { host in
                component.free += Int64(rooms[host].free[lane])
                component.promised += lane < 6 ? Int64(hosts[host]?.capacity.lanes[lane] ?? 0) : Int64(hosts[host]?.gpuCount ?? 0)
                if rooms[host].free[lane] < need.amounts[lane] { component.short += 1 }
            }
            found.append(component)
        }
        if need.numa {
            var numa = FillSimulation.Component(name: "numa", promised: 0, free: 0, needed: 1, short: 0)
            forEachHost(in: mask) { host in
                numa.promised += Int64(max(1, hosts[host]?.cells.count ?? 1))
                let cells = (0..<PlacementHost.mostCells).filter {
                    rooms[host].cellCPU[$0] >= need.amounts[0] && rooms[host].cellMemory[$0] >= need.amounts[1]
                }
                numa.free += Int64(cells.count)
                if cells.isEmpty, rooms[host].holds(need.amounts) { numa.short += 1 }
            }
            found.append(numa)
        }
        return found.first?.promised == 0 ? [] : found
    }

    private func forEachHost(in mask: HostMask, _ body: (Int) -> Void) {
        var next = mask.next(from: 0)
        while let host = next {
            body(host)
            next = mask.next(from: host + 1)
        }
    }
}
