/// The id of one `Subject`: a random positive 63-bit number, written as a decimal string on the wire.
///
/// Random, so that an id tells nothing about how many there are; 63 bits, so that every key and index of the log
/// stays narrow (docs/decisions/0003-narrow-keys.md).
package struct Identifier<Subject>: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible
{
    package let rawValue: Int64

    @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }

    // Written out and inlinable: every dictionary of the hot path is keyed by ids, and the witnesses that
    // RawRepresentable lends are looked up at run time in other modules.
    @inlinable package static func == (left: Self, right: Self) -> Bool { left.rawValue == right.rawValue }
    @inlinable package func hash(into hasher: inout Hasher) { hasher.combine(rawValue) }

    /// Reads the decimal form; nil unless the text is a positive 63-bit number as `description` writes it.
    package init?(_ text: some StringProtocol) {
        guard let value = Int64(canonical: text), value > 0 else { return nil }
        rawValue = value
    }

    /// A new id, random and never zero.
    package static func random() -> Self { Self(rawValue: Int64.random(in: 1...Int64.max)) }

    package var description: String { String(rawValue) }

    @inlinable package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
