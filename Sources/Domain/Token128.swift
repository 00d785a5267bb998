/// A 128-bit identifier in the text form of a UUID (RFC 9562), kept as two words so that hashing and copying cost nothing.
///
/// Clients make one for each mutating request (`ClientID`); a log's epoch is one (`LogEpoch`).
package struct Token128: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads 16 bytes, most significant first; nil for any other count.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            if index < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
        }
        self.init(high: high, low: low)
    }

    /// Reads the UUID text form, 32 hexadecimal digits with hyphens after digits 8, 12, 16 and 20; either case.
    package init?(_ text: String) {
        var text = text
        let parsed = text.withUTF8 { Token128(utf8: $0) }
        guard let parsed else { return nil }
        self = parsed
    }

    /// Reads the UUID text form from UTF-8 bytes.
    package init?(utf8 bytes: UnsafeBufferPointer<UInt8>) {
        guard bytes.count == 36 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for index in 0..<36 {
            let byte = bytes[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = Self.digit(byte) else { return nil }
            if digits < 16 { words.0 = words.0 << 4 | digit } else { words.1 = words.1 << 4 | digit }
            digits += 1
        }
        self.init(high: words.0, low: words.1)
    }

    /// A new random one: a UUID of version 7 (time-ordered), so that an index of them grows at its end.
    /// - Parameter milliseconds: the Unix time in milliseconds.
    package static func timeOrdered(milliseconds: UInt64) -> Self {
        let random = UInt64.random(in: .min ... .max)
        return Self(
            high: milliseconds << 16 | 0x7000 | random & 0x0FFF,
            low: 0x8000_0000_0000_0000 | UInt64.random(in: .min ... .max) >> 2)
    }

    /// A new random one: a UUID of version 4.
    package static func random() -> Self {
        Self(
            high: UInt64.random(in: .min ... .max) & 0xFFFF_FFFF_FFFF_0FFF | 0x4000,
            low: 0x8000_0000_0000_0000 | UInt64.random(in: .min ... .max) >> 2)
    }

    /// The 16 bytes, most significant first.
    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
            for index in 0..<8 {
                buffer[index] = UInt8(truncatingIfNeeded: high >> UInt64(56 - 8 * index))
                buffer[index + 8] = UInt8(truncatingIfNeeded: low >> UInt64(56 - 8 * index))
            }
            count = 16
        }
    }

    package var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            write { byte, index in buffer[index] = byte }
            return 36
        }
    }

    /// Writes the 36 bytes of the text form, each with its index.
    package func write(_ put: (UInt8, Int) -> Void) {
        var index = 0
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                put(UInt8(ascii: "-"), index)
                index += 1
            }
            let word = digit < 16 ? high : low
            let value = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit & 15))) & 15
            put(value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10, index)
            index += 1
        }
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}

/// The id a client gives to one mutating request: repeat the request with it, on any server, and get the same answer.
package typealias ClientID = Token128

/// The identity of one incarnation of a log: another epoch means that the log was restored and cursors are void.
package typealias LogEpoch = Token128
