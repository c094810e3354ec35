import Fleet
import Primitives
import Testing

@Suite struct PodPlanTests {
    static let input = PodPlanInput(
        shapes: [.init(name: "small", milliCPU: 2_000, memoryMiB: 4_096, diskMiB: 40_960, iops: 50, throughputKBps: 1_000)],
        demand: .init(instances: 100_000), host: .init(milliCPU: 64_000, memoryMiB: 524_288, diskMiB: 8_000_000, watts: 600),
        filling: .init(cpuOversubscription: 4_000, spare: 20, sold: 800), storage: nil,
        network: .init(switches: 40, portsPerSwitch: 48, uplinksPerSwitch: 8, broadcastGuests: 65_536),
        floor: .init(rackUnits: 42, rackWatts: 17_000, racks: 50, feedWatts: 500_000, pue: 1_300, largestPod: 1_000),
        costs: .init(
            host: 300_000_000, rack: 500_000_000, array: 3_000_000_000, networkSwitch: 200_000_000, power: 150_000,
            staffPerHost: 20_000_000, staffPerPod: 5_000_000_000),
        lot: .init(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480, price: 10_000))

    /// Worked out by hand.
    @Test func aPodOnLocalDisks() throws {
        let plan = try PodPlan(Self.input)
        // 64 threads × 4 / 2, 512 GiB / 4, 8,000,000 / 40,960.
        #expect(plan.hostLimits.map { "\($0.name) \($0.room)" } == ["milliCPU 128", "memoryMiB 128", "diskMiB 195"])
        // 65,536 / 128; 40 × 40 ports / 2; 500 kW / 600 W; 1,000; 50 racks of 28.
        #expect(
            plan.podLimits.map { "\($0.name) \($0.room)" } == [
                "broadcastGuests 512", "networkPorts 800", "feedWatts 833", "hosts 1000", "rackWatts 1400",
            ])
        #expect(plan.bindingLimit?.name == "broadcastGuests" && plan.hostsPerPod == 512 && plan.spareHostsPerPod == 11)
        #expect(plan.guestsPerPod == 501 * 128)
        #expect(plan.promised.cpu == 4_000 && plan.promised.memory == 1_000 && plan.promised.disk == 655)
        // 782 hosts are busy, 11 of each pod are spare; 512 in the first pod, 292 in the other, 28 in a rack, 20 on a switch.
        #expect(plan.hosts == 804 && plan.pods == 2 && plan.racks == 19 + 11 && plan.switches == 26 + 15 && plan.arrays == 0)
        #expect(plan.watts == 482_400 && plan.facilityWatts == 627_120)
        #expect(plan.monthlyPowerCost == 68_669_550_000)
        #expect(plan.monthlyCost == 257_280_000_000 + 15_000_000_000 + 8_200_000_000 + 10_000_000_000 + 68_669_550_000)
        #expect(plan.lots == 782 * 128)
        #expect(plan.costPerLotHour == 6_144)
        #expect(plan.monthlyRevenue == 584_554_800_000 && plan.margin == 385)
        #expect(plan.marginBasisPoints == 3_856, "38.56 %")
    }

    /// All pods are full but the last.
    @Test func podsAreFilledOneAfterTheOther() throws {
        var input = Self.input
        input.demand.instances = 1_341 * 128
        input.filling.spare = 0
        input.network = .init(switches: 1_000, portsPerSwitch: 50, uplinksPerSwitch: 10)
        input.floor = .init(rackUnits: 18, rackWatts: 17_000, racks: 100, feedWatts: 10_000_000, largestPod: 1_291)
        let plan = try PodPlan(input)
        #expect(plan.hosts == 1_341 && plan.pods == 2 && plan.hostsPerPod == 1_291)
        #expect(plan.racks == 72 + 3 && plan.switches == 65 + 3, "1,291 hosts and 50, 18 in a rack, 20 on a switch")
    }

    @Test func sharedStorageBinds() throws {
        var input = Self.input
        input.storage = .init(arrays: 4, iops: 500_000, throughputMBps: 12_000, usableGiB: 1_000_000)
        let plan = try PodPlan(input)
        // 2,000,000 / (128 × 50); 48,000 / 128; 4,096,000,000 / (128 × 40,960).
        let storage = plan.podLimits.filter { $0.name.hasPrefix("storage") }.map { "\($0.name) \($0.room)" }
        #expect(storage == ["storageIOPS 312", "storageMBps 375", "storageMiB 781"])
        #expect(plan.bindingLimit?.name == "storageIOPS" && plan.podLimits[1].name == "storageMBps")
        #expect(!plan.hostLimits.contains { $0.name == "diskMiB" }, "disks are not in the hosts")
        #expect(plan.arrays == plan.pods * 4)
    }

    /// The planning guide's own figure: 10,000 physical servers at 30:1 and at 100:1.
    @Test(arguments: [(30, 300_000), (100, 1_000_000)] as [(Int64, Int64)]) func tenThousandServers(_ ratio: Int64, _ guests: Int64) throws
    {
        var input = Self.input
        input.shapes = [.init(name: "one", milliCPU: 64_000, memoryMiB: 5_242, diskMiB: 1)]
        input.filling = .init(cpuOversubscription: ratio * 1_000)
        input.network = .init(switches: 1_000, portsPerSwitch: 48)
        input.floor = .init(rackUnits: 42, rackWatts: 30_000, racks: 1_000, feedWatts: 10_000_000, largestPod: 10_000)
        let plan = try PodPlan(input)
        #expect(plan.bindingLimit?.name == "hosts" && plan.guestsPerHost == ratio && plan.guestsPerPod == guests)
    }

    @Test func theMixIsWeighedByShares() throws {
        var input = Self.input
        // Three quarters take 1 thread, one quarter 5: 2 each. Memory: 1 and 9 GiB: 3 each.
        input.shapes = [
            .init(name: "a", milliCPU: 1_000, memoryMiB: 1_024, diskMiB: 0, share: 3),
            .init(name: "b", milliCPU: 5_000, memoryMiB: 9_216, diskMiB: 0, share: 1),
        ]
        let plan = try PodPlan(input)
        #expect(plan.hostLimits.map { "\($0.name) \($0.room)" } == ["milliCPU 128", "memoryMiB 170"])
    }

    @Test func growthAsksForPodsInTime() throws {
        var input = Self.input
        input.demand = .init(instances: 60_000, growthPerMonth: 100, months: 12)
        let plan = try PodPlan(input)
        var (instances, pods, months): (Int64, Int64, [Int64]) = (60_000, 1, [0])
        for month in 1...12 as ClosedRange<Int64> {
            instances += (instances + 9) / 10
            let needed = ((instances + 127) / 128 + 500) / 501
            if needed != pods || month == 12 { months.append(month) }
            pods = needed
        }
        #expect(plan.steps.map(\.month) == months && plan.steps.last?.instances == instances && plan.pods == pods)
        #expect(pods > 2)
    }

    // MARK: Whatever the numbers

    private func random(_ maker: inout TopologyMaker) -> PodPlanInput {
        var input = Self.input
        input.shapes = (0..<maker.number(1...4)).map { number in
            .init(
                name: "s\(number)", milliCPU: maker.number(250...16_000), memoryMiB: maker.number(256...65_536),
                diskMiB: maker.number(0...200_000), iops: maker.number(0...500), throughputKBps: maker.number(0...5_000),
                share: maker.number(1...10))
        }
        input.demand = .init(instances: maker.number(1...500_000), growthPerMonth: maker.number(0...100), months: maker.number(0...36))
        input.host.milliCPU = maker.number(16...256) * 1_000
        input.host.memoryMiB = maker.number(65...2_048) * 1_024
        input.filling.cpuOversubscription = maker.number(1_000...30_000)
        input.filling.spare = maker.number(0...100)
        if maker.chance(50) {
            input.storage = .init(
                arrays: maker.number(1...8), iops: maker.number(50_000...1_000_000), throughputMBps: maker.number(1_000...20_000),
                usableGiB: maker.number(50_000...2_000_000))
        }
        return input
    }

    /// More of something that limits never makes a pod smaller; higher prices never make a lot cheaper.
    @Test func moreIsNeverLess() throws {
        var compared = 0
        for seed in 1...500 as ClosedRange<UInt64> {
            var maker = TopologyMaker(seed: seed)
            let input = random(&maker)
            guard let plan = try? PodPlan(input) else { continue }
            compared += 1
            var more = input
            more.network.switches *= 2
            more.network.broadcastGuests = (more.network.broadcastGuests ?? 0) * 2
            more.floor.feedWatts *= 2
            more.floor.racks *= 2
            more.floor.largestPod *= 2
            more.storage?.arrays *= 2
            let larger = try PodPlan(more)
            #expect(larger.hostsPerPod >= plan.hostsPerPod && larger.pods <= plan.pods, "seed \(seed)")
            var denser = input
            denser.filling.cpuOversubscription *= 2
            #expect(try PodPlan(denser).guestsPerHost >= plan.guestsPerHost, "seed \(seed)")
            var busier = input
            busier.demand.instances += 1_000
            let next = try PodPlan(busier)
            #expect(next.hosts >= plan.hosts && next.pods >= plan.pods && next.monthlyCost >= plan.monthlyCost, "seed \(seed)")
            var dearer = input
            dearer.costs.power *= 2
            #expect(try PodPlan(dearer).monthlyCost >= plan.monthlyCost, "seed \(seed)")
            var cheaper = input
            cheaper.lot.price /= 2
            #expect(try PodPlan(cheaper).margin ?? 0 <= plan.margin ?? 0, "seed \(seed)")
        }
        #expect(compared > 300, "most of the seeds make a plan")
    }

    /// One host more than the plan allows breaks the binding limit; as many as it allows break none.
    @Test func theBindingLimitBinds() {
        for seed in 1...500 as ClosedRange<UInt64> {
            var maker = TopologyMaker(seed: seed)
            guard let plan = try? PodPlan(random(&maker)), let binding = plan.bindingLimit else { continue }
            #expect(plan.podLimits.allSatisfy { $0.room >= plan.hostsPerPod }, "seed \(seed)")
            #expect(binding.room == plan.hostsPerPod, "seed \(seed)")
            #expect(plan.podLimits.map(\.room) == plan.podLimits.map(\.room).sorted(), "seed \(seed)")
            #expect(plan.hosts <= plan.pods * plan.hostsPerPod, "seed \(seed)")
            let last = plan.steps[plan.steps.count - 1]
            #expect((plan.hosts - plan.pods * plan.spareHostsPerPod) * plan.guestsPerHost >= last.instances, "seed \(seed): all have room")
        }
    }

    @Test func whatCannotBePlannedIsRefused() {
        func rule(_ edit: (inout PodPlanInput) -> Void) -> String? {
            var input = Self.input
            edit(&input)
            do throws(Refusal) {
                _ = try PodPlan(input)
                return nil
            } catch {
                return error.rule
            }
        }
        #expect(rule { $0.shapes = [] } == "plan.shapes")
        #expect(rule { $0.shapes[0].milliCPU = 1_000_000 } == "plan.host")
        #expect(rule { $0.floor.feedWatts = 599 } == "plan.pod")
        #expect(rule { $0.filling.packing = 0 } == "plan.number")
        #expect(rule { $0.costs.host = -1 } == "plan.number")
        #expect(rule { $0.network.uplinksPerSwitch = 48 } == "plan.number")
        #expect(rule { $0.demand.growthPerMonth = 1_001 } == "plan.growth")
        #expect(rule { $0.demand = .init(instances: 1_000_000_000, growthPerMonth: 1_000, months: 120) } == "plan.size")
    }

    // MARK: Numbers that nobody means

    private static var fields: [WritableKeyPath<PodPlanInput, Int64>] {
        [
            \.shapes[0].milliCPU, \.shapes[0].memoryMiB, \.shapes[0].diskMiB, \.shapes[0].iops, \.shapes[0].throughputKBps,
            \.shapes[0].share, \.demand.instances, \.demand.growthPerMonth, \.demand.months, \.host.milliCPU, \.host.memoryMiB,
            \.host.diskMiB, \.host.watts, \.host.rackUnits, \.host.networkPorts, \.filling.cpuOversubscription,
            \.filling.memoryOversubscription, \.filling.diskOversubscription, \.filling.packing, \.filling.spare, \.filling.sold,
            \.network.switches, \.network.portsPerSwitch, \.network.uplinksPerSwitch, \.floor.rackUnits, \.floor.rackWatts, \.floor.racks,
            \.floor.feedWatts, \.floor.pue, \.floor.largestPod, \.costs.host, \.costs.rack, \.costs.array, \.costs.networkSwitch,
            \.costs.power, \.costs.staffPerHost, \.costs.staffPerPod, \.lot.milliCPU, \.lot.memoryMiB, \.lot.diskMiB, \.lot.price,
        ]
    }
    private static var storageFields: [WritableKeyPath<PodPlanInput.Storage, Int64>] {
        [
            \.arrays, \.iops, \.throughputMBps, \.usableGiB,
        ]
    }
    private static let strange: [Int64] = [.max, .min, 0, -1, 1 << 53, 1_000_000_000_000, 1_000_000_000, 1_000_000, 1]

    private var onStorage: PodPlanInput {
        var input = Self.input
        input.storage = .init(arrays: 4, iops: 500_000, throughputMBps: 12_000, usableGiB: 1_000_000)
        return input
    }

    @Test func everyNumberIsPlannedOrRefused() {
        for number in Self.strange {
            for base in [Self.input, onStorage] {
                for field in Self.fields {
                    var input = base
                    input[keyPath: field] = number
                    _ = try? PodPlan(input)
                }
            }
            for field in Self.storageFields {
                var input = onStorage
                input.storage?[keyPath: field] = number
                _ = try? PodPlan(input)
            }
            var input = Self.input
            input.network.broadcastGuests = number
            _ = try? PodPlan(input)
        }
        var input = Self.input
        (input.network.portsPerSwitch, input.network.uplinksPerSwitch) = (.max, -10)
        #expect(throws: Refusal.self) { try PodPlan(input) }
    }

    /// Several at once, most of them within what is allowed.
    @Test func everyMixOfNumbersIsPlannedOrRefused() {
        var generator = SeededGenerator(seed: 4)
        let fields = Self.fields
        var planned = 0
        for _ in 0..<20_000 {
            var input = Bool.random(using: &generator) ? Self.input : onStorage
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                guard let field = fields.randomElement(using: &generator) else { continue }
                input[keyPath: field] = Self.strange.dropFirst(5).randomElement(using: &generator) ?? 1
            }
            if let plan = try? PodPlan(input) {
                planned += 1
                #expect(plan.hosts <= plan.pods * plan.hostsPerPod && plan.racks > 0)
                _ = plan.marginBasisPoints
            }
        }
        #expect(planned > 1_000)
    }

    /// The nearest of a number that may not be is one that may.
    @Test func theNearestNumberIsAccepted() throws {
        let cases: [(WritableKeyPath<PodPlanInput, Int64>, Int64)] = [
            (\.filling.packing, 0), (\.filling.spare, 1_000), (\.costs.host, -1), (\.costs.staffPerPod, 1 << 50), (\.demand.instances, 0),
            (\.network.uplinksPerSwitch, 48), (\.host.watts, 0), (\.host.diskMiB, -1), (\.floor.racks, 1 << 40), (\.floor.pue, 999),
            (\.lot.price, -5),
        ]
        for (field, wrong) in cases {
            var input = Self.input
            input[keyPath: field] = wrong
            let refusal = #expect(throws: Refusal.self) { try PodPlan(input) }
            #expect(refusal?.rule == "plan.number")
            input[keyPath: field] = try #require(refusal?.nearest.flatMap { Int64($0) }, "\(String(describing: refusal))")
            do throws(Refusal) { _ = try PodPlan(input) } catch { #expect(error.rule != "plan.number", "\(error)") }
        }
    }
}
