import Fleet
import Testing

@Suite struct DriftTests {
    private let pod = Topology.Pod(
        name: "p1", zone: "z1", kind: .virtual, storage: .das, oversubscription: .init(cpu: 1_000, memory: 1_000, disk: 1_000),
        profile: HardwareProfile(name: "r7", milliCPU: 64_000, memoryMiB: 262_144, gpus: 1, cells: 2, disks: 2, nics: 1),
        baseline: Baseline(product: "R7625", bios: "1.8.3", firmware: ["PM9A3": "GDC5902Q", "X710": "9.20"]))

    private let host = HostInventory(
        product: "R7625", bios: "1.8.3",
        cells: [.init(cell: 0, cpus: 32, memoryMiB: 128_500), .init(cell: 1, cpus: 32, memoryMiB: 128_900)],
        devices: [
            .init(kind: .gpu, name: "gpu0", model: "L40S"), .init(kind: .disk, name: "nvme0", model: "PM9A3", firmware: "GDC5902Q"),
            .init(kind: .disk, name: "nvme1", model: "PM9A3", firmware: "GDC5902Q"),
            .init(kind: .nic, name: "eth0", model: "X710", firmware: "9.20"),
        ])

    @Test func aHostAsItShouldBeHasNone() { #expect(pod.drift(of: host) == []) }

    @Test func everyDifferenceIsNamed() {
        var other = host
        other.bios = "1.7.0"
        other.devices[2].firmware = "GDC5702Q"
        other.devices[3].firmware = nil
        other.devices.remove(at: 0)
        other.cells.removeLast()
        #expect(
            pod.drift(of: other) == [
                Drift(what: "bios", expected: "1.8.3", found: "1.7.0"), Drift(what: "milliCPU", expected: "64000", found: "32000"),
                Drift(what: "cells", expected: "2", found: "1"), Drift(what: "gpus", expected: "1", found: "0"),
                Drift(what: "memoryMiB", expected: "262144", found: "128500"),
                Drift(what: "firmware of nvme1 (PM9A3)", expected: "GDC5902Q", found: "GDC5702Q"),
                Drift(what: "firmware of eth0 (X710)", expected: "9.20", found: "unknown"),
            ])
    }

    @Test func memoryMayBeALittleLess() {
        var other = host
        other.cells[0].memoryMiB = 249_036 - other.cells[1].memoryMiB
        #expect(pod.drift(of: other).map(\.what) == ["memoryMiB"], "under 95 %")
        other.cells[0].memoryMiB += 1
        #expect(pod.drift(of: other) == [])
    }

    /// A node may tell any number.
    @Test(arguments: [Int64.max, 1 << 53, .min]) func noNumberIsTooLarge(_ number: Int64) {
        var other = host
        other.cells = (0..<20).map { HostInventory.Cell(cell: $0, cpus: number, memoryMiB: number) }
        let drift = pod.drift(of: other)
        #expect(drift.map(\.what) == ["milliCPU", "cells", "memoryMiB"])
        #expect(drift[0].found == "\(number < 0 ? Int64.min : .max)")
    }
}
