import Primitives

/// What a pod is sized from: what is to run, on which hosts, over which storage and network, and what that costs. Ratios and shares are
/// in thousandths, money in micro-units of one currency.
public struct PodPlanInput: Hashable, Sendable, Codable {
    /// One kind of machine that is to run.
    public struct Shape: Hashable, Sendable, Codable {
        public var name: String
        public var milliCPU: Int64
        public var memoryMiB: Int64
        public var diskMiB: Int64
        /// At the busiest.
        public var iops: Int64
        public var throughputKBps: Int64
        /// How many of all are of this kind; any unit, the same for all shapes.
        public var share: Int64

        public init(
            name: String, milliCPU: Int64, memoryMiB: Int64, diskMiB: Int64, iops: Int64 = 0, throughputKBps: Int64 = 0, share: Int64 = 1
        ) {
            self.name = name
            self.milliCPU = milliCPU
            self.memoryMiB = memoryMiB
            self.diskMiB = diskMiB
            self.iops = iops
            self.throughputKBps = throughputKBps
            self.share = share
        }
    }

    public struct Demand: Hashable, Sendable, Codable {
        /// Machines now.
        public var instances: Int64
        /// More of them every month.
        public var growthPerMonth: Int64
        public var months: Int64
        public init(instances: Int64, growthPerMonth: Int64 = 0, months: Int64 = 0) {
            self.instances = instances
            self.growthPerMonth = growthPerMonth
            self.months = months
        }
    }

    public struct Host: Hashable, Sendable, Codable {
        public var milliCPU: Int64
        public var memoryMiB: Int64
        /// On DAS; shared storage has its own capacity.
        public var diskMiB: Int64
        public var watts: Int64
        public var rackUnits: Int64
        public var networkPorts: Int64
        public init(milliCPU: Int64, memoryMiB: Int64, diskMiB: Int64 = 0, watts: Int64, rackUnits: Int64 = 1, networkPorts: Int64 = 2) {
            self.milliCPU = milliCPU
            self.memoryMiB = memoryMiB
            self.diskMiB = diskMiB
            self.watts = watts
            self.rackUnits = rackUnits
            self.networkPorts = networkPorts
        }
    }

    public struct Filling: Hashable, Sendable, Codable {
        public var cpuOversubscription: Int64
        public var memoryOversubscription: Int64
        public var diskOversubscription: Int64
        /// How much of what is promised can be filled in practice.
        public var packing: Int64
        /// Hosts of a pod kept free for failures and maintenance.
        public var spare: Int64
        /// How much of what is on offer is sold.
        public var sold: Int64
        public init(
            cpuOversubscription: Int64, memoryOversubscription: Int64 = 1_000, diskOversubscription: Int64 = 1_000, packing: Int64 = 1_000,
            spare: Int64 = 0, sold: Int64 = 1_000
        ) {
            self.cpuOversubscription = cpuOversubscription
            self.memoryOversubscription = memoryOversubscription
            self.diskOversubscription = diskOversubscription
            self.packing = packing
            self.spare = spare
            self.sold = sold
        }
    }

    /// Shared storage of one pod: NAS heads or SAN arrays. Absent: disks are in the hosts (DAS).
    public struct Storage: Hashable, Sendable, Codable {
        public var arrays: Int64
        /// Of one array.
        public var iops: Int64
        public var throughputMBps: Int64
        public var usableGiB: Int64
        public init(arrays: Int64, iops: Int64, throughputMBps: Int64, usableGiB: Int64) {
            self.arrays = arrays
            self.iops = iops
            self.throughputMBps = throughputMBps
            self.usableGiB = usableGiB
        }
    }

    public struct Network: Hashable, Sendable, Codable {
        /// Most switches for hosts in a pod.
        public var switches: Int64
        public var portsPerSwitch: Int64
        /// Ports of each switch that lead away from hosts.
        public var uplinksPerSwitch: Int64
        /// Addresses that one broadcast domain holds without harm.
        public var broadcastGuests: Int64?
        public init(switches: Int64, portsPerSwitch: Int64, uplinksPerSwitch: Int64 = 0, broadcastGuests: Int64? = nil) {
            self.switches = switches
            self.portsPerSwitch = portsPerSwitch
            self.uplinksPerSwitch = uplinksPerSwitch
            self.broadcastGuests = broadcastGuests
        }
    }

