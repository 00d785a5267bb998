import Testing

@Suite("The rules of the house")
struct HouseRuleTests {
    @Test("every file keeps the rule", arguments: HouseRule.all)
    func everyFileKeepsTheRule(_ rule: HouseRule) throws {
        for file in try SourceTree.shared.get().files {
            for finding in rule.findings(in: file) { Issue.record("\(finding)") }
        }
    }

    @Test("the rule catches what it forbids", arguments: HouseRule.all)
    func ruleCatchesWhatItForbids(_ rule: HouseRule) {
        #expect(!rule.violations.isEmpty)
        for example in rule.violations {
            let file = SourceFile(path: example.path, text: example.text)

            #expect(!rule.findings(in: file).isEmpty, "Not caught: \(example.text)")
        }
    }

    @Test("the rule lets pass what only looks alike", arguments: HouseRule.all)
    func ruleLetsPassWhatLooksAlike(_ rule: HouseRule) {
        for example in rule.lawful {
            let file = SourceFile(path: example.path, text: example.text)

            #expect(rule.findings(in: file).map(\.description) == [], "Caught: \(example.text)")
        }
    }

    @Test("the whole tree is looked at")
    func wholeTreeIsLookedAt() throws {
        let paths = Set(try SourceTree.shared.get().files.map(\.path))

        #expect(paths.contains("Sources/Store/Store.swift"))
        #expect(paths.contains("Tests/ArchitectureTests/HouseRuleTests.swift"))
        #expect(paths.contains("docs/client-protocol.md"))
        #expect(paths.contains("README.md"))
    }
}

@Suite("Telling code from comments and strings")
struct SwiftLexerTests {
    @Test(
        "strings and comments are blanked out, interpolations are not",
        arguments: [
            (#"a("b")c"#, "a(   )c"),
            (#"a("\(b("c"))d")e"#, "a(   b(   )   )e"),
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("\"\"\"\na \"b\" \\(c) d\n\"\"\" e", "   \n        c   \n    e"),
            (##"#"a "b" \(c) \#(d)"# e"##, "                d    e"),
            (##"#if a"##, "#if a"),
            (#""\\" a"#, "     a"),
            (#""" a"#, "   a"),
        ])
    func stringsAndCommentsAreBlankedOut(text: String, code: String) {
        let file = SourceFile(path: "Sources/Store/Sample.swift", text: text)

        #expect(file.code.joined(separator: "\n").trimmingEnd() == code.trimmingEnd())
    }

    @Test("functions are counted from their first line to their closing brace, nested ones too")
    func functionsAreCounted() {
        let text = """
            func a(_ x: [Int] = [1], then: () -> Void = { }) async throws -> Int {
                func b() {
                }
                return 1
            }
            protocol P { init(); func c(); var d: Int { get } }
            struct S {
                init<T>(_ t: T) where T: P { self.init() }
            }
            """
        let file = SourceFile(path: "Sources/Store/Sample.swift", text: text)

        let lengths = FunctionLengths.of(file).sorted { $0.line < $1.line }

        #expect(lengths == [.init(line: 1, count: 5), .init(line: 2, count: 2), .init(line: 8, count: 1)])
    }
}

extension String {
    fileprivate func trimmingEnd() -> String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
