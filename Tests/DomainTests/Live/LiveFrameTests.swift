import Domain
import Foundation
import Testing

@Suite("Live frames")
struct LiveFrameTests {
    static let epoch = LogEpoch.random()
    static let cursor = LogCursor(epoch: epoch, position: 4_711)
    static let thread = MessageThread.ID(rawValue: 77)
    static let texts = [
        "plain", "", "tab\tquote\"back\\slash\nline\u{0}\u{1F}", "سلام، كيف الحال؟", "你好，世界", "e\u{301} ≠ é",
        "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇨🇭", "\u{202E}right to left\u{202C}\u{200D}\u{FEFF}", String(repeating: "x", count: 60_000),
    ]

    static let clientFrames: [ClientFrame] =
        [
            .hello(token: Sealed("to\"ken"), cursor: cursor), .hello(token: Sealed("t"), cursor: nil),
            .receipt(thread: thread, delivered: 5, read: nil),
            .receipt(thread: thread, delivered: nil, read: 0),
            .receipt(thread: thread, delivered: 9, read: 8), .ping(ref: nil), .ping(ref: FrameRef(-3)),
            .route,
        ]
        + texts.map { text in
            .send(
                SendFrame(
                    ref: FrameRef(7), clientID: .random(), thread: thread, text: Sealed(text),
                    priority: text.count % 2 == 0 ? .normal : .urgent))
        }

    static let contents: [EntryContent] =
        texts.map { .message(text: Sealed($0), priority: .urgent) } + [
            .message(text: Sealed("a"), priority: .normal), .recalledMessage,
            .created(
                subject: Sealed("Größe \"x\""), participants: [User.ID(rawValue: 1), User.ID(rawValue: 2)]),
            .created(subject: Sealed(""), participants: []), .added([User.ID(rawValue: 3)]),
            .left(User.ID(rawValue: Int64.max)), .recalled(number: 12), .subjectChanged(Sealed("新")), .closed,
        ]

    static func entry(_ content: EntryContent, number: EntryNumber? = 5) -> LogEntry {
        LogEntry(
            position: 812, thread: thread, number: number, author: User.ID(rawValue: 31), device: nil,
            clientID: ClientID(high: 0x0192_0000_0000_7000, low: 0x8000_0000_0000_0001),
            at: Timestamp(microseconds: 1_795_400_000_123_000), content: content)
    }

    static let serverFrames: [ServerFrame] = [
        .welcome(user: User.ID(rawValue: 1), device: Device.ID(rawValue: 2), cursor: cursor, resync: false),
        .welcome(user: User.ID(rawValue: 1), device: Device.ID(rawValue: 2), cursor: cursor, resync: true),
        .ack(ref: FrameRef(1), position: 8, number: 2, at: Timestamp(microseconds: 5_000)),
        .refused(ref: nil, Refusal(.badFrame, "no \"good\"")),
        .refused(ref: FrameRef(2), Refusal(.unavailable, "later", retryAfterMilliseconds: 250)),
        .entries(cursor: cursor, []), .entries(cursor: cursor, contents.map { entry($0) }),
        .receipts(
            ReceiptsFrame(
                cursor: cursor, thread: thread, at: Timestamp(microseconds: 9_000),
                receipts: [Receipt(user: User.ID(rawValue: 4), delivered: 3, read: 1)])),
        .resync(cursor: cursor), .draining(reconnectAfterMilliseconds: 5_000), .pong(ref: nil),
        .pong(ref: FrameRef(6)), .bye(Refusal(.unauthenticated, "Log in again.")),
        .route(web: "web-1:8080", server: "[::1]:7400"), .unknown(kind: "newer"),
    ]

    @Test("a client's frame is read as it was written", arguments: clientFrames.indices)
    func clientRoundTrip(_ index: Int) throws {
        let frame = Self.clientFrames[index]

        #expect(try Self.client(Self.bytes(frame)) == frame)
    }

    @Test(
        "a server's frame is read as written, and is JSON to Foundation", arguments: serverFrames.indices)
    func serverRoundTrip(_ index: Int) throws {
        let frame = Self.serverFrames[index]
        var bytes: [UInt8] = []
        frame.encode(into: &bytes)

        #expect(try Self.server(bytes) == frame)
        #expect(try JSONSerialization.jsonObject(with: Data(bytes)) is [String: Any])
    }

