import Drivers
import Foundation
import Primitives
import Testing

private let hash = String(repeating: "a", count: 64)

/// What every storage driver does. `use` says that a machine has its disk open, or no longer.
private func checkStorageContract(_ storage: any RuntimeStorage, _ image: GoldenImage, use: (InstanceID, String, Bool) async throws -> Void)
    async throws
{
    let (one, two) = (instance(1), instance(2))
    #expect(try await storage.disks().isEmpty)
    let small = await refusal { try await storage.ensureClone(of: image, virtualSizeMiB: image.virtualSizeMiB - 1, for: one) }
    #expect(small?.rule == "storage.size" && small?.nearest == "\(image.virtualSizeMiB) MiB")
    #expect(try await storage.disks().isEmpty, "a refusal changes nothing")

    let path = try await storage.ensureClone(of: image, virtualSizeMiB: 100, for: one)
    #expect(try await storage.ensureClone(of: image, virtualSizeMiB: 100, for: one) == path)
    #expect(try await storage.ensureClone(of: image, virtualSizeMiB: 100, for: two) != path)
    #expect(try await storage.disks().map(\.instance) == [one, two])
    #expect(try await storage.disks()[0].virtualSizeMiB == 100)
    #expect(try await storage.users(ofImage: image.sha256) == [one, two])
    #expect(try await storage.users(ofImage: String(repeating: "b", count: 64)).isEmpty)

    try await storage.ensureSize(one, virtualSizeMiB: 150)
    try await storage.ensureSize(one, virtualSizeMiB: 150)
    #expect(try await storage.disks()[0].virtualSizeMiB == 150)
    #expect(await refusal { try await storage.ensureSize(one, virtualSizeMiB: 149) }?.rule == "storage.shrink")
    #expect(await refusal { try await storage.ensureSize(instance(9), virtualSizeMiB: 149) }?.category == .notFound)

    try await use(one, path, true)
    #expect(await refusal { try await storage.ensureDeleted(one) }?.rule == "storage.used")
    #expect(await refusal { try await storage.ensureSize(one, virtualSizeMiB: 200) }?.rule == "storage.used")
    #expect(try await storage.disks().count == 2)
    try await use(one, path, false)
    for _ in 0..<2 { try await storage.ensureDeleted(one) }
    #expect(try await storage.users(ofImage: image.sha256) == [two])
    #expect(await storage.freeBytes() > 0)
}

/// What every storage driver does with volumes. `use` says that a machine has one open, or no longer.
private func checkVolumeContract(_ storage: any RuntimeStorage, use: (VolumeID, String, Bool) async throws -> Void) async throws {
    let (one, two) = (VolumeID(bits: 1), VolumeID(bits: 2))
    #expect(try await storage.volumes().isEmpty)
    #expect(try await storage.volume(one) == nil)
    #expect(await refusal { try await storage.ensureVolumeSize(one, sizeMiB: 9) }?.category == .notFound)
    for _ in 0..<2 { try await storage.ensureVolumeDeleted(one) }

    let made = try await storage.ensureVolume(one, sizeMiB: 64)
    #expect(made.sizeMiB == 64 && made.volume == one)
    #expect(try await storage.ensureVolume(one, sizeMiB: 128) == made, "what is there stays as it is")
    async let first = storage.ensureVolume(two, sizeMiB: 32)
    async let second = storage.ensureVolume(two, sizeMiB: 32)
    let twins = try await (first, second)
    #expect(twins.0 == twins.1 && twins.0.path != made.path)
    #expect(try await storage.volumes().map(\.volume) == [one, two])
    #expect(try await storage.disks().isEmpty, "a volume is no root disk")

    for _ in 0..<2 { try await storage.ensureVolumeSize(one, sizeMiB: 96) }
    #expect(try await storage.volume(one)?.sizeMiB == 96)
    #expect(await refusal { try await storage.ensureVolumeSize(one, sizeMiB: 95) }?.rule == "storage.shrink")

    try await use(one, made.path, true)
    #expect(await refusal { try await storage.ensureVolumeDeleted(one) }?.rule == "storage.used")
    #expect(await refusal { try await storage.ensureVolumeSize(one, sizeMiB: 200) }?.rule == "storage.used")
    try await storage.ensureVolumeSize(one, sizeMiB: 96)
    try await use(one, made.path, false)
    for _ in 0..<2 { try await storage.ensureVolumeDeleted(one) }
    #expect(try await storage.volumes().map(\.volume) == [two])
}

