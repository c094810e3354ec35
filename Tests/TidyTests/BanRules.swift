/// What may not stand in code.
enum BanRules {
    /// Domain code is pure: time, identifiers and chance come in with the command; nothing waits, writes or reads.
    static func impurities(in file: SourceFile) -> [Violation] {
        impure.flatMap { file.lines(with: $0.terms, in: file.code, $0.why) } + unseeded(in: file)
    }

    private static let impure: [(terms: [String], why: String)] = [
        (["Date", "ContinuousClock", "SuspendingClock", "DispatchTime", "clock_gettime", "gettimeofday"], "domain code is given the time"),
        (["UUID"], "domain code is given its identifiers"),
        (["SystemRandomNumberGenerator"], "domain code uses seeded chance only"),
        ([".hashValue", "Hasher()"], "hash values differ from process to process"),
        (["Logger", "NSLog", "os_log", "print(", "debugPrint(", "dump("], "domain code does not log"),
        (["async", "await", "Task", "actor"], "domain code is synchronous"),
        (
            ["FileManager", "FileHandle", "ProcessInfo", "URLSession", "Process", "Thread", "Bundle", "fopen(", "getenv("],
            "domain code does no input or output"
        ),
    ]

    /// `random`, `shuffled` and the like that are not told `using` which generator. Arguments may go on over the next two lines.
    private static func unseeded(in file: SourceFile) -> [Violation] {
        let calls = [".random(", ".shuffled(", ".shuffle(", ".randomElement("]
        return file.lines(with: calls, in: file.code, "domain code uses seeded chance only: say `using:`").filter { violation in
            !file.code[(violation.line - 1)...].prefix(3).contains { $0.contains("using:") }
        }
    }

    /// What ends the program instead of saying no.
    static func crashes(in file: SourceFile) -> [Violation] {
        file.lines(with: ["try!"], in: file.code, "try! ends the program; handle the error")
            + file.lines(with: ["fatalError("], in: file.code, "a bug is a precondition, everything else is an error")
            + file.lines(with: ["as!"], in: file.code, "as! ends the program; use as? or the right type")
    }

    static func notes(in file: SourceFile) -> [Violation] {
        file.lines(with: ["TODO", "FIXME", "XXX", "HACK"], in: file.comments, "write it, or write an issue; no notes in the code")
    }

    /// `@unchecked Sendable` and `nonisolated(unsafe)` say that the compiler need not look: a comment beside them says why that is right.
    static func unexplained(in file: SourceFile) -> [Violation] {
        let found = file.lines(
            with: ["@unchecked Sendable", "nonisolated(unsafe)"], in: file.code,
            "say why this is safe, in a comment on the line or at most 3 above")
        return found.filter { violation in
            let index = violation.line - 1
            return !file.comments[max(0, index - 3)...index].contains { $0.utf8.contains(where: isWordByte) }
        }
    }
}
