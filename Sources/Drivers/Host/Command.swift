import Glibc
package import Primitives
import Subprocess
import Synchronization
import SystemPackage

/// What a short command of the host said.
package struct CommandResult: Sendable {
    package var succeeded: Bool
    package var output: String
    package var complaint: String
}

/// Runs the host's own tools (`ip`, `nft`, `qemu-img` …), each with a deadline, in one network namespace.
package struct CommandRunner: Sendable {
    /// Name below /run/netns; nil is the namespace of this process.
    package var namespace: String?

    package init(namespace: String?) { self.namespace = namespace }

    /// Fails only when the command cannot be run or misses its deadline; a non-zero exit is an answer.
    package func run(_ program: String, _ arguments: [String], input: String = "", deadline: Duration = .seconds(10)) async throws(Refusal)
        -> CommandResult
    {
        let (executable, allArguments) = try invocation(program, arguments)
        let text = CommandInput(input)
        _ = Self.brokenPipesAreErrors
        let result: CommandResult
        do {
            result = try await withDeadline(deadline) {
                let result = try await Subprocess.run(
                    .path(FilePath(executable)), arguments: Arguments(allArguments),
                    environment: .custom(["PATH": Self.searchPath, "LC_ALL": "C"]),
                    input: text, output: .string(limit: 1 << 20), error: .string(limit: 1 << 16))
                return CommandResult(
                    succeeded: result.terminationStatus.isSuccess, output: result.standardOutput, complaint: result.standardError)
            }
        } catch {
            throw Self.notRun(program, arguments, "\(error)")
        }
        if result.succeeded, let missing = text.missing { throw Self.notRun(program, arguments, missing) }
        return result
    }

    private static func notRun(_ program: String, _ arguments: [String], _ why: String) -> Refusal {
        Refusal(
            "host.command", .unavailable, "\(program) could not be run: \(why)",
            facts: ["program": .text(program), "arguments": .text(arguments.joined(separator: " "))])
    }

    /// Like `run`, and refuses when the command exits with an error.
    @discardableResult
    package func require(_ program: String, _ arguments: [String], input: String = "", deadline: Duration = .seconds(10))
        async throws(Refusal)
        -> String
    {
        let result = try await run(program, arguments, input: input, deadline: deadline)
        guard result.succeeded else { throw Self.failed(program, arguments, result.complaint) }
        return result.output
    }

    static func failed(_ program: String, _ arguments: [String], _ complaint: String) -> Refusal {
        let full = complaint.contains("No space left on device")
        let said = complaint.split(separator: "\n").prefix(3).joined(separator: "; ")
        return Refusal(
            full ? "storage.full" : "host.command", full ? .capacity : .unavailable, "\(program) failed: \(said)",
            facts: ["program": .text(program), "arguments": .text(arguments.joined(separator: " "))])
    }

    /// The path and the arguments that run a program in the namespace.
    func invocation(_ program: String, _ arguments: [String]) throws(Refusal) -> (executable: String, arguments: [String]) {
        let path = try Self.locate(program)
        guard let namespace else { return (path, arguments) }
        return (try Self.locate("nsenter"), ["--net=/run/netns/\(namespace)", "--", path] + arguments)
    }

    /// Writing to a command that has ended is an error of that write, not the end of this process. Commands start with the default.
    private static let brokenPipesAreErrors: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    package static func locate(_ program: String) throws(Refusal) -> String {
        if program.hasPrefix("/") { return program }
        for folder in searchPath.split(separator: ":") where access("\(folder)/\(program)", X_OK) == 0 { return "\(folder)/\(program)" }
        throw Refusal(
            "host.missing", .unavailable, "\(program) is not installed on this host", facts: ["program": .text(program)],
            nearest: "install the package that has \(program)")
    }
}

/// What a command reads, and how much of that was handed to it.
///
/// No error may leave `write`: Subprocess closes the pipe only after a write that did not throw, and ends this whole process when it
/// finds the pipe open later. A command that is ended while it reads would do that.
private final class CommandInput: InputProtocol {
    private let bytes: [UInt8]
    private let outcome = Mutex<(written: Int, error: String?)>((0, nil))

    init(_ text: String) { bytes = Array(text.utf8) }

    func write(with writer: StandardInputWriter) async {
        do throws(SubprocessError) {
            let count = try await writer.write(bytes)
            outcome.withLock { $0.written = count }
        } catch {
            outcome.withLock { $0.error = "\(error)" }
        }
    }

    /// Why not all of it was read; nil when it was.
    var missing: String? {
        let (written, error) = outcome.withLock { $0 }
        guard written < bytes.count else { return nil }
        return "it took \(written) of \(bytes.count) bytes of its input" + (error.map { ": \($0)" } ?? "")
    }
}