@Suite struct StorageTests {
    @Test func simulatedKeepsTheVolumeContract() async throws {
        let storage = SimulatedStorage(SimulatedBehaviour(seed: 1))
        try await checkVolumeContract(storage) { volume, _, used in storage.setUsed(volume, used) }
    }

    @Test func simulatedKeepsTheContract() async throws {
        let storage = SimulatedStorage(SimulatedBehaviour(seed: 1))
        try await checkStorageContract(storage, GoldenImage(sha256: hash, path: "/images/\(hash)", virtualSizeMiB: 64)) {
            instance, _, used in
            storage.setUsed(instance, used)
        }
    }

    @Test func simulatedStorageFillsUp() async throws {
        let storage = SimulatedStorage(SimulatedBehaviour(seed: 1), capacityMiB: 150)
        let image = GoldenImage(sha256: hash, path: "/images/\(hash)", virtualSizeMiB: 64)
        try await storage.ensureClone(of: image, virtualSizeMiB: 100, for: instance(1))
        #expect(await refusal { try await storage.ensureClone(of: image, virtualSizeMiB: 100, for: instance(2)) }?.rule == "storage.full")
        try await storage.ensureDeleted(instance(1))
        try await storage.ensureClone(of: image, virtualSizeMiB: 100, for: instance(2))
    }
}

@Suite(.serialized, .enabled(if: Lab.has("qemu-img"), "needs qemu-img")) struct LocalStorageTests {
    @Test func keepsTheContract() async throws {
        try await Lab.with { lab in
            let image = try await golden(lab)
            let storage = try LocalStorage(directory: lab.directory + "/storage", reserveMiB: 1)
            let locker = Locker()
            try await checkStorageContract(storage, image) { _, path, used in try await locker.lock(lab, path, used) }
            #expect(QCOW2Header.read(image.path)?.virtualBytes == 64 << 20, "the golden image is as it was")
        }
    }

    @Test func keepsTheVolumeContract() async throws {
        try await Lab.with { lab in
            let shared = lab.directory + "/shared"
            let storage = try LocalStorage(directory: lab.directory + "/storage", volumes: shared, reserveMiB: 1)
            let locker = Locker()
            try await checkVolumeContract(storage) { _, path, used in try await locker.lock(lab, path, used) }
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: shared) == ["\(VolumeID(bits: 2)).qcow2"], "nothing half made is left")
            let neighbour = try LocalStorage(directory: lab.directory + "/other", volumes: shared, reserveMiB: 1)
            #expect(try await neighbour.volume(VolumeID(bits: 2))?.sizeMiB == 32, "the hosts of a pod see the same volumes")
        }
    }

    @Test func hostsThatShareAFolderMakeTheSameAtOnce() async throws {
        try await Lab.with { lab in
            let image = try await golden(lab)
            let hosts = try (1...4).map { try LocalStorage(directory: lab.directory + "/shared", writer: "host \($0)", reserveMiB: 1) }
            try await withThrowingTaskGroup { group in
                for (number, host) in hosts.enumerated() {
                    group.addTask {
                        try await host.ensureClone(of: image, virtualSizeMiB: 128, for: InstanceID(bits: UInt64(number)))
                        _ = try await host.ensureVolume(VolumeID(bits: 1), sizeMiB: 16)
                    }
                }
                try await group.waitForAll()
            }
            let templates = try FileManager.default.contentsOfDirectory(atPath: lab.directory + "/shared/templates")
            #expect(templates == ["\(image.sha256)-128.qcow2"], "nothing half made is left")
            #expect(try FileManager.default.contentsOfDirectory(atPath: lab.directory + "/shared/disks").count == 4)
        }
    }

    @Test func refusesImagesThatReachOutside() async throws {
        try await Lab.with { lab in
            let storage = try LocalStorage(directory: lab.directory + "/storage", reserveMiB: 1)
            let backed = lab.directory + "/backed"
            try await lab.shell("qemu-img create -q -f qcow2 -F raw -b /etc/passwd -u \(backed) 64M")
            let external = lab.directory + "/external"
            try await lab.shell("qemu-img create -q -f qcow2 -o data_file=\(lab.directory)/raw \(external) 64M")
            let text = lab.directory + "/text"
            try Data("not an image, but long enough to have a header of 72 bytes, which is what it takes".utf8).write(
                to: URL(filePath: text))
            for path in [backed, external, text, lab.directory + "/nothing"] {
                let image = GoldenImage(sha256: hash, path: path, virtualSizeMiB: 64)
                #expect(
                    await refusal { try await storage.ensureClone(of: image, virtualSizeMiB: 64, for: instance(1)) }?.rule
                        == "storage.image",
                    "\(path)")
            }
            let larger = GoldenImage(sha256: hash, path: try await golden(lab).path, virtualSizeMiB: 10)
            #expect(
                await refusal { try await storage.ensureClone(of: larger, virtualSizeMiB: 10, for: instance(1)) }?.rule == "storage.image")
            #expect(try await storage.disks().isEmpty)
        }
    }

    @Test(.enabled(if: Lab.isRoot, "needs root")) func aFullDiskIsRefusedAndNothingIsLeftBehind() async throws {
        try await Lab.with { lab in
            let image = try await golden(lab)
            let disk = try await lab.smallDisk(kilobytes: 1_024)
            let storage = try LocalStorage(directory: disk, reserveMiB: 0)
            try await storage.ensureClone(of: image, virtualSizeMiB: 64, for: instance(1))
            try await lab.shell("dd if=/dev/zero of=\(disk)/fill bs=1k 2>/dev/null || true")
            let before = try await lab.shell("find \(disk) | sort")
            let refused = await refusal { try await storage.ensureClone(of: image, virtualSizeMiB: 64, for: instance(2)) }
            #expect(refused?.rule == "storage.full" && refused?.category == .capacity, "\(String(describing: refused))")
            #expect(
                await refusal { try await storage.ensureClone(of: image, virtualSizeMiB: 65, for: instance(3)) }?.rule == "storage.full")
            #expect(try await lab.shell("find \(disk) | sort") == before)
            try await lab.shell("rm \(disk)/fill")
            try await storage.ensureClone(of: image, virtualSizeMiB: 64, for: instance(2))

            let cautious = try LocalStorage(directory: disk, reserveMiB: 100)
            let reserved = await refusal { try await cautious.ensureClone(of: image, virtualSizeMiB: 64, for: instance(4)) }
            #expect(reserved?.rule == "storage.full" && reserved?.facts["reserveMiB"] == 100)
        }
    }

    private func golden(_ lab: Lab) async throws -> GoldenImage {
        let path = "\(lab.directory)/\(hash)"
        try await lab.shell("[ -e \(path) ] || qemu-img create -q -f qcow2 \(path) 64M")
        return GoldenImage(sha256: hash, path: path, virtualSizeMiB: 64)
    }

    /// Holds a disk open the way a machine does.
    private actor Locker {
        func lock(_ lab: Lab, _ path: String, _ used: Bool) async throws {
            let script =
                used
                ? "qemu-nbd -k \(lab.directory)/nbd.sock -f qcow2 --fork --pid-file=\(lab.directory)/nbd.pid \(path) >/dev/null 2>&1"
                // It loses a signal that comes while it starts.
                : "p=$(cat \(lab.directory)/nbd.pid); while kill $p 2>/dev/null; do sleep 0.05; done"
            try await lab.shell(script)
        }
    }
}

