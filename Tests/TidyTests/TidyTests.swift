import Testing

/// The rules, on the tree as it is.
@Suite struct TidyTests {
    @Test(arguments: TidyRule.all) func theTreeKeeps(_ rule: TidyRule) {
        let violations = rule.violations(in: SourceTree.files)
        #expect(violations.isEmpty, "\(violations.count) violations:\n\(violations.map(\.description).joined(separator: "\n"))")
    }

    /// A rule that looks at nothing is always kept.
    @Test(arguments: TidyRule.all) func theRuleHasFilesToLookAt(_ rule: TidyRule) {
        #expect(SourceTree.files.count { rule.applies($0) } >= 20)
    }

    @Test func everyLayerIsThere() {
        let modules = LayerRule.modules(of: SourceTree.files)
        #expect(Set(modules.values) == Set(LayerRule.Layer.allCases))
        #expect(modules["Market"] == .domain)
        #expect(modules["ServiceKit"] == .platform)
        #expect(modules["Drivers"] == .drivers)
    }
}
