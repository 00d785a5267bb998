import Domain

/// A small generator with a seed, so that a failing document can be made again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A JSON value as a tree, for comparing what two readers make of one document.
indirect enum JSONTree: Hashable {
    case object([String: JSONTree])
    case array([JSONTree])
    case scalar(JSONScalar)
}

extension JSONTree {
    /// What the scanner under test reads.
    static func read(from scanner: inout JSONScanner) throws(JSONFault) -> JSONTree {
        switch scanner.peek() {
        case UInt8(ascii: "{"):
            var members: [String: JSONTree] = [:]
            try scanner.object { (key, scanner) throws(JSONFault) in members[key] = try read(from: &scanner) }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONTree] = []
            try scanner.array { (scanner) throws(JSONFault) in elements.append(try read(from: &scanner)) }
            return .array(elements)
        default: return .scalar(try scanner.scalar())
        }
    }

    static func random(depth: Int = 0, using generator: inout SeededGenerator) -> JSONTree {
        switch Int.random(in: 0..<(depth < 5 ? 8 : 5), using: &generator) {
        case 0: .scalar(.integer(Int64.random(in: .min ... .max, using: &generator)))
        case 1: .scalar(.integer(Int64.random(in: -1_000...1_000, using: &generator)))
        case 2: .scalar([.null, .bool(true), .bool(false)].randomElement(using: &generator) ?? .null)
        case 3, 4: .scalar(.string(randomText(using: &generator)))
        case 5:
            .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                    random(depth: depth + 1, using: &generator)
                })
        default: randomObject(depth: depth, using: &generator)
        }
    }

    static func randomObject(depth: Int = 0, using generator: inout SeededGenerator) -> JSONTree {
        var members: [String: JSONTree] = [:]
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            members[randomText(using: &generator)] = random(depth: depth + 1, using: &generator)
        }
        return .object(members)
    }

    static func randomText(using generator: inout SeededGenerator) -> String {
        let ranges: [ClosedRange<UInt32>] = [
            0x00...0x7F, 0x20...0x7E, 0x20...0x7E, 0x80...0x7FF, 0x600...0x6FF, 0x4E00...0x9FFF,
            0xE000...0xFDCF,
            0x1F300...0x1FAFF, 0x200C...0x200F, 0x10_0000...0x10_FFFF,
        ]
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...24, using: &generator) {
            guard let range = ranges.randomElement(using: &generator),
                let scalar = Unicode.Scalar(UInt32.random(in: range, using: &generator))
            else { continue }
            text.append(scalar)
        }
        return String(text)
    }

    /// The tree as a document, with white space and escapes in random places.
    func document(using generator: inout SeededGenerator) -> String {
        let space = ["", "", "", " ", "\n", "\t\r "].randomElement(using: &generator) ?? ""
        switch self {
        case .object(let members):
            var parts: [String] = []
            for (key, value) in members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                parts.append(
                    Self.quoted(key, using: &generator) + space + ":" + value.document(using: &generator))
            }
            return space + "{" + space + parts.joined(separator: space + "," + space) + "}" + space
        case .array(let elements):
            let parts = elements.map { $0.document(using: &generator) }
            return "[" + space + parts.joined(separator: ",") + "]"
        case .scalar(.string(let text)): return space + Self.quoted(text, using: &generator) + space
        case .scalar(.integer(let value)): return space + String(value)
        case .scalar(.bool(let value)): return String(value) + space
        case .scalar: return "null"
        }
    }

    private static func quoted(_ text: String, using generator: inout SeededGenerator) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
            if mustEscape || Int.random(in: 0..<8, using: &generator) == 0 {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16, uppercase: Bool.random(using: &generator))
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension JSONScanner {
    /// Runs `body` over a scanner of the bytes.
    static func scan<Value>(
        _ bytes: [UInt8], _ body: (inout JSONScanner) throws(JSONFault) -> Value
    ) throws(JSONFault) -> Value {
        let result: Result<Value, JSONFault> = bytes.withUnsafeBufferPointer { buffer in
            var scanner = JSONScanner(buffer)
            do throws(JSONFault) {
                let value = try body(&scanner)
                try scanner.end()
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    static func tree(_ bytes: [UInt8]) throws(JSONFault) -> JSONTree {
        try scan(bytes) { (scanner) throws(JSONFault) in try JSONTree.read(from: &scanner) }
    }
}
