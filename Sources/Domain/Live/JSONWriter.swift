/// Appends JSON (RFC 8259) to bytes: strings, whole numbers, identifiers and raw fragments.
package enum JSONWriter {
    /// Appends a string with its quotes, escaping what must be.
    package static func string(_ text: String, into bytes: inout [UInt8]) {
        var text = text
        text.withUTF8 { utf8 in
            bytes.append(UInt8(ascii: "\""))
            if JSONText.firstSpecial(utf8, from: 0) == utf8.count {
                bytes.append(contentsOf: utf8)
            } else {
                escaped(utf8, into: &bytes)
            }
            bytes.append(UInt8(ascii: "\""))
        }
    }

    /// Appends a number.
    package static func integer(_ value: Int64, into bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = value.magnitude
            var start = 20
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            if value < 0 {
                start -= 1
                digits[start] = UInt8(ascii: "-")
            }
            bytes.append(contentsOf: digits[start..<20])
        }
    }

    /// Appends an id: a string of decimal digits.
    package static func identifier<Subject>(_ id: Identifier<Subject>, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        integer(id.rawValue, into: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends an array of ids.
    package static func identifiers<Subject>(_ ids: [Identifier<Subject>], into bytes: inout [UInt8]) {
        list(ids, into: &bytes) { id, bytes in identifier(id, into: &bytes) }
    }

    /// Appends a UUID with its quotes.
    package static func token(_ token: Token128, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        bare(token, into: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends a cursor with its quotes.
    package static func cursor(_ cursor: LogCursor, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        bare(cursor.epoch, into: &bytes)
        bytes.append(UInt8(ascii: "."))
        integer(cursor.position, into: &bytes)
        if let fingerprint = cursor.fingerprint {
            bytes.append(UInt8(ascii: "."))
            fingerprint.write(into: &bytes)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends an array whose elements `write` appends.
    package static func list<Element>(
        _ elements: some Sequence<Element>, into bytes: inout [UInt8], write: (Element, inout [UInt8]) -> Void
    ) {
        bytes.append(UInt8(ascii: "["))
        var isFirst = true
        for element in elements {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            write(element, &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    /// Appends text that is JSON already.
    package static func raw(_ json: StaticString, into bytes: inout [UInt8]) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: json.utf8Start, count: json.utf8CodeUnitCount))
    }

    private static func bare(_ token: Token128, into bytes: inout [UInt8]) {
        token.write { byte, _ in bytes.append(byte) }
    }

    private static func escaped(_ utf8: UnsafeBufferPointer<UInt8>, into bytes: inout [UInt8]) {
        var plainStart = 0
        while true {
            let special = JSONText.firstSpecial(utf8, from: plainStart)
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[plainStart..<special]))
            guard special < utf8.count else { return }
            escape(utf8[special], into: &bytes)
            plainStart = special + 1
        }
    }

    private static func escape(_ byte: UInt8, into bytes: inout [UInt8]) {
        switch byte {
        case 0x08: raw("\\b", into: &bytes)
        case 0x09: raw("\\t", into: &bytes)
        case 0x0A: raw("\\n", into: &bytes)
        case 0x0C: raw("\\f", into: &bytes)
        case 0x0D: raw("\\r", into: &bytes)
        case UInt8(ascii: "\""): raw("\\\"", into: &bytes)
        case UInt8(ascii: "\\"): raw("\\\\", into: &bytes)
        default:
            raw("\\u00", into: &bytes)
            bytes.append(UInt8(ascii: "0") + byte >> 4)
            let low = byte & 15
            bytes.append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        }
    }
}

/// Finds the bytes that mean something inside a JSON string: quotes, backslashes and control characters.
enum JSONText {
    /// Whether any of eight bytes is special.
    @inline(__always)
    static func hasSpecial(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ (ones &* 0x22)
        let backslashes = word ^ (ones &* 0x5C)
        let found =
            (word &- ones &* 0x20) & ~word | (quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes
        return found & (ones &* 0x80) != 0
    }

    /// The index of the first special byte at or after `start`; the count when there is none.
    static func firstSpecial(_ utf8: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        let wordSize = MemoryLayout<UInt64>.size
        var index = start
        if let base = utf8.baseAddress {
            while index + wordSize <= utf8.count {
                let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)
                guard !hasSpecial(word) else { break }
                index += wordSize
            }
        }
        while index < utf8.count {
            let byte = utf8[index]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C { return index }
            index += 1
        }
        return index
    }
}
