import Domain
import Testing

@Suite("Text from outside, written out")
struct EscapedTextTests {
    @Test(
        "what would steer a terminal, forge a line or turn the reading order is written out",
        arguments: [
            ("\u{0}", #"\u{0}"#), ("\u{7}", #"\u{7}"#), ("\n", #"\n"#), ("\r", #"\r"#), ("\t", #"\t"#),
            ("\r\n", #"\r\n"#), ("\u{1B}[2J", #"\u{1B}[2J"#), ("\u{7F}", #"\u{7F}"#), ("\u{80}", #"\u{80}"#),
            ("\u{9B}", #"\u{9B}"#), ("\u{9F}", #"\u{9F}"#), ("\u{61C}", #"\u{61C}"#),
            ("\u{200E}", #"\u{200E}"#),
            ("\u{200F}", #"\u{200F}"#), ("\u{2028}", #"\u{2028}"#), ("\u{2029}", #"\u{2029}"#),
            ("\u{202A}", #"\u{202A}"#), ("\u{202E}", #"\u{202E}"#), ("\u{2066}", #"\u{2066}"#),
            ("\u{2069}", #"\u{2069}"#),
        ])
    func controls(text: String, written: String) {
        #expect(escapingControls("before\(text)after") == "before\(written)after")
        #expect(escapingControls(text) == written)
    }

    @Test(
        "what people write stays as it is",
        arguments: [
            "", "Bed 12: 5 µg", "Ägnes Åberg", "\u{A0}\u{AD}", "نتيجة", "結果", "\u{200D}", "👩‍⚕️", "e\u{301}",
            "\u{FEFF}",
            #"C:\new\u{1B}"#, "\u{202F}", "\u{2065}", "\u{206A}",
        ])
    func text(_ text: String) {
        #expect(escapingControls(text) == text)
        #expect(Array(escapingControls(text).utf8) == Array(text.utf8))
    }

    @Test("every character up to the end of Unicode is either written out or left alone, byte by byte")
    func everyScalar() {
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(Character(scalar))
            let escaped = escapingControls(text)
            if EscapedText.steers(scalar) {
                #expect(!escaped.unicodeScalars.contains(where: EscapedText.steers), "U+\(value)")
            } else if !escaped.utf8.elementsEqual(text.utf8) {
                Issue.record("U+\(value) was changed")
            }
        }
    }
}
