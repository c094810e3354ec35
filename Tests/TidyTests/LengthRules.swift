enum LengthRules {
    static let longestFunction = 70
    static let longestFile = 450

    static func functions(in file: SourceFile) -> [Violation] {
        FunctionScan(file.blanked).functions().filter { $0.length > longestFunction }.map {
            Violation(path: file.path, line: $0.line, text: "\($0.name) has \($0.length) lines; \(longestFunction) are allowed")
        }
    }

    static func files(in file: SourceFile) -> [Violation] {
        guard file.lineCount > longestFile else { return [] }
        return [Violation(path: file.path, line: longestFile + 1, text: "the file has \(file.lineCount) lines; \(longestFile) are allowed")]
    }
}
