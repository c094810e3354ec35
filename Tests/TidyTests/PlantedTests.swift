import Testing

/// A file that breaks one rule, or just does not.
struct Planted: Sendable, CustomTestStringConvertible {
    var rule: String
    var path: String
    var source: String
    /// The lines that must be reported.
    var lines: [Int]

    init(_ rule: String, _ path: String, _ source: String, _ lines: Int...) {
        self.rule = rule
        self.path = path
        self.source = source
        self.lines = lines
    }

    var testDescription: String { "\(rule), \(path): \(source.prefix(60))" }
}

/// Each rule catches what it is for, and lets pass what only looks like it.
@Suite struct PlantedTests {
    @Test(arguments: Planted.all) func theRuleFindsIt(_ planted: Planted) throws {
        let rule = try #require(TidyRule.all.first { $0.name == planted.rule })
        let violations = rule.violations(in: [SourceFile(path: planted.path, text: planted.source)])
        #expect(violations.map(\.line).sorted() == planted.lines, "\(violations)")
        #expect(violations.allSatisfy { $0.description.hasPrefix("\(planted.path):\($0.line): ") })
    }

    @Test(arguments: TidyRule.all) func everyRuleHasBothKinds(_ rule: TidyRule) {
        let planted = Planted.all.filter { $0.rule == rule.name }
        #expect(planted.contains { !$0.lines.isEmpty }, "nothing shows that this rule finds anything")
        #expect(planted.contains { $0.lines.isEmpty }, "nothing shows that this rule lets anything pass")
    }
}

extension Planted {
    static let all = imports + domain + crashes + notes + unchecked + lengths

    private static let imports = [
        Planted("imports run downwards", "Sources/Domain/Market/A.swift", "import Primitives\nimport DequeModule\n"),
        Planted("imports run downwards", "Sources/Domain/Market/A.swift", "import Foundation\n", 1),
        Planted("imports run downwards", "Sources/Domain/Market/A.swift", "import Primitives\npublic import Logging\n", 2),
        Planted("imports run downwards", "Sources/Domain/Market/A.swift", "@testable import Rating\n", 1),
        Planted("imports run downwards", "Sources/Domain/Market/A.swift", "import Synchronization\n", 1),
        Planted("imports run downwards", "Sources/Domain/Sourcing/A.swift", "public import Market\n"),
        Planted("imports run downwards", "Sources/Domain/Sourcing/A.swift", "import Fleet\n", 1),
        Planted("imports run downwards", "Sources/Domain/Primitives/A.swift", "import DequeModule\n", 1),
        Planted("imports run downwards", "Sources/Interface/EC2/A.swift", "import Foundation\nimport Crypto\nimport Primitives\n"),
        Planted("imports run downwards", "Sources/Interface/EC2/A.swift", "import struct Store.Row\n", 1),
        Planted("imports run downwards", "Sources/Platform/Store/A.swift", "import Primitives\nimport Exchange\n", 2),
        Planted("imports run downwards", "Sources/Drivers/Compute/A.swift", "import Primitives\nimport Node\n", 2),
        Planted("imports run downwards", "Sources/Services/Manage/A.swift", "import CloudClient\nimport EC2\npackage import Connect\n", 3),
        Planted("imports run downwards", "Sources/Services/Node/A.swift", "import Drivers\nimport Store\n"),
        Planted("imports run downwards", "Sources/Services/Connect/A.swift", "import bourse\n", 1),
        Planted("imports run downwards", "Sources/bourse/A/B.swift", "import Exchange\nimport Node\n"),
        Planted("imports run downwards", "Sources/Helpers/A.swift", "", 1),
        Planted("imports run downwards", "Sources/Domain/Market/A.swift", "// import Foundation\nlet text = \"import Foundation\"\n"),
    ]

