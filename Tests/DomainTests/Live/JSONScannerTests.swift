import Domain
import Foundation
import Testing

@Suite("Scanning JSON")
struct JSONScannerTests {
    @Test("random documents mean the same to the scanner and to Foundation")
    func agreesWithFoundation() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<1_000 {
            let tree = JSONTree.randomObject(using: &generator)
            let document = tree.document(using: &generator)

            let scanned = try JSONScanner.tree(Array(document.utf8))
            let foundation = try JSONSerialization.jsonObject(with: Data(document.utf8))

            #expect(scanned == tree, "\(document)")
            #expect(Self.tree(foundation) == tree, "\(document)")
        }
    }

    @Test("every text written reads back unchanged in Foundation and in the scanner")
    func writtenTextsReadBack() throws {
        var generator = SeededGenerator(seed: 2)
        let everyASCII = String(String.UnicodeScalarView((0..<128).compactMap { Unicode.Scalar($0) }))
        let texts = [everyASCII, "", String(repeating: "long and plain ", count: 5_000)]
        for text in texts + (0..<1_000).map({ _ in JSONTree.randomText(using: &generator) }) {
            var bytes: [UInt8] = []
            JSONWriter.string(text, into: &bytes)

            let foundation = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            let scanned = try JSONScanner.scan(bytes) { (scanner) throws(JSONFault) in try scanner.string() }

            #expect((foundation as? String)?.utf8.elementsEqual(text.utf8) == true)
            #expect(scanned.utf8.elementsEqual(text.utf8))
        }
    }

    @Test(
        "numbers are written as they are read",
        arguments: [0, 1, -1, 9, 10, 4_711, -99_999, Int64.max, Int64.min, 1_795_400_000_123])
    func integers(_ value: Int64) throws {
        var bytes: [UInt8] = []
        JSONWriter.integer(value, into: &bytes)

        #expect(String(decoding: bytes, as: UTF8.self) == String(value))
        #expect(
            try JSONScanner.scan(bytes) { (scanner) throws(JSONFault) in try scanner.integer() } == value)
    }

    @Test(
        "what is not JSON is refused",
        arguments: [
            "", " ", "{", "}", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{'a':1}", "[1 2]", "01", "-",
            "-01", "1.",
            ".5", "1e", "1e+", "+1", "0x10", "NaN", "tru", "nulL", "True", "\"", "\"\\", "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12G4\"", "\"a\nb\"", "\"\u{1}\"", "{}{}", "[] x", "\u{FEFF}{}", "// {}", "[,1]", "{,}",
            "{\"a\":}",
            "\"\\ud83d\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"",
            "\"\\ude00\\ud83d\"", "\"\\ud83d\\ud83d\"",
        ])
    func refuses(_ document: String) {
        #expect(throws: JSONFault.self) { try JSONScanner.tree(Array(document.utf8)) }
        #expect(throws: JSONFault.self) {
            try JSONScanner.scan(Array(document.utf8)) { (scanner) throws(JSONFault) in try scanner.skip() }
        }
    }

    @Test(
        "a number that is no 64-bit integer is refused where an integer is expected, and skipped elsewhere",
        arguments: ["1.0", "1e3", "9223372036854775808", "-9223372036854775809", "1E-2", "-0.0"])
    func otherNumbers(_ number: String) throws {
        #expect(throws: JSONFault.self) {
            try JSONScanner.scan(Array(number.utf8)) { (scanner) throws(JSONFault) in try scanner.integer() }
        }
        #expect(try JSONScanner.tree(Array(number.utf8)) == .scalar(.other))
    }

    @Test("escapes stand for what they say")
    func escapes() throws {
        let document = #""\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\uDE00\ud83d\ude00""#
        let text = "\"\\/\u{8}\u{C}\n\r\tAé😀😀"

        #expect(try JSONScanner.tree(Array(document.utf8)) == .scalar(.string(text)))
    }

    @Test("of a key given twice the last counts")
    func lastKeyWins() throws {
        let tree = try JSONScanner.tree(Array(#"{"a":1,"a":2}"#.utf8))

        #expect(tree == .object(["a": .scalar(.integer(2))]))
    }

    @Test("bytes that are not UTF-8 are refused as such, also in what is skipped")
    func notUTF8() throws {
        let bad: [[UInt8]] = [
            [0x80], [0xC3], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF], [0xE2, 0x82],
        ]
        for sequence in bad {
            let document = Array("{\"skipped\":\"ab".utf8) + sequence + Array("\"}".utf8)

            let fault = #expect(throws: JSONFault.self) {
                try JSONScanner.scan(document) { (scanner) throws(JSONFault) in try scanner.skip() }
            }

            #expect(fault?.isEncoding == true)
            #expect(fault?.offset == 12)
        }
    }

    @Test(
        "deep nesting is refused before it can exhaust the stack", arguments: ["[", "{\"a\":", "[{\"b\":["])
    func depthBomb(_ opening: String) throws {
        let document = Array(String(repeating: opening, count: 100_000).utf8)

        let fault = #expect(throws: JSONFault.self) {
            try JSONScanner.scan(document) { (scanner) throws(JSONFault) in try scanner.skip() }
        }

        #expect(fault?.problem.contains("deep") == true)
    }

    @Test("nesting up to the limit is read")
    func depthLimit() throws {
        let depth = JSONScanner.depthLimit
        let document = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)

        #expect(throws: Never.self) { try JSONScanner.tree(Array(document.utf8)) }
        #expect(throws: JSONFault.self) { try JSONScanner.tree(Array("[\(document)]".utf8)) }
    }

    @Test("whatever the scanner accepts after a bit was flipped, Foundation accepts as well")
    func flippedBits() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<3_000 {
            var bytes = Array(JSONTree.randomObject(using: &generator).document(using: &generator).utf8)
            let index = Int.random(in: 0..<bytes.count, using: &generator)
            bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)

            if let tree = try? JSONScanner.tree(bytes) {  // Refusing is right too: most of these are broken.
                let foundation = try? JSONSerialization.jsonObject(with: Data(bytes))
                #expect(foundation != nil, "\(tree)")
            }
        }
    }

    private static func tree(_ value: Any) -> JSONTree {
        switch value {
        case let members as [String: Any]: .object(members.mapValues(tree))
        case let elements as [Any]: .array(elements.map(tree))
        case let text as String: .scalar(.string(text))
        case let number as NSNumber:
            String(cString: number.objCType) == "c"
                ? .scalar(.bool(number.boolValue)) : .scalar(.integer(number.int64Value))
        default: .scalar(.null)
        }
    }
}
