/// One bare e-mail address, such as `rsmith@mercy.example`, in a form that fits any header and any command.
///
/// Plain ASCII without quotes, comments or display names: whatever could end a line or begin another header is refused.
package struct MailAddress: Hashable, Sendable, CustomStringConvertible {
    package static let longestBytes = 254
    static let longestLocalBytes = 64
    static let longestLabelBytes = 63

    /// As it was written, its domain in lower case.
    package let description: String

    package init(_ text: String) throws(MailSettingsError) {
        let trimmed = text.trimmingSpaces
        guard !trimmed.isEmpty else { throw .address(trimmed, "it is empty") }
        guard !trimmed.holdsControls else {
            throw .address("…", "it holds a line break or another control character")
        }
        guard trimmed.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw .address(
                trimmed, "it is not plain ASCII; write an international domain in its form with xn--")
        }
        guard trimmed.utf8.count <= Self.longestBytes else {
            throw .address(String(trimmed.prefix(40)) + "…", "it is longer than \(Self.longestBytes) bytes")
        }
        guard !trimmed.contains("<"), !trimmed.contains(">") else {
            throw .address(trimmed, "write the bare address, without a name and without < and >")
        }
        let parts = trimmed.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw .address(trimmed, "it needs one @, as in name@hospital.example") }
        guard Self.isLocalPart(parts[0]) else {
            throw .address(
                trimmed,
                "what stands before the @ may hold letters, digits, single dots and !#$%&'*+-/=?^_`{|}~")
        }
        guard Self.isDomain(parts[1]) else {
            throw .address(trimmed, "what stands after the @ is not the name of a domain")
        }
        description = parts[0] + "@" + parts[1].lowercased()
    }

    /// Reads one or several addresses, separated by commas or semicolons; each once.
    package static func list(_ text: String) throws(MailSettingsError) -> [MailAddress] {
        var addresses: [MailAddress] = []
        for part in text.split(whereSeparator: { $0 == "," || $0 == ";" }) {
            let address = try MailAddress(String(part))
            if !addresses.contains(address) { addresses.append(address) }
        }
        guard !addresses.isEmpty else { throw .address("", "it is empty") }
        guard addresses.count <= MailSettings.mostRecipients else {
            throw .tooManyRecipients(addresses.count)
        }
        return addresses
    }

    private static func isLocalPart(_ text: Substring) -> Bool {
        guard !text.isEmpty, text.utf8.count <= longestLocalBytes else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { atom in
            !atom.isEmpty && atom.allSatisfy { $0.isLetterOrDigit || "!#$%&'*+-/=?^_`{|}~".contains($0) }
        }
    }

    private static func isDomain(_ text: Substring) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.utf8.count <= longestLabelBytes && label.first != "-" && label.last != "-"
                && label.allSatisfy { $0.isLetterOrDigit || $0 == "-" }
        }
    }
}

extension Character {
    /// An ASCII letter or digit.
    var isLetterOrDigit: Bool { isASCII && (isLetter || isNumber) }
}

extension String {
    /// Whether the text holds a line break, a NUL or another control character (C1 and line separators too).
    package var holdsControls: Bool {
        unicodeScalars.contains {
            $0.value < 0x20 || (0x7F...0x9F).contains($0.value) || $0.value == 0x2028 || $0.value == 0x2029
        }
    }

    var trimmingSpaces: String {
        var text = self[...]
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