    public struct Floor: Hashable, Sendable, Codable {
        public var rackUnits: Int64
        public var rackWatts: Int64
        /// Racks a pod may have.
        public var racks: Int64
        /// What each of a pod's feeds bears; every one bears the whole pod.
        public var feedWatts: Int64
        /// Power usage effectiveness: all the power that is drawn, over what computers draw.
        public var pue: Int64
        /// Hosts that one pod's control plane manages.
        public var largestPod: Int64
        public init(rackUnits: Int64, rackWatts: Int64, racks: Int64, feedWatts: Int64, pue: Int64 = 1_000, largestPod: Int64) {
            self.rackUnits = rackUnits
            self.rackWatts = rackWatts
            self.racks = racks
            self.feedWatts = feedWatts
            self.pue = pue
            self.largestPod = largestPod
        }
    }

    /// Micro-units a month, but for power.
    public struct Costs: Hashable, Sendable, Codable {
        /// Purchase over its life, support and licences.
        public var host: Int64
        public var rack: Int64
        public var array: Int64
        public var networkSwitch: Int64
        /// A kilowatt-hour.
        public var power: Int64
        public var staffPerHost: Int64
        public var staffPerPod: Int64
        public init(
            host: Int64, rack: Int64 = 0, array: Int64 = 0, networkSwitch: Int64 = 0, power: Int64 = 0, staffPerHost: Int64 = 0,
            staffPerPod: Int64 = 0
        ) {
            self.host = host
            self.rack = rack
            self.array = array
            self.networkSwitch = networkSwitch
            self.power = power
            self.staffPerHost = staffPerHost
            self.staffPerPod = staffPerPod
        }
    }

    /// What is sold.
    public struct Lot: Hashable, Sendable, Codable {
        public var milliCPU: Int64
        public var memoryMiB: Int64
        public var diskMiB: Int64
        /// Micro-units per lot-hour.
        public var price: Int64
        public init(milliCPU: Int64, memoryMiB: Int64, diskMiB: Int64, price: Int64) {
            self.milliCPU = milliCPU
            self.memoryMiB = memoryMiB
            self.diskMiB = diskMiB
            self.price = price
        }
    }

    public var shapes: [Shape]
    public var demand: Demand
    public var host: Host
    public var filling: Filling
    public var storage: Storage?
    public var network: Network
    public var floor: Floor
    public var costs: Costs
    public var lot: Lot

    public init(
        shapes: [Shape], demand: Demand, host: Host, filling: Filling, storage: Storage?, network: Network, floor: Floor, costs: Costs,
        lot: Lot
    ) {
        self.shapes = shapes
        self.demand = demand
        self.host = host
        self.filling = filling
        self.storage = storage
        self.network = network
        self.floor = floor
        self.costs = costs
        self.lot = lot
    }
}

extension PodPlanInput {
    /// The largest of any number, so that no sum or product of a plan leaves 64 bits.
    static let largest: Int64 = 1_000_000_000

