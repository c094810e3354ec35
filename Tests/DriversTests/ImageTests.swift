import Drivers
import Foundation
import Primitives
import Synchronization
import Testing

/// A source that can break off, lie and count.
private final class TestSource: ImageSource {
    struct Broken: Error {}
    let bytes: [UInt8]
    let breaksAfter: Mutex<Int?>
    let requests = Mutex<[Int64]>([])

    init(_ bytes: [UInt8], breaksAfter: Int? = nil) {
        self.bytes = bytes
        self.breaksAfter = Mutex(breaksAfter)
    }

    func read(sha256: String, from offset: Int64, _ consume: (Data) async throws -> Void) async throws {
        requests.withLock { $0.append(offset) }
        let end = breaksAfter.withLock { $0 } ?? bytes.count
        var position = Int(offset)
        while position < end {
            let next = min(end, position + 1_000)
            try await consume(Data(bytes[position..<next]))
            position = next
        }
        if end < bytes.count { throw Broken() }
    }
}

@Suite struct ImageTests {
    private static let content = (0..<10_500).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    @Test func fetchesOnceAndVerifies() async throws {
        try await Lab.with { lab in
            let store = try LocalImageStore(directory: lab.directory + "/images", reserveMiB: 1)
            let source = TestSource(Self.content)
            let name = try await hash(lab)
            #expect(await store.path(sha256: name) == nil)
            async let first = store.ensure(sha256: name, bytes: 10_500, from: source)
            async let second = store.ensure(sha256: name, bytes: 10_500, from: source)
            let paths = try await [first, second]
            #expect(paths[0] == paths[1] && source.requests.withLock { $0 } == [0], "asked for twice at once, fetched once")
            #expect(FileManager.default.contents(atPath: paths[0]).map { Array($0) } == Self.content)
            #expect(await store.path(sha256: name) == paths[0])
            #expect(try await store.contents() == [name])
            #expect(try await lab.shell("stat -c %a \(paths[0])") == "444\n")
        }
    }

    @Test func goesOnWhereItStopped() async throws {
        try await Lab.with { lab in
            let store = try LocalImageStore(directory: lab.directory + "/images", reserveMiB: 1)
            let name = try await hash(lab)
            let source = TestSource(Self.content, breaksAfter: 4_200)
            #expect(await refusal { try await store.ensure(sha256: name, bytes: 10_500, from: source) }?.rule == "image.fetch")
            #expect(try await store.contents().isEmpty, "half a file is no file")
            source.breaksAfter.withLock { $0 = nil }
            // Another store, as after a restart.
            let later = try LocalImageStore(directory: lab.directory + "/images", reserveMiB: 1)
            let path = try await later.ensure(sha256: name, bytes: 10_500, from: source)
            #expect(source.requests.withLock { $0 } == [0, 4_200])
            #expect(FileManager.default.contents(atPath: path).map { Array($0) } == Self.content)
        }
    }

    /// One of them hears something else: what the others have fetched stays whole.
    @Test func hostsThatShareAFolderFetchForThemselves() async throws {
        try await Lab.with { lab in
            let directory = lab.directory + "/images"
            let name = try await hash(lab)
            let stores = try (1...4).map { try LocalImageStore(directory: directory, writer: "host \($0)", reserveMiB: 1) }
            var wrong = Self.content
            wrong[77] ^= 1
            let sources = stores.indices.map { $0 == 0 ? TestSource(wrong) : TestSource(Self.content) }
            await withTaskGroup { group in
                for (store, source) in zip(stores, sources) {
                    group.addTask { _ = try? await store.ensure(sha256: name, bytes: 10_500, from: source) }
                }
                await group.waitForAll()
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [name], "nothing half fetched is left")
            #expect(FileManager.default.contents(atPath: "\(directory)/\(name)").map { Array($0) } == Self.content)
        }
    }

    @Test func wrongContentIsThrownAway() async throws {
        try await Lab.with { lab in
            let store = try LocalImageStore(directory: lab.directory + "/images", reserveMiB: 1)
            let name = try await hash(lab)
            var wrong = Self.content
            wrong[77] ^= 1
            for source in [TestSource(wrong), TestSource(Self.content + [1])] {
                let refused = await refusal { try await store.ensure(sha256: name, bytes: 10_500, from: source) }
                #expect(refused?.rule == "image.content")
                #expect(try await lab.shell("ls -A \(lab.directory)/images") == "")
            }
            for name in ["../../etc/passwd", "", String(repeating: "A", count: 64)] {
                #expect(await refusal { try await store.ensure(sha256: name, bytes: 1, from: TestSource([1])) }?.rule == "image.name")
            }
            _ = try await store.ensure(sha256: name, bytes: 10_500, from: TestSource(Self.content))
        }
    }

    @Test(.enabled(if: Lab.isRoot, "needs root")) func aFullDiskIsRefused() async throws {
        try await Lab.with { lab in
            let disk = try await lab.smallDisk(kilobytes: 64)
            try await lab.shell("dd if=/dev/zero of=\(disk)/fill bs=1k count=58 2>/dev/null")
            let store = try LocalImageStore(directory: disk + "/images", reserveMiB: 0)
            let name = try await hash(lab)
            let refused = await refusal { try await store.ensure(sha256: name, bytes: 10_500, from: TestSource(Self.content)) }
            #expect(refused?.rule == "storage.full" && refused?.category == .capacity)
            #expect(try await lab.shell("ls -A \(disk)/images") == "")
            try await lab.shell("rm \(disk)/fill")
            _ = try await store.ensure(sha256: name, bytes: 10_500, from: TestSource(Self.content))
        }
    }

    @Test func whatCarriesDisksStays() async throws {
        try await Lab.with { lab in
            let name = try await hash(lab)
            for store in [
                try LocalImageStore(directory: lab.directory + "/images", reserveMiB: 1), SimulatedImageStore(SimulatedBehaviour(seed: 1)),
            ]
                as [any ImageStore]
            {
                let path = try await store.ensure(sha256: name, bytes: 10_500, from: TestSource(Self.content))
                let storage = SimulatedStorage(SimulatedBehaviour(seed: 1))
                try await storage.ensureClone(
                    of: GoldenImage(sha256: name, path: path, virtualSizeMiB: 64), virtualSizeMiB: 64, for: instance(1))
                #expect(await refusal { try await store.ensureRemoved(sha256: name, unlessUsedIn: storage) }?.rule == "image.used")
                #expect(await store.path(sha256: name) == path)
                try await storage.ensureDeleted(instance(1))
                for _ in 0..<2 { try await store.ensureRemoved(sha256: name, unlessUsedIn: storage) }
                #expect(await store.path(sha256: name) == nil)
            }
        }
    }

    /// By a program that has nothing to do with ours.
    private func hash(_ lab: Lab) async throws -> String {
        let path = lab.directory + "/content"
        try Data(Self.content).write(to: URL(filePath: path))
        return String(try await lab.shell("sha256sum \(path)").prefix(64))
    }
}
