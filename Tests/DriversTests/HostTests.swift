import Drivers
import Foundation
import Primitives
import Synchronization
import Testing

@Suite struct HostTests {
    @Test func commandsHaveADeadline() async throws {
        let runner = CommandRunner(namespace: nil)
        let refused = await refusal { try await runner.run("sleep", ["30"], deadline: .milliseconds(200)) }
        #expect(refused?.rule == "host.command")
    }

    @Test func commandsSayWhatFailed() async throws {
        let runner = CommandRunner(namespace: nil)
        #expect(try await runner.require("cat", ["-"], input: "through") == "through")
        let refused = await refusal { try await runner.require("sh", ["-c", "echo because >&2; exit 3"]) }
        #expect(refused?.message == "sh failed: because")
        #expect(await refusal { try await runner.run("no-such-program", []) }?.rule == "host.missing")
    }

    @Test func oneAtATimePerKey() async {
        let lock = KeyedLock<Int>()
        let counter = Counter()
        await withTaskGroup { group in
            for number in 0..<200 {
                group.addTask {
                    await lock.withLock(number % 3) {
                        counter.enter(number % 3)
                        await Task.yield()
                        counter.leave(number % 3)
                    }
                }
            }
        }
        #expect(counter.most == 1)
    }

    private final class Counter: Sendable {
        private let inside = Mutex<(now: [Int: Int], most: Int)>(([:], 0))
        var most: Int { inside.withLock { $0.most } }
        func enter(_ key: Int) {
            inside.withLock { inside in
                inside.now[key, default: 0] += 1
                inside.most = max(inside.most, inside.now[key, default: 0])
            }
        }
        func leave(_ key: Int) { inside.withLock { $0.now[key, default: 0] -= 1 } }
    }

    /// A command may end, or be ended, before it has read all that it is given.
    @Test func aCommandThatDoesNotReadItsInputHurtsNobody() async throws {
        let runner = CommandRunner(namespace: nil)
        let long = String(repeating: "add element\n", count: 100_000)
        let read = try await runner.require("wc", ["-c"], input: long)
        #expect(read.contains("1200000"))
        for _ in 1...20 {
            let refused = await refusal { try await runner.run("sh", ["-c", "exec <&-; exit 0"], input: long) }
            #expect(refused?.rule == "host.command" && refused?.message.contains("of 1200000 bytes of its input") == true)
            let failed = try await runner.run("sh", ["-c", "exec <&-; echo no >&2; exit 3"], input: long)
            #expect(!failed.succeeded && failed.complaint.contains("no"))
            let late = await refusal { try await runner.run("sleep", ["30"], input: long, deadline: .milliseconds(5)) }
            #expect(late?.rule == "host.command")
            let cancelled = Task { await refusal { try await runner.require("sleep", ["30"], input: long, deadline: .seconds(30)) } }
            try await Task.sleep(for: .milliseconds(5))
            cancelled.cancel()
            #expect(await cancelled.value?.rule == "host.command")
        }
    }

    @Test func aDirectoryIsClaimedOnce() async throws {
        try await Lab.with { lab in
            do {
                let claim = try DirectoryClaim(lab.directory)
                #expect(await refusal { try DirectoryClaim(lab.directory) }?.category == .conflict)
                withExtendedLifetime(claim) {}
            }
            _ = try DirectoryClaim(lab.directory)
        }
    }

    @Test func consoleStaysBoundedAndItsEndIsKept() async throws {
        try await Lab.with { lab in
            let log = ConsoleLog(current: lab.directory + "/console.log", older: lab.directory + "/console.old")
            #expect(log.tail(10).isEmpty)
            // A writer that keeps the file open for appending, as QEMU does.
            let descriptor = open(log.current, O_WRONLY | O_APPEND | O_CREAT, 0o600)
            let writer = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            var written: [UInt8] = []
            for line in 0..<60_000 {
                let text = Array("line \(line) of a talkative guest\n".utf8)
                written += text
                writer.write(Data(text))
                if line % 5_000 == 0 { try log.rotate() }
                if line % 7_001 == 0 { #expect(log.tail(65_536) == Array(written.suffix(65_536))) }
            }
            try log.rotate()
            let sizes = try await lab.shell("stat -c %s \(log.current) \(log.older)").split(separator: "\n").compactMap { Int($0) }
            #expect(sizes.allSatisfy { $0 <= ConsoleLog.largestFile })
            #expect(log.tail(65_536) == Array(written.suffix(65_536)))
        }
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        ("10.77.0.1", true), ("0.0.0.0", true), ("255.255.255.255", true), ("256.1.1.1", false), ("1.2.3", false), ("1.2.3.4.5", false),
        ("01.2.3.4", false), ("1.2.3.4 ", false), ("", false), ("a.b.c.d", false), ("1..2.3", false), ("+1.2.3.4", false),
    ]) func addresses(text: String, valid: Bool) {
        #expect(IPv4Address(text)?.description == (valid ? text : nil))
    }

    @Test func prefixes() throws {
        let network = try #require(IPv4Prefix("10.77.0.1/16"))
        #expect(network.network.description == "10.77.0.0" && network.mask.description == "255.255.0.0")
        let table = [("10.77.0.0", false), ("10.77.255.255", false), ("10.77.0.1", false), ("10.77.0.2", true), ("10.78.0.2", false)]
        for (text, can) in table { #expect(network.canAssign(try #require(IPv4Address(text))) == can, "\(text)") }
        for text in ["10.0.0.1", "10.0.0.1/31", "10.0.0.1/7", "10.0.0.1/x", "10.0.0.1/16/16"] {
            #expect(IPv4Prefix(text) == nil, "\(text)")
        }
    }

    @Test func deviceNamesAreShortAndDistinct() {
        var generator = SeededGenerator(seed: 3)
        var names: Set<String> = []
        for bits in (0..<1_000).map({ _ in generator.next() }) + [0, .max] {
            let name = NetworkPort.deviceName(InstanceID(bits: bits))
            #expect(name.utf8.count == 14)
            names.insert(name)
        }
        #expect(names.count == 1_002)
    }
}
