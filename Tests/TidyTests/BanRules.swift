/// What may not stand in code.
enum BanRules {
    /// Domain code is pure: time, identifiers and chance come in with the command; nothing waits, writes or reads.
    static func impurities(in file: SourceFile) -> [Violation] {
        file.matches(of: /\bDate\b|\b(Continuous|Suspending)Clock\b|\bDispatchTime\b|\b(clock_gettime|gettimeofday)\b/, in: file.code, "domain code is given the time")
            + file.matches(of: /\bUUID\b/, in: file.code, "domain code is given its identifiers")
            + file.matches(of: /\bSystemRandomNumberGenerator\b/, in: file.code, "domain code uses seeded chance only")
            + unseeded(in: file)
            + file.matches(of: /\.hashValue\b|\bHasher\(\)/, in: file.code, "hash values differ from process to process")
            + file.matches(of: /\b(Logger|NSLog|os_log)\b|\b(print|debugPrint|dump)\(/, in: file.code, "domain code does not log")
            + file.matches(of: /\b(async|await|Task|actor)\b/, in: file.code, "domain code is synchronous")
            + file.matches(
                of: /\b(FileManager|FileHandle|ProcessInfo|URLSession|Process|Thread|Bundle)\b|\b(fopen|getenv)\(/, in: file.code,
                "domain code does no input or output")
    }

    /// `random`, `shuffled` and the like that are not told `using` which generator. Arguments may go on over the next two lines.
    private static func unseeded(in file: SourceFile) -> [Violation] {
        file.code.indices.filter { index in
            guard let match = file.code[index].firstMatch(of: /\.(random|shuffled|shuffle|randomElement)\(/) else { return false }
            let rest = file.code[index][match.range.upperBound...]
            return !([rest] + file.code[(index + 1)...].prefix(2)).contains { $0.contains(/\busing:/) }
        }.map { Violation(path: file.path, line: $0 + 1, text: "domain code uses seeded chance only: say `using:`") }
    }

    /// What ends the program instead of saying no.
    static func crashes(in file: SourceFile) -> [Violation] {
        file.matches(of: /\btry!/, in: file.code, "try! ends the program; handle the error")
            + file.matches(of: /\bfatalError\(/, in: file.code, "a bug is a precondition, everything else is an error")
            + file.matches(of: /\bas!/, in: file.code, "as! ends the program; use as? or the right type")
    }

    static func notes(in file: SourceFile) -> [Violation] {
        file.matches(of: /\b(TODO|FIXME|XXX|HACK)\b/, in: file.comments, "write it, or write an issue; no notes in the code")
    }

    /// `@unchecked Sendable` and `nonisolated(unsafe)` say that the compiler need not look: a comment beside them says why that is right.
    static func unexplained(in file: SourceFile) -> [Violation] {
        file.code.indices.filter { index in
            guard file.code[index].contains(/@unchecked\s+Sendable|\bnonisolated\(unsafe\)/) else { return false }
            return !file.comments[max(0, index - 3)...index].contains { $0.contains(/\w/) }
        }.map { Violation(path: file.path, line: $0 + 1, text: "say why this is safe, in a comment on the line or at most 3 above") }
    }
}
