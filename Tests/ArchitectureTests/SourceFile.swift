/// One file of the repository, read once, with what the rules look at: its code, its comments, its lines.
struct SourceFile: Sendable {
    /// From the repository's root, such as `Sources/Store/Store.swift`.
    let path: String
    let text: String
    let lines: [Substring]
    /// The text with comments and string literals blanked out; the same lines at the same numbers.
    let code: [Substring]
    /// The text with everything but comments blanked out.
    let comments: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = Self.lines(text)
        guard path.hasSuffix(".swift") else {
            code = []
            comments = []
            return
        }
        var lexer = SwiftLexer(text)
        lexer.run()
        code = Self.lines(lexer.code)
        comments = Self.lines(lexer.comments)
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isGenerated: Bool { path.hasSuffix(".pb.swift") }

    /// The target that the file belongs to: the folder below `Sources` or `Tests`.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var isSource: Bool { path.hasPrefix("Sources/") }

    /// Whether the file belongs to one of these targets of `Sources`.
    func isIn(_ targets: String...) -> Bool { isSource && targets.contains(target) }

    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n", omittingEmptySubsequences: false)
    }
}

/// A place where a rule is broken, and what to do instead.
struct Finding: Sendable, CustomStringConvertible {
    let path: String
    /// From 1.
    let line: Int
    let advice: String

    var description: String { "\(path):\(line): \(advice)" }
}
