package import CloudAPI
import Dispatch
import Foundation
import Glibc
package import Primitives

/// What the kernel tells of this host: NUMA cells, disks, controllers, GPUs and network interfaces with their firmware, as far as each of
/// them says. Nothing but files is read, below a folder that is `/` but in tests.
package struct HardwareInventory: Sendable {
    private let root: String

    package init(root: String = "/") { self.root = root.hasSuffix("/") ? root : root + "/" }

    /// Reads on a thread of its own: a disk that hangs must not hold the others up.
    func readAside() async -> HostInventoryView {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: read()) }
        }
    }

    package func read() -> HostInventoryView {
        let product = [text("sys/class/dmi/id/sys_vendor"), text("sys/class/dmi/id/product_name")].compactMap { $0 }
        return HostInventoryView(
            product: product.isEmpty ? "unknown" : product.joined(separator: " "), serial: text("sys/class/dmi/id/product_serial"),
            bios: text("sys/class/dmi/id/bios_version"), cells: cells, devices: gpus + disks + controllers + interfaces)
    }

    // MARK: Files

    private func text(_ path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: root + path) else { return nil }
        let text = String(decoding: data.prefix(65_536), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? nil : text
    }

    private func number(_ path: String) -> Int64? { text(path).flatMap { Int64($0) } }

    private func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: root + folder))?.sorted() ?? []
    }

    /// The last part of where a link leads.
    private func link(_ path: String) -> String? {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: root + path)).map { ($0 as NSString).lastPathComponent }
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + path) }

    /// -1 stands for no cell.
    private func cell(_ paths: String...) -> Int64? { paths.lazy.compactMap { number($0) }.first.flatMap { $0 >= 0 ? $0 : nil } }

    // MARK: Processors and memory

    private var cells: [CellView] {
        let folder = "sys/devices/system/node"
        let found = names(in: folder).compactMap { name -> CellView? in
            guard name.hasPrefix("node"), let number = Int64(name.dropFirst(4)) else { return nil }
            return CellView(
                cell: number, cpus: Self.count(inList: text("\(folder)/\(name)/cpulist") ?? ""),
                memoryMiB: Self.memory(in: text("\(folder)/\(name)/meminfo") ?? "") ?? 0)
        }
        if !found.isEmpty { return found.sorted { $0.cell < $1.cell } }
        // A kernel without NUMA: all is one.
        let processors = (text("proc/cpuinfo") ?? "").split(separator: "\n").count { $0.hasPrefix("processor") }
        return [CellView(cell: 0, cpus: Int64(processors), memoryMiB: Self.memory(in: text("proc/meminfo") ?? "") ?? 0)]
    }

    /// The cell at a place in the order of those told of; nil: there is none.
    package func cell(at place: Int64) -> (number: Int64, processors: String)? {
        let cells = cells
        guard cells.indices.contains(Int(place)) else { return nil }
        let number = cells[Int(place)].cell
        return text("sys/devices/system/node/node\(number)/cpulist").map { (number, $0) }
    }

    /// PCI addresses of GPUs by their places, ready to be handed to a machine.
    package func gpus(at places: [Int64]) throws(Refusal) -> [String] {
        let placed = read().placedGPUs
        var addresses: [String] = []
        for place in places {
            guard placed.indices.contains(Int(place)) else {
                throw Refusal(
                    "node.gpu", .unavailable, "This host has \(placed.count) GPUs, and none at place \(place).",
                    facts: ["gpus": .number(Int64(placed.count)), "place": .number(place)],
                    nearest: "a new hello of this node, by a restart, when its hardware has changed")
            }
            let address = placed[Int(place)].name
            let driver = link("sys/bus/pci/devices/\(address)/driver") ?? "no driver"
            guard driver == "vfio-pci" else {
                throw Refusal(
                    "node.gpu", .unavailable, "GPU \(address) is with \(driver); a machine can have it when it is with vfio-pci.",
                    facts: ["device": .text(address), "driver": .text(driver)], nearest: "driverctl set-override \(address) vfio-pci")
            }
            addresses.append(address)
        }
        return addresses
    }

    /// How many processors a list such as `0-15,32-47` names.
    static func count(inList list: String) -> Int64 {
        list.split(separator: ",").reduce(0) { total, part in
            let ends = part.split(separator: "-").compactMap { Int64($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { return total }
            return total + last - first + 1
        }
    }

    /// `Node 0 MemTotal:       65801332 kB`, or the same without the node.
    static func memory(in text: String) -> Int64? {
        let line = text.split(separator: "\n").first { $0.contains("MemTotal:") }
        return line?.split(separator: " ").compactMap { Int64($0) }.last.map { $0 / 1_024 }
    }

    // MARK: Disks and controllers

    /// Block devices that are no hardware of their own.
    private static let virtualDisks = ["loop", "ram", "zram", "dm-", "md", "sr", "nbd", "fd"]

    private var disks: [DeviceView] {
        names(in: "sys/block").filter { name in !Self.virtualDisks.contains { name.hasPrefix($0) } }.map { name in
            let device = "sys/block/\(name)/device"
            return DeviceView(
                kind: .disk, name: name, model: text("\(device)/model") ?? link("\(device)/driver") ?? "unknown",
                firmware: text("\(device)/firmware_rev") ?? text("\(device)/rev"),
                cell: cell("\(device)/numa_node", "\(device)/device/numa_node"),
                // The kernel counts in sectors of 512 bytes, whatever the disk's own are.
                size: number("sys/block/\(name)/size").map { $0 / 2_048 })
        }
    }

    /// Host bus adapters that tell their firmware; an NVMe disk is its own controller.
    private var controllers: [DeviceView] {
        names(in: "sys/class/scsi_host").compactMap { name in
            let folder = "sys/class/scsi_host/\(name)"
            guard let firmware = text("\(folder)/version_fw") else { return nil }
            let model = text("\(folder)/board_name") ?? text("\(folder)/proc_name") ?? "unknown"
            return DeviceView(kind: .controller, name: name, model: model, firmware: firmware, cell: cell("\(folder)/device/numa_node"))
        }
    }

    // MARK: GPUs and network interfaces

    /// PCI display and 3D controllers (class 03) of makers whose GPUs compute: NVIDIA, AMD.
    private var gpus: [DeviceView] {
        names(in: "sys/bus/pci/devices").compactMap { address in
            let folder = "sys/bus/pci/devices/\(address)"
            guard text("\(folder)/class")?.hasPrefix("0x03") == true, let maker = text("\(folder)/vendor"),
                maker == "0x10de" || maker == "0x1002"
            else { return nil }
            let driver = information(ofGPU: address)
            return DeviceView(
                kind: .gpu, name: address, model: driver["Model"] ?? pciID(folder) ?? "unknown",
                firmware: driver["GPU Firmware"] ?? text("\(folder)/vbios_version"), cell: cell("\(folder)/numa_node"),
                size: number("\(folder)/mem_info_vram_total").map { $0 >> 20 })
        }
    }

    /// `Model: \t\t NVIDIA L40S`, line by line.
    private func information(ofGPU address: String) -> [String: String] {
        let lines = (text("proc/driver/nvidia/gpus/\(address)/information") ?? "").split(separator: "\n")
        let pairs = lines.compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
        }
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }

    private var interfaces: [DeviceView] {
        names(in: "sys/class/net").filter { exists("sys/class/net/\($0)/device") }.map { name in
            let folder = "sys/class/net/\(name)"
            let model = [link("\(folder)/device/driver"), pciID("\(folder)/device")].compactMap { $0 }
            return DeviceView(
                kind: .nic, name: name, model: model.isEmpty ? "unknown" : model.joined(separator: " "),
                firmware: text("\(folder)/device/fw_version") ?? (root == "/" ? InterfaceFirmware.version(of: name) : nil),
                cell: cell("\(folder)/device/numa_node"), size: number("\(folder)/speed").flatMap { $0 > 0 ? $0 : nil })
        }
    }

    /// `8086:1592`
    private func pciID(_ folder: String) -> String? {
        guard let maker = text("\(folder)/vendor"), let device = text("\(folder)/device") else { return nil }
        return "\(maker.dropFirst(2)):\(device.dropFirst(2))"
    }
}

