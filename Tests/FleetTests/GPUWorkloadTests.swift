import Fleet
import Primitives
import Testing

@Suite struct GPUWorkloadTests {
    @Test(arguments: UInt64(1)...40) func fragmentationIsThatOfTheDefinition(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let counted = GPUNaive.workload(&random)
        let workload = GPUWorkload(counted)
        for _ in 0..<60 {
            let machine = GPUNaive.machine(&random)
            let access = workload.access(to: machine.model)
            #expect(workload.fragmentation(of: machine.room, access: access) == GPUNaive.fragmentation(machine, counted))
        }
    }

    @Test(arguments: UInt64(1)...40) func usabilityCountsWhatCanBePutOneByOne(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let counted = GPUNaive.workload(&random)
        let workload = GPUWorkload(counted)
        for _ in 0..<60 {
            let machine = GPUNaive.machine(&random)
            let access = workload.access(to: machine.model)
            #expect(workload.usability(of: machine.room, access: access) == GPUNaive.usability(machine, counted))
        }
    }

    /// What a placement changes is what both measures say before and after, and no other GPU would have been better.
    @Test(arguments: UInt64(1)...40) func changesAreThoseOfMeasuringAgain(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let workload = GPUWorkload(GPUNaive.workload(&random))
        for _ in 0..<60 {
            let machine = GPUNaive.machine(&random)
            let shape = GPUNaive.shape(&random)
            let (room, access) = (machine.room, workload.access(to: machine.model))
            guard room.fits(shape) else { continue }
            let (fragmentation, usability) = (
                workload.fragmentation(of: room, access: access), workload.usability(of: room, access: access)
            )
            let fall = workload.fragmentationFall(placing: shape, in: room, before: fragmentation, access: access)
            let loss = workload.usabilityLoss(placing: .init(shape), in: room, before: usability, access: access)
            let choices = Self.choices(shape, room)
            let after = choices.map { bits in
                var left = room
                left.take(shape, gpus: bits)
                return (bits: bits, left: left)
            }
            let falls = after.map { fragmentation - workload.fragmentation(of: $0.left, access: access) }
            let losses = after.map { usability - workload.usability(of: $0.left, access: access) }
            #expect(fall.fall == falls.max() && fall.gpus == after[falls.firstIndex(of: fall.fall) ?? 0].bits)
            #expect(loss.loss == losses.min() && loss.gpus == after[losses.firstIndex(of: loss.loss) ?? 0].bits)
            #expect(loss.loss >= 0)
        }
    }

    /// Every GPU a share could go to; for others the first whole ones.
    private static func choices(_ shape: GPUShape, _ room: GPURoom) -> [UInt16] {
        guard shape.isShare else { return [room.wholeGPUBits(shape.gpus)] }
        return (0..<16).filter { Int64(room.gpus[$0]) >= shape.milliEach }.map { 1 << UInt16($0) }
    }

    @Test func theExampleOfTheMeasure() {
        // Two GPUs, 300 and 1,000 thousandths free, 8 processors. Of four instances two want half a GPU, one wants a whole one with 16
        // processors, one wants none.
        let room = GPURoom(milliCPU: 8_000, memoryMiB: 0, gpus: SIMD16(300, 1_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        let workload = GPUWorkload([
            (GPUShape(milliCPU: 4_000, gpus: 1, milliEach: 500), 2), (GPUShape(milliCPU: 16_000, gpus: 1), 1),
            (GPUShape(milliCPU: 4_000, gpus: 0), 1),
        ])
        #expect(workload.fragmentation(of: room) == 2 * 300 + 1_300 + 1_300)
        #expect(workload.usability(of: room) == 2 * 2)
    }

    @Test func theTypicalShapesAreTheCommonestThatMakeUpNineteenOfTwenty() {
        let arrivals = [(18, 1_000), (1, 2_000), (1, 3_000)].flatMap { count, cpu in
            Array(repeating: GPUShape(milliCPU: Int64(cpu), gpus: 1), count: count)
        }
        let workload = GPUWorkload(typicalOf: arrivals)
        // 18 of 20 are not enough; of the two that came once the larger goes first.
        #expect(workload.shapes.map(\.milliCPU) == [1_000, 3_000])
        #expect(workload.weights == [18, 1])
        #expect(workload.totalWeight == 19)
    }

    @Test func nothingIsMeasuredByNothing() {
        let workload = GPUWorkload(typicalOf: [])
        let room = GPURoom(milliCPU: 8_000, memoryMiB: 8_000, gpuCount: 2)
        #expect(workload.fragmentation(of: room) == 0)
        #expect(workload.usability(of: room) == 0)
        #expect(workload.usabilityLoss(placing: .init(milliCPU: 1, memoryMiB: 1, gpus: 1, milliEach: 10), in: room, before: 0).gpus == 1)
    }

    @Test func moreShapesThanAreToldApartLoseTheRarest() {
        let counted = (1...80).map { (shape: GPUShape(milliCPU: Int64($0) * 1_000, gpus: 1), count: Int64($0)) }
        let workload = GPUWorkload(counted)
        #expect(workload.shapes.count == GPUWorkload.mostShapes)
        #expect(workload.weights.min() == 17)
    }
}