    @Test("an entries frame wrapped around entries encoded once is the frame")
    func wrappedEntries() throws {
        let entries = Self.contents.map { Self.entry($0) }
        var whole: [UInt8] = []
        ServerFrame.entries(cursor: Self.cursor, entries).encode(into: &whole)

        var wrapped: [UInt8] = []
        JSONWriter.raw(ServerFrame.entriesStart, into: &wrapped)
        JSONWriter.cursor(Self.cursor, into: &wrapped)
        JSONWriter.raw(ServerFrame.entriesMiddle, into: &wrapped)
        for (index, entry) in entries.enumerated() {
            if index > 0 { wrapped.append(UInt8(ascii: ",")) }
            entry.encodeJSON(into: &wrapped)
        }
        JSONWriter.raw(ServerFrame.entriesEnd, into: &wrapped)

        #expect(wrapped == whole)
    }

    @Test("receipts and control entries are no lines of a thread")
    func unseenEntries() throws {
        var bytes: [UInt8] = []
        let receipts = EntryContent.receipts([Receipt(user: User.ID(rawValue: 4), delivered: 3, read: 1)])

        #expect(!Self.entry(receipts, number: nil).encodeJSON(into: &bytes))
        #expect(
            !Self.entry(.control(.userDisabled(User.ID(rawValue: 1))), number: 5).encodeJSON(into: &bytes))
        #expect(!Self.entry(.closed, number: nil).encodeJSON(into: &bytes))
        #expect(bytes.isEmpty)
        #expect(Self.entry(receipts, number: nil).encodeReceiptsFrame(cursor: Self.cursor, into: &bytes))
        #expect(
            try Self.server(bytes)
                == .receipts(
                    ReceiptsFrame(
                        cursor: Self.cursor, thread: Self.thread, at: Self.entry(.closed).at,
                        receipts: [Receipt(user: User.ID(rawValue: 4), delivered: 3, read: 1)])))
    }

    @Test("a frame cut short at any byte is refused")
    func truncated() {
        for frame in Self.clientFrames.map(Self.bytes) where frame.count < 1_000 {
            for count in 0..<frame.count {
                #expect(throws: FrameRejection.self) { try Self.client(Array(frame[..<count])) }
            }
        }
        for frame in Self.serverFrames {
            var bytes: [UInt8] = []
            frame.encode(into: &bytes)
            for count in 0..<min(bytes.count, 1_000) {
                #expect(throws: FrameRejection.self) { try Self.server(Array(bytes[..<count])) }
            }
        }
    }

    @Test("a frame with flipped bits is read or refused, never more")
    func flippedBits() {
        var generator = SeededGenerator(seed: 4)
        var refused = 0
        let frames = Self.clientFrames.map(Self.bytes).filter { $0.count < 1_000 }
        for _ in 0..<20_000 {
            guard var bytes = frames.randomElement(using: &generator) else { continue }
            for _ in 0...Int.random(in: 0...3, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^=
                    1 << UInt8.random(in: 0..<8, using: &generator)
            }
            do { _ = try Self.client(bytes) } catch { refused += 1 }
            _ = try? Self.server(bytes)  // Only that it returns matters.
        }
        #expect(refused > 10_000)
    }

    @Test("unknown fields are ignored, and the kind may come last")
    func lenientWhereAllowed() throws {
        let json =
            #"{"x":[{"y":[1.5e9,null]}],"ref":"a\u0062","thread":"77","read":2,"token":7,"kind":"receipt"}"#

        #expect(try Self.client(Array(json.utf8)) == .receipt(thread: Self.thread, delivered: nil, read: 2))
    }

    @Test("a reference comes back exactly as the client wrote it")
    func verbatimRef() throws {
        for json in [#""a\u0062\/""#, "0", "-5", #""""#, #""😀""#] {
            let frame = try Self.client(Array(#"{"kind":"ping","ref": \#(json) }"#.utf8))

            guard case .ping(let ref?) = frame else {
                Issue.record("no reference in \(frame)")
                continue
            }
            #expect(ref.json == json)
        }
    }

    @Test(
        "a refusal names the field and what is expected, and carries the reference",
        arguments: [
            (#"{"kind":"dance","ref":1}"#, "unknown-frame", "dance", "1"),
            (#"{"ref":1}"#, "bad-frame", "`kind` is missing", "1"),
            (#"{"kind":5,"ref":"r"}"#, "bad-frame", "`kind` is not valid", "\"r\""),
            (
                #"{"kind":"send","thread":"1","clientId":"x","text":"a"}"#, "bad-frame", "`ref` is missing",
                nil
            ),
            (#"{"kind":"send","ref":1.5,"thread":"1","text":"a"}"#, "bad-frame", "`ref` is not valid", nil),
            (
                #"{"kind":"send","ref":1,"thread":"1","text":"a","clientId":"x"}"#, "bad-frame", "`clientId`",
                "1"
            ),
            (#"{"kind":"send","ref":1,"thread":"1","text":7}"#, "bad-frame", "`text` is not valid", "1"),
            (#"{"kind":"receipt","ref":2,"thread":"1"}"#, "bad-frame", "`delivered` is missing", "2"),
            (#"{"kind":"receipt","thread":7,"read":1}"#, "bad-frame", "`thread` is not valid", nil),
            (#"{"kind":"receipt","thread":"7","read":-1}"#, "bad-frame", "`read` is not valid", nil),
            (#"{"kind":"hello"}"#, "bad-frame", "`token` is missing", nil),
            (#"{"kind":"hello","token":"t","cursor":"x"}"#, "bad-request", "`cursor` is not valid", nil),
            (#"{"ref":3,"kind":"ping""#, "bad-frame", "byte 22", "3"),
            (#"[]"#, "bad-frame", "expected an object", nil),
        ] as [(String, String, String, String?)])
    func refusals(_ json: String, code: String, words: String, ref: String?) {
        let rejection = #expect(throws: FrameRejection.self) { try Self.client(Array(json.utf8)) }

        #expect(rejection?.refusal.code.rawValue == code)
        #expect(rejection?.refusal.message.contains(words) == true, "\(rejection?.refusal.message ?? "")")
        #expect(rejection?.ref?.json == ref)
    }

    @Test("an unknown kind is named without letting it write into logs or pages")
    func harmlessName() {
        let kind = "<b>\\u001b[31m" + String(repeating: "y", count: 500)
        let rejection = #expect(throws: FrameRejection.self) {
            try Self.client(Array(#"{"kind":"\#(kind)"}"#.utf8))
        }

        #expect(rejection?.refusal.message.contains("?b??") == true)
        #expect(rejection?.refusal.message.contains("<") == false)
        #expect((rejection?.refusal.message.count ?? 0) < 150)
    }

    @Test("a frame that is not UTF-8 is refused as not-utf8")
    func notUTF8() {
        let bytes = Array(#"{"kind":"send","text":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8)
        let rejection = #expect(throws: FrameRejection.self) { try Self.client(bytes) }

        #expect(rejection?.refusal.code == .notUTF8)
    }

    @Test("a reference of 64 characters is taken, one of 65 refused")
    func refLimit() throws {
        let longest = String(repeating: "é", count: FrameRef.lengthLimit)

        #expect(
            try Self.client(Array(#"{"kind":"ping","ref":"\#(longest)"}"#.utf8))
                == .ping(ref: FrameRef(longest)))
        #expect(throws: FrameRejection.self) {
            try Self.client(Array(#"{"kind":"ping","ref":"\#(longest)x"}"#.utf8))
        }
        #expect(FrameRef(longest + "x") == nil)
    }

    private static func bytes(_ frame: ClientFrame) -> [UInt8] {
        var bytes: [UInt8] = []
        frame.encode(into: &bytes)
        return bytes
    }

    private static func client(_ bytes: [UInt8]) throws -> ClientFrame {
        try bytes.withUnsafeBufferPointer { try ClientFrame.decode($0) }
    }

    private static func server(_ bytes: [UInt8]) throws -> ServerFrame {
        try bytes.withUnsafeBufferPointer { try ServerFrame.decode($0) }
    }
}
