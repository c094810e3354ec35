import Foundation
import Glibc
package import Primitives

/// Finds out whether KVM works here by booting a guest with it: the device file proves nothing.
///
/// The guest is one boot sector. It leaves real mode, sets up paging, enters 64-bit mode, multiplies and writes to the debug-exit
/// port, whose value becomes QEMU's exit status. A hypervisor that only half works aborts, hangs or answers something else.
package struct AccelerationProbe: Sendable {
    /// Where the answer is kept; it holds for one kernel and one QEMU.
    package var cacheFile: String
    package var runner: CommandRunner
    package var program: String

    package init(cacheFile: String, runner: CommandRunner, program: String) {
        self.cacheFile = cacheFile
        self.runner = runner
        self.program = program
    }

    package struct Answer: Codable, Sendable, Hashable {
        package var kernel: String
        package var qemu: String
        package var kvm: Bool
        /// What the guest did, for people.
        package var finding: String
    }

    /// Seconds.
    private static let longestBoot = 5
    private static let longest: Duration = .seconds(longestBoot + 3)

    package func cached(qemu: String) -> Answer? {
        guard let bytes = Files.read(cacheFile), let answer = try? JSONDecoder().decode(Answer.self, from: Data(bytes)) else { return nil }
        return answer.kernel == Self.kernel && answer.qemu == qemu ? answer : nil
    }

    package func ask(qemu: String) async -> Answer {
        let answer = await boot(qemu: qemu)
        if let data = try? JSONEncoder().encode(answer) {
            // An answer that cannot be kept is found again at the next start.
            try? await Blocking.run { () throws(Refusal) in try Files.write(Array(data), to: cacheFile) }
        }
        return answer
    }

    private func boot(qemu: String) async -> Answer {
        func answer(_ works: Bool, _ finding: String) -> Answer { Answer(kernel: Self.kernel, qemu: qemu, kvm: works, finding: finding) }
        guard Files.exists("/dev/kvm") else { return answer(false, "there is no /dev/kvm") }
        let sector = cacheFile + ".sector"
        do throws(Refusal) {
            try await Blocking.run { () throws(Refusal) in try Files.write(Self.bootSector, to: sector) }
            let (works, finding) = try await tryGuest(sector, accelerator: "kvm", processor: "host")
            try await Blocking.run { () throws(Refusal) in try Files.remove(sector) }
            return answer(works, finding)
        } catch {
            return answer(false, error.message)
        }
    }

    /// Boots the sector; true when it came through.
    package func tryGuest(_ sector: String, accelerator: String, processor: String) async throws(Refusal) -> (Bool, String) {
        let arguments = [
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "pc", "-accel", accelerator, "-cpu", processor,
            "-m", "32", "-drive", "file=\(QEMUArguments.escaped(sector)),format=raw,if=floppy",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        ]
        // The shell turns QEMU's exit status into text; a success status of our own would be 0, which a triple fault also gives.
        // A guest that hangs is ended by `timeout`, whatever becomes of us.
        let script = "timeout -s KILL \(Self.longestBoot) \"$0\" \"$@\" >/dev/null 2>&1; echo $?"
        let result = try await runner.run("sh", ["-c", script, program] + arguments, deadline: Self.longest)
        let status = Int(result.output.split(whereSeparator: \.isWhitespace).first ?? "") ?? -1
        return (
            status == Self.expectedStatus, status == Self.expectedStatus ? "a guest booted" : "the guest did not boot (status \(status))"
        )
    }

    /// The device answers a written value v with exit status 2v + 1.
    private static let expectedStatus = 0x5A * 2 + 1

    static var kernel: String { Files.readText("/proc/sys/kernel/osrelease")?.split(separator: "\n").first.map(String.init) ?? "" }

    /// Assembled from this source, padded to 512 bytes with the boot signature:
    ///
    ///     .code16  cli; xor ax,ax; mov ds,es,ss = ax; mov sp,0x7c00
    ///              clear 0x1000…0x3fff; [0x1000]=0x2003; [0x2000]=0x3003; [0x3000]=0x83   (identity map of 2 MiB)
    ///              cr3=0x1000; cr4|=PAE; EFER|=LME; lgdt; cr0|=PG|PE; ljmp 8:long
    ///     .code64  long: mov rax,0x123456789abcdef0; mov rbx,rax; imul rax,rbx; mov eax,0x5a; out 0xf4,eax; hlt
    package static let bootSector: [UInt8] = {
        let code: [UInt8] = [
            0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xbf, 0x00, 0x10, 0xb9, 0x00, 0x18, 0xfc, 0xf3, 0xab,
            0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x66, 0xb8, 0x00,
            0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xe0, 0x66, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0, 0x66, 0xb9, 0x80, 0x00, 0x00,
            0xc0, 0x0f, 0x32, 0x66, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30, 0x0f, 0x01, 0x16, 0x90, 0x7c, 0x0f, 0x20, 0xc0, 0x66, 0x0d,
            0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, 0x66, 0xea, 0x63, 0x7c, 0x00, 0x00, 0x08, 0x00, 0x48, 0xb8, 0xf0, 0xde, 0xbc, 0x9a,
            0x78, 0x56, 0x34, 0x12, 0x48, 0x89, 0xc3, 0x48, 0x0f, 0xaf, 0xc3, 0xb8, 0x5a, 0x00, 0x00, 0x00, 0xe7, 0xf4, 0xf4, 0xeb, 0xfd,
            0x66, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xaf, 0x00, 0x0f, 0x00, 0x80,
            0x7c, 0x00, 0x00,
        ]
        return code + [UInt8](repeating: 0, count: 510 - code.count) + [0x55, 0xaa]
    }()
}