/// The firmware of a network interface is in no file; its driver tells it when asked (`ETHTOOL_GDRVINFO`, linux/ethtool.h).
private enum InterfaceFirmware {
    private static let request: UInt = 0x8946
    private static let driverInformation: UInt32 = 3
    /// `struct ethtool_drvinfo`: the command, then driver, version and firmware of 32 bytes each, and more.
    private static let length = 196
    private static let firmware = 68..<100

    static func version(of interface: String) -> String? {
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard socket >= 0, interface.utf8.count < 16 else { return nil }
        defer { close(socket) }
        var answer = [UInt8](repeating: 0, count: length)
        withUnsafeBytes(of: driverInformation) { answer.replaceSubrange(0..<4, with: $0) }
        let isAnswered = answer.withUnsafeMutableBytes { information -> Bool in
            // `struct ifreq`: the name in 16 bytes, then a pointer, 40 bytes in all.
            withUnsafeTemporaryAllocation(byteCount: 40, alignment: 8) { query in
                query.initializeMemory(as: UInt8.self, repeating: 0)
                for (offset, byte) in interface.utf8.enumerated() { query[offset] = byte }
                query.storeBytes(of: information.baseAddress, toByteOffset: 16, as: UnsafeMutableRawPointer?.self)
                return query.baseAddress.map { ioctl(socket, request, $0) == 0 } ?? false
            }
        }
        guard isAnswered else { return nil }
        let text = String(decoding: answer[firmware].prefix { $0 != 0 }, as: UTF8.self).trimmingCharacters(in: .whitespaces)
        return text.isEmpty || text == "N/A" ? nil : text
    }
}