    /// Refuses what no plan can be made from.
    func check() throws(Refusal) {
        guard !shapes.isEmpty, shapes.count <= 100 else {
            throw Refusal(
                "plan.shapes", .invalid, "A plan needs 1 to 100 shapes of machines, not \(shapes.count).",
                facts: ["shapes": .number(Int64(shapes.count))], nearest: shapes.isEmpty ? "1 shape" : "100 shapes")
        }
        for shape in shapes {
            try Self.check(
                "shape \(shape.name)", [("milliCPU", shape.milliCPU), ("memoryMiB", shape.memoryMiB), ("share", shape.share)],
                [("diskMiB", shape.diskMiB), ("iops", shape.iops), ("throughputKBps", shape.throughputKBps)])
        }
        try Self.check(
            "demand", [("instances", demand.instances)], [("growthPerMonth", demand.growthPerMonth), ("months", demand.months)])
        guard demand.growthPerMonth <= 1_000, demand.months <= 120 else {
            throw Refusal(
                "plan.growth", .invalid, "Growth is at most 1000 thousandths a month, over at most 120 months.",
                facts: ["growthPerMonth": .number(demand.growthPerMonth), "months": .number(demand.months)],
                nearest: "\(min(1_000, demand.growthPerMonth)) thousandths a month over \(counted(min(120, demand.months), "month"))")
        }
        try Self.check(
            "host",
            [
                ("milliCPU", host.milliCPU), ("memoryMiB", host.memoryMiB), ("watts", host.watts), ("rackUnits", host.rackUnits),
                ("networkPorts", host.networkPorts),
            ], [("diskMiB", host.diskMiB)])
        try checkFilling()
        if let storage {
            try Self.check(
                "storage",
                [
                    ("arrays", storage.arrays), ("iops", storage.iops), ("throughputMBps", storage.throughputMBps),
                    ("usableGiB", storage.usableGiB),
                ], [])
        }
        try Self.check(
            "network",
            [
                ("switches", network.switches), ("portsPerSwitch", network.portsPerSwitch),
                ("broadcastGuests", network.broadcastGuests ?? 1),
            ], [("uplinksPerSwitch", network.uplinksPerSwitch)])
        guard network.uplinksPerSwitch < network.portsPerSwitch else {
            throw Refusal(
                "plan.number", .invalid,
                "uplinksPerSwitch of network is \(network.uplinksPerSwitch); a switch has \(network.portsPerSwitch) ports, and none would be left.",
                facts: ["field": .text("network.uplinksPerSwitch"), "value": .number(network.uplinksPerSwitch)],
                nearest: "\(network.portsPerSwitch - 1)")
        }
        try Self.check(
            "floor",
            [
                ("rackUnits", floor.rackUnits), ("rackWatts", floor.rackWatts), ("racks", floor.racks), ("feedWatts", floor.feedWatts),
                ("largestPod", floor.largestPod),
            ], [])
        try Self.check(
            "lot", [("milliCPU", lot.milliCPU), ("memoryMiB", lot.memoryMiB)], [("diskMiB", lot.diskMiB), ("price", lot.price)])
        try checkCosts()
    }

    private func checkFilling() throws(Refusal) {
        let ratios =
            [
                ("cpuOversubscription", filling.cpuOversubscription, 1_000, 1_000_000),
                ("memoryOversubscription", filling.memoryOversubscription, 1_000, 1_000_000),
                ("diskOversubscription", filling.diskOversubscription, 1_000, 1_000_000), ("packing", filling.packing, 1, 1_000),
                ("spare", filling.spare, 0, 999), ("sold", filling.sold, 1, 1_000), ("pue", floor.pue, 1_000, 10_000),
            ] as [(String, Int64, Int64, Int64)]
        for (name, value, least, most) in ratios where !(least...most).contains(value) {
            throw Refusal(
                "plan.number", .invalid, "\(name) is \(value) thousandths; \(least) to \(most) are allowed.",
                facts: ["field": .text(name), "value": .number(value)], nearest: "\(max(least, min(most, value)))")
        }
    }

    private func checkCosts() throws(Refusal) {
        let all = [
            ("host", costs.host), ("rack", costs.rack), ("array", costs.array), ("networkSwitch", costs.networkSwitch),
            ("power", costs.power), ("staffPerHost", costs.staffPerHost), ("staffPerPod", costs.staffPerPod),
        ]
        let most: Int64 = 1_000_000_000_000
        for (name, value) in all where !(0...most).contains(value) {
            throw Refusal(
                "plan.number", .invalid, "The cost of \(name) is \(value) micro-units; 0 to \(most) are allowed.",
                facts: ["field": .text(name), "value": .number(value)], nearest: "\(max(0, min(most, value)))")
        }
    }

    private static func check(_ what: String, _ positive: [(String, Int64)], _ others: [(String, Int64)]) throws(Refusal) {
        for (least, numbers) in [(1, positive), (0, others)] as [(Int64, [(String, Int64)])] {
            for (name, value) in numbers where !(least...largest).contains(value) {
                throw Refusal(
                    "plan.number", .invalid, "\(name) of \(what) is \(value); \(least) to \(largest) are allowed.",
                    facts: ["field": .text("\(what).\(name)"), "value": .number(value)], nearest: "\(max(least, min(largest, value)))")
            }
        }
    }
}
