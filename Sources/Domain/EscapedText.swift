/// Text with every character written out that could steer a terminal, forge a line of a log or turn the order of what is read.
///
/// Those are the control characters (C0, DEL, C1), the line and paragraph separators, and the marks, embeddings, overrides
/// and isolates that turn the direction of text. A line feed becomes `\n`, a carriage return `\r`, a tab `\t`, any other
/// `\u{…}`. Everything else stays as it is: accents, other scripts and emoji are text like any other.
package struct EscapedText: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ text: some StringProtocol) {
        guard text.utf8.contains(where: Self.mayNeedEscaping),
            text.unicodeScalars.contains(where: Self.steers)
        else {
            description = String(text)
            return
        }
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count + 16)
        for scalar in text.unicodeScalars {
            if Self.steers(scalar) {
                escaped += Self.written(scalar)
            } else {
                escaped.unicodeScalars.append(scalar)
            }
        }
        description = escaped
    }

    /// Whether the character does something other than being read.
    package static func steers(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x00...0x1F, 0x7F...0x9F: true
        case 0x2028, 0x2029: true
        case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// No byte of harmless text in most languages; U+0080 to U+009F and the others begin with one of three lead bytes.
    private static func mayNeedEscaping(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x7F || byte == 0xC2 || byte == 0xD8 || byte == 0xE2
    }

    private static func written(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        }
    }
}

/// The text with its control characters, line separators and marks of direction written out: see `EscapedText`.
///
/// For whatever comes from outside and is shown in a log or in a terminal.
package func escapingControls(_ text: some StringProtocol) -> String { EscapedText(text).description }
