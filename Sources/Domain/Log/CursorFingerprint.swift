/// Tells which entry stood at a cursor's position, so that a cursor of another history of the log is recognised.
///
/// A log that is restored from a backup uses positions again under the same epoch; its entries there are others, and so are
/// their fingerprints. It is the upper 48 bits of the entry's mark (`EntryMark`: position, thread, number, author, client id
/// and time, mixed by SplitMix64's finalizer; nothing of the text, so that taking a message back changes nothing). It is
/// written as twelve hexadecimal digits in lower case. It is the same on every server, machine and version: whoever changes
/// it makes every client with a kept cursor load its log anew. It is no secret and no proof: who forges one is told
/// `resync`, and nobody else is.
package struct CursorFingerprint: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    private static let digits = 12

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// 0 stands for none on the service link, so the one mark in 2^48 that would give it gives 1.
    package init(_ mark: EntryMark) { rawValue = max(1, mark.rawValue >> 16) }

    /// Reads the text form; nil when it is not exactly as `description` writes it.
    package init?(_ text: some StringProtocol) {
        let lowerCase = (UInt8(ascii: "a")...UInt8(ascii: "f"))
        let decimal = (UInt8(ascii: "0")...UInt8(ascii: "9"))
        guard text.utf8.count == Self.digits,
            text.utf8.allSatisfy({ decimal.contains($0) || lowerCase.contains($0) }),
            let value = UInt64(text, radix: 16), value > 0
        else { return nil }
        rawValue = value
    }

    package var description: String {
        var bytes: [UInt8] = []
        write(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the text form.
    package func write(into bytes: inout [UInt8]) {
        for place in (0..<Self.digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: rawValue >> UInt64(4 * place)) & 15
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}
