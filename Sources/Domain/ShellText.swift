/// Text as one word of a shell, for commands that a message tells somebody to run.
package struct ShellText: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ text: String) {
        let isPlain = !text.isEmpty && text.utf8.allSatisfy(Self.isPlain)
        description =
            isPlain
            ? text
            : "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
                + "'"
    }

    /// Whether no shell takes the byte for anything but itself.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-_./:@%+,=".utf8.contains(byte)
        }
    }
}
