/// Finds functions and counts their lines, by braces; good enough to keep functions short, not a parser.
enum FunctionLengths {
    struct Function: Equatable, Sendable {
        /// Where it begins, from 1.
        let line: Int
        /// From its `func` or `init` to its closing brace, without lines that lie inside a string literal.
        let count: Int
    }

    private enum Token: Equatable {
        case function
        /// A keyword that begins another declaration: a function before it without a body has none.
        case declaration
        case open, close, openParenthesis, closeParenthesis
    }

    /// A function whose body has not begun, or not ended.
    private struct Started {
        let line: Int
        let parentheses: Int
        /// The depth of braces inside its body; nil before the body.
        var depth: Int?
    }

    private static let declarations: Set<Substring> = [
        "var", "let", "case", "struct", "class", "enum", "actor", "protocol", "extension", "typealias",
        "associatedtype", "subscript", "import",
    ]

    /// The functions of a file, in the order in which they end.
    static func of(_ file: SourceFile) -> [Function] {
        let texts = linesOfTexts(file)
        return of(file.code).map { function in
            let inside = texts[function.line - 1..<function.line - 1 + function.count].count { $0 }
            return Function(line: function.line, count: function.count - inside)
        }
    }

    /// Tells for each line whether it shows nothing but a part of a string: SQL, say, which is no flow to follow.
    private static func linesOfTexts(_ file: SourceFile) -> [Bool] {
        file.lines.indices.map { index in
            !file.lines[index].allSatisfy(\.isWhitespace) && file.code[index].allSatisfy(\.isWhitespace)
                && file.comments[index].allSatisfy(\.isWhitespace)
        }
    }

    private static func of(_ code: [Substring]) -> [Function] {
        var found: [Function] = []
        var started: [Started] = []
        var braces = 0
        var parentheses = 0
        for (index, line) in code.enumerated() {
            for token in tokens(of: line) {
                switch token {
                case .openParenthesis: parentheses += 1
                case .closeParenthesis: parentheses -= 1
                case .function, .declaration:
                    if let last = started.last, last.depth == nil, last.parentheses == parentheses {
                        started.removeLast()
                    }
                    guard token == .function else { continue }
                    started.append(Started(line: index + 1, parentheses: parentheses))
                case .open:
                    braces += 1
                    guard let last = started.last, last.depth == nil, last.parentheses == parentheses else {
                        continue
                    }
                    started[started.count - 1].depth = braces
                case .close:
                    if let last = started.last, last.depth == nil, last.parentheses == parentheses {
                        started.removeLast()
                    }
                    if let last = started.last, last.depth == braces {
                        found.append(Function(line: last.line, count: index + 2 - last.line))
                        started.removeLast()
                    }
                    braces -= 1
                }
            }
        }
        return found
    }

    private static func tokens(of line: Substring) -> [Token] {
        var tokens: [Token] = []
        var rest = line
        var before: Character = " "
        while let sign = rest.first {
            if sign.isWordLike {
                let word = rest.prefix(while: \.isWordLike)
                if before != "." {
                    if word == "func" || word == "init" || word == "deinit" {
                        tokens.append(.function)
                    } else if declarations.contains(word) {
                        tokens.append(.declaration)
                    }
                }
                before = word.last ?? " "
                rest = rest[word.endIndex...]
                continue
            }
            switch sign {
            case "{": tokens.append(.open)
            case "}": tokens.append(.close)
            case "(", "[": tokens.append(.openParenthesis)
            case ")", "]": tokens.append(.closeParenthesis)
            default: break
            }
            before = sign
            rest = rest.dropFirst()
        }
        return tokens
    }
}