@Suite struct QCOW2HeaderTests {
    private func header(version: UInt8 = 3, size: UInt8 = 1, backingAt: UInt8 = 0, backingLength: UInt8 = 0, features: UInt8 = 0) -> [UInt8]
    {
        var bytes = [UInt8](repeating: 0, count: 128)
        bytes.replaceSubrange(0..<4, with: [0x51, 0x46, 0x49, 0xfb])
        (bytes[7], bytes[15], bytes[19], bytes[29], bytes[79]) = (version, backingAt, backingLength, size, features)
        return bytes
    }

    @Test func readsWhatMatters() throws {
        let plain = try #require(QCOW2Header(header()))
        #expect(plain.virtualBytes == 1 << 16 && plain.backingFile == nil && !plain.hasExternalDataFile)
        var backed = header(backingAt: 104, backingLength: 4)
        backed.replaceSubrange(104..<108, with: Array("/a/b".utf8))
        #expect(QCOW2Header(backed)?.backingFile == "/a/b")
        #expect(QCOW2Header(header(features: 4))?.hasExternalDataFile == true)
    }

    @Test func nonsenseIsNoHeader() {
        #expect(QCOW2Header(header(version: 9)) == nil)
        #expect(QCOW2Header(header(backingAt: 127, backingLength: 200)) == nil)
        #expect(QCOW2Header(Array(header().prefix(71))) == nil)
        #expect(QCOW2Header([]) == nil)
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<2_000 {
            var bytes = header()
            for _ in 0..<8 { bytes[Int.random(in: 0..<128, using: &generator)] = UInt8.random(in: 0...255, using: &generator) }
            _ = QCOW2Header(bytes)
        }
    }
}
