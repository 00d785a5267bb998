import Domain
import Foundation

/// Writes a message as RFC 5322 and MIME want it: ASCII lines that end with CRLF.
enum MailText {
    static let longestLineBytes = 998
    /// Bytes of UTF-8 in one encoded word, so that it stays within the 75 characters of RFC 2047.
    static let encodedWordBytes = 45

    /// - Throws: `MailError` when an address, the subject or the id could begin a header of their own.
    static func bytes(of message: MailMessage, messageID: String, at now: Timestamp) throws(MailError)
        -> [UInt8]
    {
        let from = try address(message.from)
        var to: [String] = []
        for recipient in message.to { to.append(try address(recipient)) }
        guard !to.isEmpty else { throw MailError(.permanent, "There is no recipient.") }
        guard !message.subject.holdsControls else {
            throw MailError(.permanent, "The subject holds a line break or another control character.")
        }
        guard isMessageID(messageID) else {
            throw MailError(.permanent, "The Message-ID is not of the form <left@right>.")
        }
        let (encoding, body) = encodedBody(message.body)
        let lines = [
            "Date: \(CalendarTime(message.date ?? now).rfc5322)",
            "From: \(from)",
            "To: \(to.joined(separator: ",\r\n "))",
            "Subject: \(encodedSubject(message.subject))",
            "Message-ID: \(messageID)",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: \(encoding)",
            "Auto-Submitted: auto-generated",
            "", body,
        ]
        return Array(lines.joined(separator: "\r\n").utf8)
    }

    /// An address once more checked: whatever calls, nothing gets past here that could be another header.
    static func address(_ text: String) throws(MailError) -> String {
        do { return try MailAddress(text).description } catch {
            throw MailError(.permanent, error.description)
        }
    }

    private static func isMessageID(_ text: String) -> Bool {
        let bytes = text.utf8
        return bytes.first == UInt8(ascii: "<") && bytes.last == UInt8(ascii: ">") && bytes.count <= 250
            && bytes.filter { $0 == UInt8(ascii: "@") }.count == 1
            && bytes.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// Plain where it is ASCII, else as encoded words, each of whole characters, one a line.
    static func encodedSubject(_ subject: String) -> String {
        let isPlain =
            subject.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !subject.contains("=?")
            && subject.utf8.count <= 200
        if isPlain { return subject }
        var words: [[UInt8]] = [[]]
        for scalar in subject.unicodeScalars {
            let bytes = Array(String(Character(scalar)).utf8)
            if words[words.count - 1].count + bytes.count > encodedWordBytes { words.append([]) }
            words[words.count - 1] += bytes
        }
        return words.map { "=?UTF-8?B?\(Data($0).base64EncodedString())?=" }.joined(separator: "\r\n ")
    }

    /// As it is where it is ASCII in short lines, else base64.
    private static func encodedBody(_ body: String) -> (encoding: String, text: String) {
        let lines = bodyLines(body)
        let isPlain = lines.allSatisfy { line in
            line.utf8.count <= longestLineBytes
                && line.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == 9 }
        }
        let text = lines.joined(separator: "\r\n")
        if isPlain { return ("7bit", text + "\r\n") }
        let encoded = Data(text.utf8).base64EncodedString(
            options: [.lineLength76Characters, .endLineWithCarriageReturn, .endLineWithLineFeed])
        return ("base64", encoded + "\r\n")
    }

    /// The lines, however they end; a last line break is not a line of its own.
    private static func bodyLines(_ body: String) -> [String] {
        var lines: [String] = []
        var line: [UInt8] = []
        var last: UInt8 = 0
        for byte in body.utf8 {
            switch (byte, last) {
            case (0x0A, 0x0D): break
            case (0x0A, _), (0x0D, _):
                lines.append(String(decoding: line, as: UTF8.self))
                line.removeAll(keepingCapacity: true)
            default: line.append(byte)
            }
            last = byte
        }
        if !line.isEmpty || lines.isEmpty { lines.append(String(decoding: line, as: UTF8.self)) }
        return lines
    }
}
