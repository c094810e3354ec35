import Testing

/// A rule about the source tree: which files it is for, and what it says about one.
struct TidyRule: Sendable, CustomTestStringConvertible {
    let name: String
    let applies: @Sendable (SourceFile) -> Bool
    let check: @Sendable (SourceFile) -> [Violation]

    var testDescription: String { name }

    static let all: [TidyRule] = [
        TidyRule(name: "imports run downwards", applies: isSource) { LayerRule.violations(in: $0, modules: modules) },
        TidyRule(name: "the domain is pure", applies: { $0.path.hasPrefix("Sources/Domain/") }, check: BanRules.impurities),
        TidyRule(name: "nothing crashes on purpose", applies: isProduct, check: BanRules.crashes),
        TidyRule(name: "no notes", applies: isProduct, check: BanRules.notes),
        TidyRule(name: "unchecked concurrency is explained", applies: isProduct, check: BanRules.unexplained),
        TidyRule(name: "functions are short", applies: { _ in true }, check: LengthRules.functions),
        TidyRule(name: "files are short", applies: { _ in true }, check: LengthRules.files),
    ]

    private static let modules = LayerRule.modules(of: SourceTree.files)

    @Sendable private static func isSource(_ file: SourceFile) -> Bool { file.path.hasPrefix("Sources/") }
    @Sendable private static func isProduct(_ file: SourceFile) -> Bool { isSource(file) || file.path.hasPrefix("Benchmarks/") }

    func violations(in files: [SourceFile]) -> [Violation] { files.filter(applies).flatMap(check) }
}
