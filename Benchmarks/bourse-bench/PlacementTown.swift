import Fleet
import Primitives

/// A datacenter of made-up hosts and a stream of made-up requests, the same for the same seed: 20 pods in 3 zones, racks of 40, and
/// customers who use every rule there is.
struct PlacementTown {
    let hosts: [PlacementHost]
    private var generator: SeededGenerator
    private var nextInstance: UInt64 = 1
    private var nextGroup: UInt64 = 1
    /// Groups that wait for members: request template and how many are still to come.
    private var openGroups: [(group: PlacementGroup, party: ParticipantID, left: Int)] = []
    /// The size of instances, for hosts that hold more of them.
    private let density: Int64

    private static let podCount = 20
    private static let zones = ["a", "b", "c"]
    /// The party that has pod 1 to itself.
    private static let recluse = ParticipantID(bits: 1_000)

    /// - Parameter perHost: instances a host is to hold when 87 % of it is in use.
    init(hosts count: Int, perHost: Int64, seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        density = perHost
        let vCPU = perHost * 4
        hosts = (0..<count).map { number in
            let pod = number * Self.podCount / count
            var host = PlacementHost(
                id: HostID(bits: UInt64(number + 1)), zone: Self.zones[pod % 3], pod: PodID(bits: UInt64(pod + 1)), rack: "r\(number / 40)",
                capacity: Resources(
                    milliCPU: vCPU * 1_000, memoryMiB: vCPU * 4_608, diskMiB: vCPU * 26 * 1_024, iops: vCPU * 400, networkMbps: 50_000))
            host.power = "p\(number / 400)"
            host.network = "n\(number / 800)"
            host.facility = "f\(pod / 10)"
            host.storage = [.das, .nas, .san][pod % 3 == 2 ? 2 : pod % 2]
            host.jurisdiction = pod % 3 == 0 ? "DE" : "FR"
            host.ratios = Oversubscription(cpu: pod % 2 == 0 ? 4_000 : 2_000, memory: 1_000, disk: 1_000)
            host.pool = number % 50 == 0 ? "pool\(number / 500)" : nil
            host.cells = (0..<2).map { _ in PlacementHost.Cell(milliCPU: vCPU * 500, memoryMiB: vCPU * 2_304) }
            if number % 20 == 7 { (host.gpuModel, host.gpuCount) = (number % 40 == 7 ? "H100" : "L4", 8) }
            host.images = [ImageID(bits: UInt64(number % 7)), ImageID(bits: 100)]
            return host
        }
    }

    /// The next request.
    mutating func next() -> PlacementRequest {
        let roll = Int.random(in: 0..<1_000, using: &generator)
        var request = plain()
        switch roll {
        case 0..<50: join(&request)
        case 50..<70: wantGPU(&request)
        case 70..<80:
            request.party = ParticipantID(bits: .random(in: 500..<510, using: &generator))
            request.tenancy = .exclusiveHost
        case 80..<90:
            let first = UInt64.random(in: 0..<10, using: &generator) * 3 + 600
            request.party = ParticipantID(bits: first + .random(in: 0..<3, using: &generator))
            request.tenancy = PlacementTenancy(host: .group((first..<first + 3).map { ParticipantID(bits: $0) }))
        case 90..<130:
            request.party = Self.recluse
            request.tenancy = PlacementTenancy(pod: .exclusive)
        case 130..<160: request.numa = true
        case 160..<360: request.zone = Self.zones.randomElement(using: &generator)
        case 360..<420: request.storage = [.das, .nas, .san].randomElement(using: &generator)
        case 420..<520: request.largestOversubscription = Oversubscription(cpu: 2_000, memory: 1_000, disk: 1_000)
        case 520..<560: request.jurisdiction = "DE"
        case 560..<570: request.volumePod = PodID(bits: .random(in: 2...20, using: &generator))
        default: break
        }
        return request
    }

    /// Members of a gang: alike, and apart from each other or in one rack.
    mutating func gang() -> [PlacementRequest] {
        let size = Int.random(in: 3...6, using: &generator)
        let group = PlacementGroup(id: nextGroup, Bool.random(using: &generator) ? .apart(.host) : .together(.rack))
        nextGroup += 1
        let first = plain()
        return (0..<size).map { _ in
            var member = first
            member.instance = InstanceID(bits: nextInstance)
            nextInstance += 1
            member.groups = [group]
            return member
        }
    }

    private mutating func plain() -> PlacementRequest {
        let lots = Int64([1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 16].randomElement(using: &generator) ?? 1)
        let memory = Int64([4, 4, 2, 8].randomElement(using: &generator) ?? 4)
        var request = PlacementRequest(
            instance: InstanceID(bits: nextInstance), party: ParticipantID(bits: .random(in: 1...200, using: &generator)),
            resources: Resources(
                milliCPU: lots * 1_000, memoryMiB: lots * memory * 1_024, diskMiB: lots * 20 * 1_024, iops: lots * 300,
                networkMbps: lots * 50))
        nextInstance += 1
        request.contract = ContractID(bits: request.party.bits)
        request.image = ImageID(bits: .random(in: 0..<7, using: &generator))
        request.network = NetworkID(bits: request.party.bits * 4 + .random(in: 0..<4, using: &generator))
        request.interruptible = Int.random(in: 0..<10, using: &generator) == 0
        return request
    }

    /// 2 % together, 3 % apart or spread.
    private mutating func join(_ request: inout PlacementRequest) {
        if openGroups.count < 20 {
            let rules: [PlacementGroup.Rule] = [
                .together(.rack), .together(.host), .apart(.host), .apart(.rack), .spread(.zone, maxSkew: 1),
            ]
            let group = PlacementGroup(id: nextGroup, rules[Int(nextGroup % 5)])
            nextGroup += 1
            openGroups.append((group, request.party, 4))
        }
        let index = Int.random(in: 0..<openGroups.count, using: &generator)
        request.party = openGroups[index].party
        request.groups = [openGroups[index].group]
        openGroups[index].left -= 1
        if openGroups[index].left == 0 { openGroups.remove(at: index) }
    }

    private mutating func wantGPU(_ request: inout PlacementRequest) {
        let model = ["H100", "L4"].randomElement(using: &generator) ?? "L4"
        let isShare = Int.random(in: 0..<10, using: &generator) < 7 || density > 50
        request.gpu =
            isShare
            ? .init(models: [model], count: 1, milliEach: [100, 250, 500].randomElement(using: &generator) ?? 250)
            : .init(models: [model], count: 1)
    }

    mutating func number(below limit: Int) -> Int { Int.random(in: 0..<limit, using: &generator) }
}
