import Testing

/// The scanner below the rules: what is code, what is not, and where functions begin and end.
@Suite struct ScanTests {
    struct Blanking: Sendable {
        var source: String
        var code: String
        init(_ source: String, _ code: String) {
            self.source = source
            self.code = code
        }
    }

    @Test(arguments: [
        Blanking("let a = 1 // one", "let a = 1       "),
        Blanking("a /* b /* c */ d */ e", "a                   e"),
        Blanking(#"f("x", 2)"#, "f(   , 2)"),
        Blanking(#"f("a\"b", 2)"#, "f(      , 2)"),
        Blanking(##"f(#"a"b\n"#, 2)"##, "f(         , 2)"),
        Blanking(#"f("a \(g(1) + h("}")) b", 2)"#, "f(     g(1) + h(   )    , 2)"),
        Blanking(##"f(#"a \(g) \#(h) b"#, 2)"##, "f(            h     , 2)"),
        Blanking("let s = \"\"\"\n  a \"quoted\" \\(b)\n  \"\"\"\nc", "let s =    \n               b \n     \nc"),
        Blanking(#"m(of: /a"{b/, c)"#, "m(of:       , c)"),
        Blanking(##"m(of: #/a"/{b/#, c)"##, "m(of:          , c)"),
        Blanking("let half = a / b / c", "let half = a / b / c"),
        Blanking("let x = (a + b)/2 + c/d", "let x = (a + b)/2 + c/d"),
        Blanking("#if DEBUG\n#expect(a)\n", "#if DEBUG\n#expect(a)\n"),
        Blanking("\"unterminated\nlet a = 1", "             \nlet a = 1"),
        Blanking("é(\"ü\") // ß", "é(    )      "),
    ])
    func onlyCodeIsLeft(_ blanking: Blanking) {
        #expect(String(decoding: BlankedSource(blanking.source).code, as: UTF8.self) == blanking.code)
    }

    @Test func commentsAreKeptApart() {
        let source = SourceFile(path: "A.swift", text: "let a = \"// text\" // why\n/* x */ b /// c\n")
        #expect(source.comments.map { $0.trimmingSpaces } == ["// why", "/* x */   /// c", ""])
        #expect(source.lineCount == 2)
    }

    @Test func functionsAreFoundWithTheirLengths() {
        let source = """
            protocol P {
                func requirement(_ a: Int) throws -> [Int]
                var property: Int { get }
                init(b: Int)
            }
            struct S: P {
                var stored = 1
                var property: Int {
                    1
                }
                init(b: Int) { self.init() }
                init() {
                }
                func requirement(
                    _ a: Int = [1].map { $0 + 1 }.count
                ) throws -> [Int]
                where Int: Equatable {
                    func inner() { if a > 1 { print("{") } }
                    return [a]
                }
                subscript(index: Int) -> Int { index }
                deinit {
                }
                let closure = { (x: Int) in x }
            }
            """
        let found = FunctionScan(BlankedSource(source)).functions()
        #expect(
            found == [
                FunctionExtent(name: "var property", line: 3, length: 1), FunctionExtent(name: "var property", line: 8, length: 3),
                FunctionExtent(name: "init", line: 11, length: 1), FunctionExtent(name: "init", line: 12, length: 2),
                FunctionExtent(name: "func requirement", line: 14, length: 7), FunctionExtent(name: "func inner", line: 18, length: 1),
                FunctionExtent(name: "subscript", line: 21, length: 1), FunctionExtent(name: "deinit", line: 22, length: 2),
            ])
    }

    /// All braces of the tree match once comments and texts are gone: the scanner does not lose its way in any file.
    @Test func bracesMatchInEveryFile() {
        for file in SourceTree.files {
            let code = file.blanked.code
            for (open, close) in [("{", "}"), ("(", ")"), ("[", "]")] as [(Character, Character)] {
                let opened = code.count { $0 == open.asciiValue }
                let closed = code.count { $0 == close.asciiValue }
                #expect(opened == closed, "\(file.path): \(opened) \(open) and \(closed) \(close)")
            }
        }
    }

    @Test func importsAreReadHoweverTheyAreWritten() {
        let text =
            "import A\npublic import B\n@preconcurrency import C\n@_exported public import struct D.E\n  @testable import F\nlet important = G\n"
        #expect(LayerRule.imports(in: SourceFile(path: "A.swift", text: text)).map(\.module) == ["A", "B", "C", "D", "F"])
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
