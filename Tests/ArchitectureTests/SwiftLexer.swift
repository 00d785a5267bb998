/// Tells code, comments and string literals of a Swift text apart, which is all that the rules need of the grammar.
///
/// Interpolations inside strings count as code. Regex literals are taken for code.
struct SwiftLexer {
    private enum Mode {
        /// Code; inside an interpolation it ends with the closing parenthesis that matches its opening one.
        case code(openParentheses: Int, isInterpolation: Bool)
        case string(hashes: Int, isMultiline: Bool)
    }

    private static let quote = UInt8(ascii: "\"")
    private static let hash = UInt8(ascii: "#")
    private static let slash = UInt8(ascii: "/")
    private static let newline = UInt8(ascii: "\n")
    private static let space = UInt8(ascii: " ")

    private let input: [UInt8]
    private var index = 0
    private var modes: [Mode] = [.code(openParentheses: 0, isInterpolation: false)]
    private var codeBytes: [UInt8] = []
    private var commentBytes: [UInt8] = []

    init(_ text: String) {
        input = Array(text.utf8)
        codeBytes.reserveCapacity(input.count)
        commentBytes.reserveCapacity(input.count)
    }

    var code: String { String(decoding: codeBytes, as: UTF8.self) }
    var comments: String { String(decoding: commentBytes, as: UTF8.self) }

    mutating func run() {
        while index < input.count {
            switch modes[modes.count - 1] {
            case .code(let open, let isInterpolation): takeCode(open, isInterpolation)
            case .string(let hashes, let isMultiline): takeString(hashes, isMultiline)
            }
        }
    }

    // MARK: Code

    private mutating func takeCode(_ open: Int, _ isInterpolation: Bool) {
        if matches("//") { return takeLineComment() }
        if matches("/*") { return takeBlockComment() }
        if let (hashes, isMultiline) = stringStart() {
            blank(hashes + (isMultiline ? 3 : 1))
            modes.append(.string(hashes: hashes, isMultiline: isMultiline))
            return
        }
        let byte = input[index]
        let change = byte == UInt8(ascii: "(") ? 1 : byte == UInt8(ascii: ")") ? -1 : 0
        if isInterpolation, open + change < 0 {
            modes.removeLast()
            return blank(1)
        }
        modes[modes.count - 1] = .code(openParentheses: open + change, isInterpolation: isInterpolation)
        keep(code: true)
    }

    private mutating func takeLineComment() {
        while index < input.count, input[index] != Self.newline { keep(code: false) }
    }

    private mutating func takeBlockComment() {
        var depth = 0
        repeat {
            if matches("/*") {
                depth += 1
                keep(code: false)
            } else if matches("*/") {
                depth -= 1
                keep(code: false)
            }
            if index < input.count { keep(code: false) }
        } while depth > 0 && index < input.count
    }

    // MARK: Strings

    private mutating func takeString(_ hashes: Int, _ isMultiline: Bool) {
        let byte = input[index]
        if byte == UInt8(ascii: "\\"), areHashes(hashes, from: index + 1) {
            let next = index + 1 + hashes
            let opens = next < input.count && input[next] == UInt8(ascii: "(")
            blank(hashes + 2)
            if opens { modes.append(.code(openParentheses: 0, isInterpolation: true)) }
        } else if isMultiline ? matches("\"\"\"") : byte == Self.quote,
            areHashes(hashes, from: index + (isMultiline ? 3 : 1))
        {
            blank(hashes + (isMultiline ? 3 : 1))
            modes.removeLast()
        } else {
            // A string of one line that does not end on it is no string; go on with code.
            if byte == Self.newline, !isMultiline { modes.removeLast() }
            blank(1)
        }
    }

    /// The hashes of the string literal that starts here, and whether it may have several lines; nil when none does.
    private func stringStart() -> (hashes: Int, isMultiline: Bool)? {
        var place = index
        while place < input.count, input[place] == Self.hash { place += 1 }
        guard place < input.count, input[place] == Self.quote else { return nil }
        let isMultiline =
            place + 2 < input.count && input[place + 1] == Self.quote && input[place + 2] == Self.quote
        return (place - index, isMultiline)
    }

    private func areHashes(_ count: Int, from start: Int) -> Bool {
        start + count <= input.count && input[start..<start + count].allSatisfy { $0 == Self.hash }
    }

    // MARK: Output

    private func matches(_ text: StaticString) -> Bool {
        guard index + text.utf8CodeUnitCount <= input.count else { return false }
        for offset in 0..<text.utf8CodeUnitCount where input[index + offset] != text.utf8Start[offset] {
            return false
        }
        return true
    }

    /// Takes one byte over into the code or into the comments, and blanks it out in the other.
    private mutating func keep(code isCode: Bool) {
        let byte = input[index]
        let blanked = byte == Self.newline ? byte : Self.space
        codeBytes.append(isCode ? byte : blanked)
        commentBytes.append(isCode ? blanked : byte)
        index += 1
    }

    private mutating func blank(_ count: Int) {
        for byte in input[index..<min(index + count, input.count)] {
            codeBytes.append(byte == Self.newline ? byte : Self.space)
            commentBytes.append(byte == Self.newline ? byte : Self.space)
        }
        index = min(index + count, input.count)
    }
}
