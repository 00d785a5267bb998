import Domain
import Testing

@Suite("Cursors of a log")
struct LogCursorTests {
    private static let epoch = "0b2f9a64-2d55-4f3e-8a51-6e1f0f3c9d27"

    @Test(
        "come back as they were written, with a fingerprint, without one, and before the first entry",
        arguments: [".4711.6ce09ad30901", ".4711", ".0", ".9007199254740992.000000000001"])
    func roundTrip(rest: String) throws {
        let text = Self.epoch + rest

        let cursor = try #require(LogCursor(text))

        #expect(cursor.description == text)
        var bytes: [UInt8] = []
        JSONWriter.cursor(cursor, into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "\"\(text)\"")
    }

    @Test(
        "are refused in every other form",
        arguments: [
            "", ".", ".5.", "..6ce09ad30901", ".+5", ".005", ".-5", ".5 ", ".9007199254740993",
            ".5.6CE09AD30901", ".5.6ce09ad3090", ".5.6ce09ad309012", ".5.000000000000", ".5.+ce09ad30901",
            ".5.0x6ce09ad309", ".5.6ce09ad3090g", ".5.6ce09ad30901.", ".5.6ce09ad30901.6ce09ad30901",
            ".0.6ce09ad30901", ".5.６ce09ad309",
        ])
    func strict(rest: String) {
        #expect(LogCursor(Self.epoch + rest) == nil)
    }

    @Test("are refused with an epoch in upper case")
    func upperCase() {
        #expect(LogCursor(Self.epoch.uppercased() + ".5") == nil)
    }

    @Test("have a fingerprint that is the same on every machine and in every version")
    func fixed() {
        let entry = Self.entry(at: 1_795_400_000_123_456)

        #expect(CursorFingerprint(entry.mark).description == "6ce09ad30901")
    }

    @Test("know another entry at their position, and take the same one when its message was taken back")
    func tells() {
        let entry = Self.entry(at: 1_795_400_000_123_456)
        let cursor = LogCursor(epoch: .random(), position: 4_711, mark: entry.mark)

        #expect(cursor.mayStand(at: Self.entry(at: 1_795_400_000_123_456, .recalledMessage).mark))
        #expect(!cursor.mayStand(at: Self.entry(at: 1_795_400_000_123_457).mark))
        #expect(!cursor.mayStand(at: nil))
        #expect(LogCursor(epoch: .random(), position: 4_711).mayStand(at: entry.mark))
    }

    private static func entry(
        at microseconds: Int64, _ content: EntryContent = .message(text: Sealed("x"), priority: .normal)
    ) -> LogEntry {
        LogEntry(
            position: 4_711, thread: .init(rawValue: 77), number: 5, author: .init(rawValue: 31), device: nil,
            clientID: ClientID("01a7b2c4-6e00-7d3a-9b1f-5c0e8a4d2f61"),
            at: Timestamp(microseconds: microseconds), content: content)
    }
}
