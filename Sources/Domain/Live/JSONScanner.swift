/// Reads one JSON document (RFC 8259) value by value from bytes, without building a tree.
///
/// For the live frames only, where a general decoder would cost more than the message itself. Strings are
/// checked to be UTF-8 and numbers to follow the grammar also where a value is skipped; nesting is limited.
/// The scanner borrows the bytes: it must not outlive the call that was given them.
package struct JSONScanner {
    /// How deep arrays and objects may be nested.
    package static let depthLimit = 32

    package let bytes: UnsafeBufferPointer<UInt8>
    /// How many bytes have been read.
    package private(set) var offset = 0
    private var depth = 0

    package init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Reads an object; `member` is called for each key, in order, and must read or skip the value.
    package mutating func object(
        _ member: (_ key: String, _ scanner: inout JSONScanner) throws(JSONFault) -> Void
    ) throws(JSONFault) {
        try open(UInt8(ascii: "{"), expected: "an object")
        if take(UInt8(ascii: "}")) { return close() }
        repeat {
            let key = try string()
            guard take(UInt8(ascii: ":")) else { throw fault("expected ':' after a key") }
            try member(key, &self)
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw fault("expected ',' or '}' in an object") }
        close()
    }

    /// Reads an array; `element` is called before each value and must read or skip it.
    package mutating func array(
        _ element: (_ scanner: inout JSONScanner) throws(JSONFault) -> Void
    ) throws(JSONFault) {
        try open(UInt8(ascii: "["), expected: "an array")
        if take(UInt8(ascii: "]")) { return close() }
        repeat { try element(&self) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw fault("expected ',' or ']' in an array") }
        close()
    }

    /// Reads a string, its escapes resolved.
    package mutating func string() throws(JSONFault) -> String {
        guard take(UInt8(ascii: "\"")) else { throw fault("expected a string") }
        let start = offset
        try skipPlain()
        if bytes[offset] == UInt8(ascii: "\"") {
            let plain = UnsafeBufferPointer(rebasing: bytes[start..<offset])
            offset += 1
            return try text(plain, from: start)
        }
        return try escapedString(from: start)
    }

    /// Reads a number that is a whole one of 64 bits.
    package mutating func integer() throws(JSONFault) -> Int64 {
        skipSpace()
        let start = offset
        guard let value = try number() else {
            throw JSONFault(offset: start, problem: "expected a 64-bit integer")
        }
        return value
    }

    /// Reads a value of any kind; arrays, objects and numbers that are no 64-bit integers are skipped as
    /// `.other`.
    package mutating func scalar() throws(JSONFault) -> JSONScalar {
        guard let next = peek() else { throw fault("the document ends too early") }
        switch next {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return try number().map(JSONScalar.integer) ?? .other
        case UInt8(ascii: "t"): return .bool(try word("true", true))
        case UInt8(ascii: "f"): return .bool(try word("false", false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default:
            try skip()
            return .other
        }
    }

    /// Reads over a value of any kind, checking that it is well formed.
    package mutating func skip() throws(JSONFault) {
        guard let next = peek() else { throw fault("the document ends too early") }
        switch next {
        case UInt8(ascii: "{"): try object { (_, scanner) throws(JSONFault) in try scanner.skip() }
        case UInt8(ascii: "["): try array { (scanner) throws(JSONFault) in try scanner.skip() }
        case UInt8(ascii: "\""), UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "t"),
            UInt8(ascii: "f"), UInt8(ascii: "n"):
            _ = try scalar()
        default: throw fault("expected a value")
        }
    }

    /// Checks that nothing but white space follows.
    package mutating func end() throws(JSONFault) {
        guard peek() == nil else { throw fault("unexpected text after the document") }
    }

    /// The next byte that is not white space, not yet read; nil at the end.
    package mutating func peek() -> UInt8? {
        skipSpace()
        return offset < bytes.count ? bytes[offset] : nil
    }

    package func fault(_ problem: String) -> JSONFault {
        JSONFault(offset: offset, problem: offset < bytes.count ? problem : "the document ends too early")
    }
}

/// A JSON value that has no parts; `.other` stands for everything else.
package enum JSONScalar: Sendable, Hashable {
    case string(String)
    case integer(Int64)
    case bool(Bool)
    case null
    case other
}

/// What is wrong with a JSON document, and at which byte.
package struct JSONFault: Error, Hashable, Sendable {
    package let offset: Int
    package let problem: String
    package let isEncoding: Bool

    package init(offset: Int, problem: String, isEncoding: Bool = false) {
        self.offset = offset
        self.problem = problem
        self.isEncoding = isEncoding
    }
}

extension JSONScanner {
    private mutating func open(_ byte: UInt8, expected: String) throws(JSONFault) {
        guard take(byte) else { throw fault("expected \(expected)") }
        depth += 1
        guard depth <= Self.depthLimit else { throw fault("nested more than \(Self.depthLimit) deep") }
    }

    private mutating func close() { depth -= 1 }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        offset += 1
        return true
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            let byte = bytes[offset]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            offset += 1
        }
    }

    private mutating func word<Value>(_ word: StaticString, _ value: Value) throws(JSONFault) -> Value {
        for index in 0..<word.utf8CodeUnitCount {
            guard offset < bytes.count, bytes[offset] == word.utf8Start[index] else {
                throw fault("expected a value")
            }
            offset += 1
        }
        return value
    }

    /// Moves to the next byte that ends or escapes a string; refuses control characters and the end of the
    /// bytes.
    private mutating func skipPlain() throws(JSONFault) {
        let wordSize = MemoryLayout<UInt64>.size
        if let base = bytes.baseAddress {
            while offset + wordSize <= bytes.count {
                let word = UnsafeRawPointer(base + offset).loadUnaligned(as: UInt64.self)
                guard !JSONText.hasSpecial(word) else { break }
                offset += wordSize
            }
        }
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return }
            guard byte >= 0x20 else { throw fault("a control character in a string must be escaped") }
            offset += 1
        }
        throw fault("the document ends too early")
    }

    private func text(_ utf8: UnsafeBufferPointer<UInt8>, from start: Int) throws(JSONFault) -> String {
        guard let text = String(validating: utf8, as: UTF8.self) else {
            throw JSONFault(offset: start, problem: "a string is not UTF-8", isEncoding: true)
        }
        return text
    }

    private mutating func escapedString(from start: Int) throws(JSONFault) -> String {
        var resolved: [UInt8] = []
        resolved.reserveCapacity(2 * (offset - start) + 32)
        var plainStart = start
        while true {
            resolved.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[plainStart..<offset]))
            if bytes[offset] == UInt8(ascii: "\"") { break }
            offset += 1
            try escape(into: &resolved)
            plainStart = offset
            try skipPlain()
        }
        offset += 1
        guard let text = String(validating: resolved, as: UTF8.self) else {
            throw JSONFault(offset: start, problem: "a string is not UTF-8", isEncoding: true)
        }
        return text
    }

    private mutating func escape(into resolved: inout [UInt8]) throws(JSONFault) {
        guard offset < bytes.count else { throw fault("the document ends too early") }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): resolved.append(byte)
        case UInt8(ascii: "b"): resolved.append(0x08)
        case UInt8(ascii: "f"): resolved.append(0x0C)
        case UInt8(ascii: "n"): resolved.append(0x0A)
        case UInt8(ascii: "r"): resolved.append(0x0D)
        case UInt8(ascii: "t"): resolved.append(0x09)
        case UInt8(ascii: "u"): resolved.append(contentsOf: String(try escapedScalar()).utf8)
        default: throw JSONFault(offset: offset - 1, problem: "no such escape in a string")
        }
    }

    /// Reads what follows `\u`: four hexadecimal digits, and the second half of a surrogate pair.
    private mutating func escapedScalar() throws(JSONFault) -> Unicode.Scalar {
        let start = offset
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
            bytes[offset + 1] == UInt8(ascii: "u")
        else { throw JSONFault(offset: start, problem: "half a surrogate pair") }
        offset += 2
        let second = try hexadecimal()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw JSONFault(offset: start, problem: "half a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        guard offset + 4 <= bytes.count else {
            throw JSONFault(offset: bytes.count, problem: "the document ends too early")
        }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue, bytes[offset] < 0x80
            else {
                throw fault("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }

    /// Reads a number; nil when it is none of 64 bits without fraction and exponent.
    private mutating func number() throws(JSONFault) -> Int64? {
        let isNegative = offset < bytes.count && bytes[offset] == UInt8(ascii: "-")
        if isNegative { offset += 1 }
        let startsWithZero = offset < bytes.count && bytes[offset] == UInt8(ascii: "0")
        var value: Int64? = 0
        let digits = try digits { digit in
            let (product, overflowed) = (value ?? 0).multipliedReportingOverflow(by: 10)
            let (next, passed) = product.addingReportingOverflow(isNegative ? -digit : digit)
            value = overflowed || passed || value == nil ? nil : next
        }
        guard !startsWithZero || digits == 1 else { throw fault("a number must not start with zero") }
        if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
            offset += 1
            value = nil
            _ = try self.digits { _ in }
        }
        if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
            offset += 1
            value = nil
            if offset < bytes.count, bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-")
            {
                offset += 1
            }
            _ = try self.digits { _ in }
        }
        return value
    }

    /// Reads at least one digit and says how many there were.
    private mutating func digits(_ each: (Int64) -> Void) throws(JSONFault) -> Int {
        let start = offset
        while offset < bytes.count, bytes[offset] &- UInt8(ascii: "0") < 10 {
            each(Int64(bytes[offset] - UInt8(ascii: "0")))
            offset += 1
        }
        guard offset > start else { throw fault("expected a digit") }
        return offset - start
    }
}
