import Fleet
import Primitives
import Testing

@Suite struct TopologySizeTests {
    @Test func whatNoNumberHoldsIsPromisedAsTheMostThereIs() {
        let much = Oversubscription(cpu: .max, memory: .max, disk: .max)
        let promised = much.promised(of: Resources(milliCPU: .max, memoryMiB: 1 << 40, diskMiB: 1))
        #expect(promised.milliCPU == .max / 1_000 && promised.memoryMiB == .max / 1_000 && promised.diskMiB == .max / 1_000)
        #expect(
            Oversubscription(cpu: 4_000, memory: 1_500, disk: 1_000).promised(of: Resources(milliCPU: 1_000, memoryMiB: 3)).memoryMiB == 4)
    }
}
