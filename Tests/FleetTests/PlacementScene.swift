import Fleet
import Primitives

/// Small datacenters and requests with every rule in them, by chance.
struct PlacementScene {
    var generator: SeededGenerator
    private var next: UInt64 = 1

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }

    mutating func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &generator)] }

    /// Hosts with the same number are alike in where they stand.
    mutating func host(_ number: UInt64) -> PlacementHost {
        let pod = number % 3
        var host = PlacementHost(
            id: HostID(bits: number), zone: pod == 2 ? "b" : "a", pod: PodID(bits: pod + 1), rack: "r\(number % 5)",
            capacity: Resources(
                milliCPU: pick([4_000, 8_000, 12_000]), memoryMiB: pick([8_192, 16_384, 32_768]), diskMiB: pick([50_000, 200_000]),
                iops: pick([1_000, 5_000]), networkMbps: 1_000))
        host.power = "p\(number % 2)"
        host.network = "n\(number % 4)"
        host.facility = "f\(pod / 2)"
        host.pool = chance(40) ? pick(["x", "y"]) : nil
        host.dedicatedTo = chance(10) ? party() : nil
        host.ratios = pick([
            Oversubscription(cpu: 1_000, memory: 1_000, disk: 1_000), Oversubscription(cpu: 4_000, memory: 1_500, disk: 2_000),
        ])
        host.kind = chance(85) ? .virtual : .metal
        host.profile = pick(["", "r7", "r9"])
        host.storage = [.das, .nas, .san][Int(pod)]
        host.hasTunnel = number % 6 != 0
        host.jurisdiction = pod == 0 ? "DE" : "FR"
        if chance(50) {
            let half = PlacementHost.Cell(milliCPU: host.capacity.milliCPU / 2, memoryMiB: host.capacity.memoryMiB / 2)
            host.cells = [half, half]
        }
        if chance(40) { (host.gpuModel, host.gpuCount) = (pick(["L4", "H100"]), Int.random(in: 1...4, using: &generator)) }
        if chance(30) { host.images = [ImageID(bits: 1)] }
        return host
    }

    private mutating func party() -> ParticipantID { ParticipantID(bits: .random(in: 1...5, using: &generator)) }

    mutating func request() -> PlacementRequest {
        var request = PlacementRequest(instance: InstanceID(bits: next), party: party(), resources: resources())
        next += 1
        if chance(15) { request.zone = pick(["a", "b", "nowhere"]) }
        if chance(10) { request.pod = PodID(bits: .random(in: 1...4, using: &generator)) }
        if chance(4) { request.host = HostID(bits: .random(in: 1...14, using: &generator)) }
        if chance(8) { request.avoiding = (0..<3).map { _ in HostID(bits: .random(in: 1...14, using: &generator)) } }
        if chance(5) { request.volumePod = PodID(bits: .random(in: 1...3, using: &generator)) }
        if chance(10) { request.kind = pick([.virtual, .metal]) }
        if chance(5) { request.profile = pick(["r7", "r9"]) }
        if chance(10) { request.storage = pick([.das, .nas, .san]) }
        if chance(10) { request.jurisdiction = pick(["DE", "FR", "US"]) }
        if chance(10) {
            request.largestOversubscription = Oversubscription(
                cpu: pick([1_000, 2_000, 4_000]), memory: pick([1_000, 2_000]), disk: 2_000)
        }
        if chance(25) { request.tenancy = tenancy() }
        if chance(30) { request.groups = groups() }
        request.numa = chance(15)
        if chance(20) { wantGPU(&request) }
        if chance(30) { request.image = ImageID(bits: .random(in: 1...2, using: &generator)) }
        if chance(30) { request.network = NetworkID(bits: .random(in: 1...3, using: &generator)) }
        request.interruptible = chance(40)
        request.priority = Int16.random(in: 0...3, using: &generator)
        return request
    }

    mutating func resources() -> Resources {
        Resources(
            milliCPU: pick([500, 1_000, 2_000, 3_000, 4_000]), memoryMiB: pick([512, 1_024, 3_000, 4_096, 8_192]),
            diskMiB: pick([1_000, 10_000, 40_000]), iops: pick([0, 100, 700]), networkMbps: pick([0, 50, 300]))
    }

    private mutating func tenancy() -> PlacementTenancy {
        var tenancy = PlacementTenancy.shared
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: tenancy.connect = sharing()
        case 1: tenancy.pod = sharing()
        case 2, 3: tenancy.pool = sharing()
        default: tenancy.host = sharing()
        }
        return tenancy
    }

    private mutating func sharing() -> PlacementTenancy.Sharing { chance(50) ? .exclusive : .group([party(), party(), party()]) }

    private mutating func groups() -> [PlacementGroup] {
        let number = UInt64.random(in: 0..<12, using: &generator)
        let levels = PlacementLevel.allCases
        let level = levels[Int(number) % levels.count]
        let rule: PlacementGroup.Rule
        switch number % 3 {
        case 0: rule = .together(level)
        case 1: rule = .apart(level)
        default: rule = .spread(level, maxSkew: 1 + Int(number) % 2)
        }
        return [PlacementGroup(id: number, rule)] + (chance(20) ? [PlacementGroup(id: 100, .spread(.rack, maxSkew: 2))] : [])
    }

    private mutating func wantGPU(_ request: inout PlacementRequest) {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: request.resources.milliGPU = pick([250, 1_000, 2_000])
        case 1: request.gpu = .init(models: ["L4"], count: 1, milliEach: pick([100, 500, 900]))
        case 2: request.gpu = .init(models: ["L4", "H100"], count: Int.random(in: 1...3, using: &generator))
        default: request.gpu = .init(count: 1, milliEach: 300)
        }
    }
}
