/// What people, accounts and customers can be called: names that look as they are, and that one can type.
package enum NameRule {
    static let limitBytes = 200

    /// Checks the name of a person or of a customer.
    package static func check(name: String) throws(NameProblem) {
        guard !name.isEmpty else { throw .empty }
        guard name.utf8.count <= limitBytes else { throw .tooLong(limitBytes: limitBytes) }
        guard !name.unicodeScalars.contains(where: { EscapedText.steers($0) || isUnseen($0) }) else {
            throw .unseen
        }
        guard name.first?.isWhitespace == false, name.last?.isWhitespace == false else { throw .blankAtEnd }
    }

    /// Checks what somebody types to log in.
    package static func check(login: String) throws(NameProblem) {
        try check(name: login)
        guard !login.contains(",") else { throw .comma }
    }

    /// Characters that take no room: with them two names look the same and are not.
    private static func isUnseen(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0xAD, 0x34F, 0x180E, 0x200B, 0x2060...0x2064, 0xFE00...0xFE0F, 0xFEFF, 0xE0000...0xE0FFF: true
        default: false
        }
    }
}

/// Why nobody can be called so.
package enum NameProblem: Error, Hashable, CustomStringConvertible {
    case empty
    case tooLong(limitBytes: Int)
    case unseen
    case blankAtEnd
    case comma

    package var description: String {
        switch self {
        case .empty: "it is empty"
        case .tooLong(let limit): "it is longer than \(limit) bytes"
        case .unseen: "it holds a character that cannot be seen, or that steers what shows it"
        case .blankAtEnd: "it begins or ends with a blank"
        case .comma: "it holds a comma, which separates log-in names"
        }
    }
}
