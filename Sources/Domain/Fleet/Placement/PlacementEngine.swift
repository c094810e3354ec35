public import Primitives

/// Where every instance of one datacenter is, and where the next one goes.
///
/// It owns all hosts and all allocations: what is allocated on a host never passes what the host promises. A request is filtered by the
/// hard rules (`PlacementRule`, in that order) and what is left is scored by the policy of each pod (`PlacementPolicy`). Decisions do
/// not look at each host: what the rules ask about is kept as rows of bits over all hosts, up to date after every change, and combined
/// 64 hosts at a step. When any host fits, one is found; the same calls give the same decisions.
///
/// A value: a copy is cheap, and has storage of its own from the first change on. What-if questions are asked of a copy.
public struct PlacementEngine: Sendable {
    // MARK: Hosts, by number. Numbers are given in order of joining and used again.

    var hosts: ContiguousArray<PlacementHost?> = []
    var numbers: [HostID: Int32] = [:]
    var unusedNumbers: ContiguousArray<Int32> = []
    /// Bits of their identifiers.
    var ids = FlatArray<UInt64>()
    var rooms = HostRooms()
    /// What interruptible instances hold on each host.
    var reclaimable = FlatArray<SIMD8<Int32>>()
    /// Domain at each level of `PlacementLevel`.
    var places = FlatArray<SIMD8<Int32>>()
    /// Connect, pod, pool and host as tenancy terms speak of them; -1: in none.
    var tenancyPlaces = FlatArray<SIMD4<Int32>>()
    var fullness = FullnessClasses()

    // MARK: Rows

    var rows: HostRows
    var levels: CapacityLevels
    let present: Int32
    let up: Int32
    let withGPUs: Int32
    let inPools: Int32
    let dedicated: Int32
    let tunnels: Int32
    var zones = KeyedRows<String>()
    var pods = KeyedRows<PodID>()
    var pools = KeyedRows<String>()
    var kinds = KeyedRows<PlacementHost.Kind>()
    var profiles = KeyedRows<String>()
    var storages = KeyedRows<PlacementHost.Storage>()
    var jurisdictions = KeyedRows<String>()
    var ratios = KeyedRows<Oversubscription>()
    var dedications = KeyedRows<ParticipantID>()
    var gpuModels = KeyedRows<String>()
    var images = IDRows<ImageKind>()
    /// By `PlacementLevel`; that of hosts is left empty.
    var domains: ContiguousArray<Domains> = ContiguousArray(repeating: Domains(), count: PlacementLevel.allCases.count)
    /// Occupied hosts in each rack.
    var rackLoads = FlatArray<Int32>()

    // MARK: Policies

    var policies = KeyedRows<PlacementPolicy>()
    var policyOfPod: [PodID: PlacementPolicy] = [:]
    var gpu = GPUIndex()
    /// What the smallest useful leftover is made of.
    var shapes: ContiguousArray<StandardShape> = StandardShape.unitClasses

    // MARK: What is allocated

    var table: AllocationTable
    var tenancy: TenancyLedger
    var tenancies = Interner<SIMD4<Int32>>()
    var lifetimes = LifetimeLedger()
    var groups = GroupLedger()
    var parties = IDInterner<ParticipantKind>()
    var networks = NetworkLedger()
    /// Reservations by when they end.
    var expiries = ExpiryHeap()
    var workspace: Workspace?

    /// - Parameter capacity: allocations for which room is made ahead.
    public init(capacity: Int = 0) {
        var rows = HostRows()
        present = rows.add()
        up = rows.add()
        withGPUs = rows.add()
        inPools = rows.add()
        dedicated = rows.add()
        tunnels = rows.add()
        levels = CapacityLevels(rows: &rows)
        tenancy = TenancyLedger(rows: &rows)
        tenancy.join(level: 0, domain: 0)
        _ = tenancies.intern(Self.shared)
        self.rows = rows
        table = AllocationTable(capacity: capacity)
    }

    /// A datacenter as it is: all hosts, and all that is on them. Rules other than capacity are not asked: what runs, runs.
    /// - Throws: when something is on a host that is not there or has no room for it.
    public init(hosts: [PlacementHost], allocations: some Collection<PlacementAllocation>) throws(Refusal) {
        self.init(capacity: allocations.count)
        rows.reserve(hosts: hosts.count)
        for host in hosts { try add(host) }
        for allocation in allocations { try restore(allocation) }
    }

    public var hostCount: Int { numbers.count }
    public var allocationCount: Int { table.count }

    /// Bytes held for what grows with hosts and allocations.
    public var footprint: Int {
        rows.footprint + fullness.footprint + table.footprint + tenancy.footprint + networks.footprint
            + lifetimes.footprint
            + rooms.footprint + reclaimable.footprint + places.footprint + tenancyPlaces.footprint + ids.footprint
            + hosts.capacity * MemoryLayout<PlacementHost?>.stride
    }

    // MARK: What is where

    public func host(_ id: HostID) -> PlacementHost? { numbers[id].flatMap { hosts[Int($0)] } }

    /// What is free on a host. Nil: no such host.
    public func free(_ id: HostID) -> Resources? { numbers[id].map { Resources(lanes: rooms[Int($0)].free) } }

    public func hostID(of instance: InstanceID) -> HostID? { table.find(instance.bits).map { hostID(Int(table[$0].host)) } }

    /// Instances and reservations on a host, ascending.
    public func instances(on id: HostID) -> [InstanceID] {
        guard let number = numbers[id] else { return [] }
        var found: [InstanceID] = []
        forEachAllocation(on: Int(number)) { _, record in found.append(InstanceID(bits: record.instance)) }
        return found.sorted()
    }

    func hostID(_ number: Int) -> HostID { HostID(bits: ids[number]) }

    /// Calls for each allocation on a host, in no particular order, with its slot.
    @inline(__always) func forEachAllocation(on host: Int, _ body: (Int, AllocationRecord) -> Void) {
        for slot in tenancy.tenants.slots(host) { body(Int(slot), table[Int(slot)]) }
    }
}

/// One allocation as it is stored elsewhere.
public struct PlacementAllocation: Hashable, Sendable {
    public var request: PlacementRequest
    public var host: HostID
    /// As decided; nil: whichever fit.
    public var gpus: [Int]?
    public var cell: Int?
    /// Held until then for an instance that has not come yet.
    public var reservedUntil: Instant?

    public init(request: PlacementRequest, host: HostID, gpus: [Int]? = nil, cell: Int? = nil, reservedUntil: Instant? = nil) {
        self.request = request
        self.host = host
        self.gpus = gpus
        self.cell = cell
        self.reservedUntil = reservedUntil
    }
}

extension Resources {
    /// In the engine's form: processor, memory, disk, IOPS, network, milli-GPU.
    var lanes: SIMD8<Int32> {
        SIMD8(
            Int32(clamping: milliCPU), Int32(clamping: memoryMiB), Int32(clamping: diskMiB), Int32(clamping: iops),
            Int32(clamping: networkMbps), Int32(clamping: milliGPU), 0, 0)
    }

    init(lanes: SIMD8<Int32>) {
        self.init(
            milliCPU: Int64(lanes[0]), memoryMiB: Int64(lanes[1]), diskMiB: Int64(lanes[2]), iops: Int64(lanes[3]),
            networkMbps: Int64(lanes[4]), milliGPU: Int64(lanes[5]))
    }
}
