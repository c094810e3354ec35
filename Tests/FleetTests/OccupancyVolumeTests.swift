import Fleet
import Primitives
import Testing

/// Volumes hold room beside instances: on hosts, in contracts, and as the placement engine counts.
@Suite struct OccupancyVolumeTests {
    private let party = ParticipantID(bits: 1)

    private func entry(_ number: UInt64, disk: Int64 = 100_000) throws -> Occupancy.HostEntry {
        Occupancy.HostEntry(
            PlacementHost(
                id: HostID(bits: number), zone: "a", pod: PodID(bits: 1), rack: "r",
                capacity: Resources(milliCPU: 16_000, memoryMiB: 65_536, diskMiB: disk, iops: 10_000)),
            network: try #require(GuestNetwork("10.77.0.1/20")))
    }

    private func volume(_ diskMiB: Int64, iops: Int64 = 0, on host: UInt64, contract: UInt64 = 1) -> Occupancy.VolumeHolding {
        Occupancy.VolumeHolding(
            contract: ContractID(bits: contract), host: HostID(bits: host), resources: Resources(diskMiB: diskMiB, iops: iops),
            state: .available, generation: 1)
    }

    private func machine(_ diskMiB: Int64, on host: UInt64, contract: UInt64 = 1) -> Occupancy.Holding {
        Occupancy.Holding(
            contract: ContractID(bits: contract), party: party, host: HostID(bits: host),
            resources: Resources(milliCPU: 100, memoryMiB: 64, diskMiB: diskMiB), address: nil, desired: .running, state: .running,
            generation: 1, executed: nil)
    }

    private func request(_ diskMiB: Int64) -> PlacementRequest {
        PlacementRequest(instance: InstanceID(bits: 9_999), party: party, resources: Resources(diskMiB: diskMiB))
    }

    @Test func whatVolumesHoldIsNotThereForInstances() throws {
        var occupancy = Occupancy()
        occupancy.setHost(try entry(1))
        occupancy.set(VolumeID(bits: 7), volume(60_000, iops: 4_000, on: 1))
        #expect(occupancy.placeable(HostID(bits: 1))?.free == Resources(milliCPU: 16_000, memoryMiB: 65_536, diskMiB: 40_000, iops: 6_000))
        #expect(throws: Refusal.self) { try occupancy.place(request(40_001), at: .zero) }
        #expect(try occupancy.place(request(40_000), at: .zero) == HostID(bits: 1))
        #expect(throws: Refusal.self) {
            try occupancy.checkRoom(for: Resources(iops: 6_001), on: HostID(bits: 1), mustBeUp: true)
        }
        // An instance of the same number is another thing.
        occupancy.set(InstanceID(bits: 7), machine(40_000, on: 1))
        #expect(occupancy.violations() == [])
        #expect(occupancy.usage(of: ContractID(bits: 1)).resources.diskMiB == 100_000)
        #expect(throws: Refusal.self) { try occupancy.placeVolume(request(1), at: .zero) }
        occupancy.set(VolumeID(bits: 7), nil)
        #expect(try occupancy.placeVolume(request(60_000), at: .zero) == HostID(bits: 1))
        let left = occupancy.usage(of: ContractID(bits: 1))
        #expect(left.resources == machine(40_000, on: 1).resources && left.instances == 1 && left.volumes == 0)
    }

    /// A host whose hardware shrinks below what lies on it takes nothing new until it fits again.
    @Test func aHostThatShrinksIsClosedAndOpensAgain() throws {
        var occupancy = Occupancy()
        occupancy.setHost(try entry(1))
        occupancy.set(VolumeID(bits: 1), volume(60_000, on: 1))
        occupancy.set(VolumeID(bits: 2), volume(30_000, on: 1))
        occupancy.setHost(try entry(1, disk: 50_000))
        #expect(throws: Refusal.self) { try occupancy.place(request(1), at: .zero) }
        occupancy.set(InstanceID(bits: 1), machine(1_000, on: 1))
        #expect(throws: Refusal.self) { try occupancy.place(request(1), at: .zero) }
        occupancy.set(VolumeID(bits: 1), nil)
        #expect(occupancy.violations() == [])
        #expect(try occupancy.place(request(19_000), at: .zero) == HostID(bits: 1))
        #expect(throws: Refusal.self) { try occupancy.place(request(19_001), at: .zero) }
    }

    /// Any changes in any order: sums are those of plain lists, and the engine finds a host exactly when one has room.
    @Test(arguments: 0..<30 as Range<UInt64>) func countsLikePlainLists(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var occupancy = Occupancy()
        var volumes: [VolumeID: Occupancy.VolumeHolding] = [:]
        var machines: [InstanceID: Occupancy.Holding] = [:]
        for number in 1...4 as ClosedRange<UInt64> { occupancy.setHost(try entry(number)) }
        for _ in 0..<200 {
            let host = UInt64.random(in: 1...4, using: &generator)
            let free = try #require(occupancy.placeable(HostID(bits: host))?.free)
            let (size, contract) = (Int64.random(in: 1...30_000, using: &generator), UInt64.random(in: 1...3, using: &generator))
            switch Int.random(in: 0..<6, using: &generator) {
            case 0...1 where size <= free.diskMiB:
                let id = VolumeID(bits: .random(in: 1...20, using: &generator))
                guard volumes[id].map({ $0.host.bits != host }) ?? true else { continue }
                volumes[id] = volume(size, on: host, contract: contract)
                occupancy.set(id, volumes[id])
            case 2 where size <= free.diskMiB:
                let id = InstanceID(bits: .random(in: 1...20, using: &generator))
                guard machines[id] == nil else { continue }
                machines[id] = machine(size, on: host, contract: contract)
                occupancy.set(id, machines[id])
            case 3:
                guard let id = volumes.keys.sorted().randomElement(using: &generator) else { continue }
                volumes[id] = nil
                occupancy.set(id, nil)
            case 4:
                guard let id = machines.keys.sorted().randomElement(using: &generator) else { continue }
                machines[id] = nil
                occupancy.set(id, nil)
            default:
                let rooms = (1...4 as ClosedRange<UInt64>).map { host in
                    100_000 - volumes.values.filter { $0.host.bits == host }.map(\.resources.diskMiB).reduce(0, +)
                        - machines.values.filter { $0.host.bits == host }.map(\.resources.diskMiB).reduce(0, +)
                }
                let found = try? occupancy.placeVolume(request(size * 3), at: .zero)
                #expect((found != nil) == rooms.contains { $0 >= size * 3 })
            }
        }
        #expect(occupancy.violations() == [])
        for contract in 1...3 as ClosedRange<UInt64> {
            let (mine, disks) = (
                machines.values.filter { $0.contract.bits == contract }, volumes.values.filter { $0.contract.bits == contract }
            )
            let total = (mine.map(\.resources) + disks.map(\.resources)).reduce(.zero, +)
            let used = occupancy.usage(of: ContractID(bits: contract))
            #expect(used.resources == total && used.instances == Int64(mine.count) && used.volumes == Int64(disks.count))
        }
    }
}