    private static let domain = [
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let a = Date()\nlet b = Date.now\n", 1, 2),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let a = UUID().uuidString", 1),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let a = Int.random(in: 0..<9)\nlet b = list.shuffled()\n", 1, 2),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let a = Int.random(in: 0..<9, using: &generator)\n"),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let a = Int.random(\n    in: 0..<9,\n    using: &generator)\n"),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "var g = SystemRandomNumberGenerator()", 1),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "func f() async {}\nlet c = ContinuousClock.now\n", 1, 2),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "print(1)\nlet l = Logger(label: \"x\")\n", 1, 2),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let h = order.hashValue", 1),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let d = FileManager.default", 1),
        Planted("the domain is pure", "Sources/Domain/Market/A.swift", "let text = \"as of \\(Date())\"", 1),
        Planted(
            "the domain is pure", "Sources/Domain/Market/A.swift",
            "// Date(), await\nlet text = \"Date() print(1)\"\nlet dueDate = 1\nblueprint(2)\n"),
        Planted("the domain is pure", "Sources/Platform/Store/A.swift", "let a = Date()"),
    ]

    private static let crashes = [
        Planted(
            "nothing crashes on purpose", "Sources/Services/Node/A.swift", "let a = try! f()\nfatalError(\"no\")\nlet b = c as! Int\n", 1,
            2, 3),
        Planted("nothing crashes on purpose", "Benchmarks/bourse-bench/A.swift", "\n\nlet a = try! f()\n", 3),
        Planted("nothing crashes on purpose", "Tests/StoreTests/A.swift", "let a = try! f()"),
        Planted(
            "nothing crashes on purpose", "Sources/Services/Node/A.swift",
            "/* try! */ let a = try? f() // fatalError()\nlet text = #\"try! \"fatalError(\"#\n"),
        Planted("nothing crashes on purpose", "Sources/Services/Node/A.swift", "let text = \"\"\"\n    try! \\(try! f())\n    \"\"\"\n", 2),
    ]

    private static let notes = [
        Planted("no notes", "Sources/Services/Node/A.swift", "// TODO: later\nlet a = 1 /* FIXME */\n/// XXX\n", 1, 2, 3),
        Planted("no notes", "Sources/Services/Node/A.swift", "let text = \"TODO\"\nlet todo = 1 // the todos\n"),
    ]

    private static let unchecked = [
        Planted("unchecked concurrency is explained", "Sources/Drivers/Host/A.swift", "final class A: @unchecked Sendable {}\n", 1),
        Planted("unchecked concurrency is explained", "Sources/Drivers/Host/A.swift", "// far\n\n\n\nnonisolated(unsafe) var a = 1\n", 5),
        Planted("unchecked concurrency is explained", "Sources/Drivers/Host/A.swift", "//\nnonisolated(unsafe) var a = 1\n", 2),
        Planted(
            "unchecked concurrency is explained", "Sources/Drivers/Host/A.swift",
            "// Guarded by the lock.\n@available(*, noasync)\n\nnonisolated(unsafe) var a = 1\n"),
        Planted(
            "unchecked concurrency is explained", "Sources/Drivers/Host/A.swift", "final class A: @unchecked Sendable {} // immutable\n"),
        Planted("unchecked concurrency is explained", "Sources/Drivers/Host/A.swift", "let text = \"@unchecked Sendable\"\n"),
    ]

    private static let lengths = [
        Planted("functions are short", "Sources/Services/Node/A.swift", function(lines: 71), 1),
        Planted("functions are short", "Sources/Services/Node/A.swift", function(lines: 70)),
        Planted("functions are short", "Tests/NodeTests/A.swift", "struct A {\n" + function(lines: 71) + "}\n", 2),
        Planted("functions are short", "Sources/Services/Node/A.swift", "struct A {\n" + function("init?(a: Int)", lines: 80) + "}\n", 2),
        Planted("functions are short", "Sources/Services/Node/A.swift", "struct A {\n" + function("var long: Int", lines: 80) + "}\n", 2),
        Planted(
            "functions are short", "Sources/Services/Node/A.swift",
            "// func commented() {\n" + String(repeating: "let a = \"func text() {\"\n", count: 90)),
        Planted("files are short", "Sources/Services/Node/A.swift", String(repeating: "let a = 1\n", count: 451), 451),
        Planted("files are short", "Sources/Services/Node/A.swift", String(repeating: "let a = 1\n", count: 450)),
    ]

    private static func function(_ head: String = "func long()", lines: Int) -> String {
        "\(head) {\n" + String(repeating: "    call(\"}\") // }\n", count: lines - 2) + "}\n"
    }
}
