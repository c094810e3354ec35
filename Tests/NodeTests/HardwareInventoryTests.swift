import CloudAPI
import Foundation
import Node
import Primitives
import TestSupport
import Testing

/// The inventory of a host that is laid out in a folder, as its kernel would.
@Suite struct HardwareInventoryTests {
    private static let files = [
        "sys/class/dmi/id/sys_vendor": "Dell Inc.\n", "sys/class/dmi/id/product_name": "PowerEdge R7625\n",
        "sys/class/dmi/id/product_serial": "ABC123\n", "sys/class/dmi/id/bios_version": "1.8.3\n",
        "sys/devices/system/node/node0/cpulist": "0-15,32-47\n",
        "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       131072000 kB\nNode 0 MemFree: 1 kB\n",
        "sys/devices/system/node/node1/cpulist": "16-31,48-63\n",
        "sys/devices/system/node/node1/meminfo": "Node 1 MemTotal:       131072000 kB\n", "sys/devices/system/node/online": "0-1\n",
        "sys/block/nvme0n1/size": "7501476528\n", "sys/block/nvme0n1/device/model": "SAMSUNG MZQL23T8HCLS   \n",
        "sys/block/nvme0n1/device/firmware_rev": "GDC5902Q\n", "sys/block/nvme0n1/device/numa_node": "1\n",
        "sys/block/sda/size": "1000215216\n", "sys/block/sda/device/model": "MTFDDAK480TDS\n", "sys/block/sda/device/rev": "J004\n",
        "sys/block/loop0/size": "8\n", "sys/block/dm-0/size": "8\n", "sys/class/scsi_host/host0/proc_name": "ahci\n",
        "sys/class/scsi_host/host1/version_fw": "24.15.14.00\n", "sys/class/scsi_host/host1/board_name": "HBA355i\n",
        "sys/class/net/lo/mtu": "65536\n", "sys/class/net/eth0/speed": "25000\n", "sys/class/net/eth0/device/vendor": "0x8086\n",
        "sys/class/net/eth0/device/device": "0x1592\n", "sys/class/net/eth0/device/numa_node": "-1\n",
        "sys/class/net/eth0/device/fw_version": "4.40\n", "sys/bus/pci/devices/0000:17:00.0/class": "0x030200\n",
        "sys/bus/pci/devices/0000:17:00.0/vendor": "0x10de\n", "sys/bus/pci/devices/0000:17:00.0/device": "0x26b9\n",
        "sys/bus/pci/devices/0000:17:00.0/numa_node": "0\n",
        "proc/driver/nvidia/gpus/0000:17:00.0/information": "Model: \t\t NVIDIA L40S\nGPU Firmware: \t 550.54.15\n",
        "sys/bus/pci/devices/0000:03:00.0/class": "0x030000\n", "sys/bus/pci/devices/0000:03:00.0/vendor": "0x102b\n",
    ]

    private func inventory(of files: [String: String]) throws -> HostInventoryView { try withHost(files) { host, _ in host.read() } }

    private func withHost<Value>(_ files: [String: String], _ body: (HardwareInventory, _ folder: String) throws -> Value) throws -> Value {
        let folder = try TemporaryDirectory("hardware")
        defer { withExtendedLifetime(folder) {} }
        for (path, text) in files {
            let file = URL(fileURLWithPath: folder.path + "/" + path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        return try body(HardwareInventory(root: folder.path), folder.path)
    }

    @Test func cellsAndGPUsAreFoundByTheirPlace() throws {
        try withHost(Self.files) { host, folder in
            let second = try #require(host.cell(at: 1))
            #expect(second.number == 1 && second.processors == "16-31,48-63")
            #expect(host.cell(at: 2) == nil)
            #expect(refusal { _ = try host.gpus(at: [1]) }?.facts["gpus"] == .number(1))
            let unready = refusal { _ = try host.gpus(at: [0]) }
            #expect(unready?.facts["driver"] == .text("no driver") && unready?.nearest?.contains("0000:17:00.0") == true)
            let device = folder + "/sys/bus/pci/devices/0000:17:00.0/driver"
            try FileManager.default.createSymbolicLink(atPath: device, withDestinationPath: "../../../bus/pci/drivers/vfio-pci")
            #expect(try host.gpus(at: [0]) == ["0000:17:00.0"])
        }
    }

    private func refusal(_ body: () throws -> Void) -> Refusal? {
        do {
            try body()
            return nil
        } catch { return error as? Refusal }
    }

    @Test func everythingIsFound() throws {
        let found = try inventory(of: Self.files)
        #expect(found.product == "Dell Inc. PowerEdge R7625" && found.serial == "ABC123" && found.bios == "1.8.3")
        #expect(found.cells == [CellView(cell: 0, cpus: 32, memoryMiB: 128_000), CellView(cell: 1, cpus: 32, memoryMiB: 128_000)])
        #expect(
            found.devices == [
                DeviceView(kind: .gpu, name: "0000:17:00.0", model: "NVIDIA L40S", firmware: "550.54.15", cell: 0),
                DeviceView(kind: .disk, name: "nvme0n1", model: "SAMSUNG MZQL23T8HCLS", firmware: "GDC5902Q", cell: 1, size: 3_662_830),
                DeviceView(kind: .disk, name: "sda", model: "MTFDDAK480TDS", firmware: "J004", size: 488_386),
                DeviceView(kind: .controller, name: "host1", model: "HBA355i", firmware: "24.15.14.00"),
                DeviceView(kind: .nic, name: "eth0", model: "8086:1592", firmware: "4.40", size: 25_000),
            ])
    }

    @Test func aKernelWithoutNUMAIsOneCell() throws {
        let found = try inventory(of: [
            "proc/cpuinfo": "processor\t: 0\nmodel name : x\n\nprocessor\t: 1\n", "proc/meminfo": "MemTotal:       2048000 kB\n",
        ])
        #expect(found.cells == [CellView(cell: 0, cpus: 2, memoryMiB: 2_000)])
        #expect(found.product == "unknown" && found.serial == nil && found.devices.isEmpty)
    }

    @Test func thisHostHasProcessorsAndMemory() {
        let found = HardwareInventory().read()
        #expect(found.cells.map(\.cpus).reduce(0, +) > 0 && found.cells.map(\.memoryMiB).reduce(0, +) > 0)
        #expect(Set(found.devices.map { "\($0.kind) \($0.name)" }).count == found.devices.count)
    }
}
