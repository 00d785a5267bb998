import Domain
import Observability
import ServiceLink
import SwiftProtobuf
import Testing

@Suite("Conversions to the link and back")
struct ConversionTests {
    static let contents: [EntryContent] = [
        .message(text: Sealed("مرحبا 👩‍👩‍👧"), priority: .urgent),
        .recalledMessage,
        .receipts([Receipt(user: User.ID(rawValue: 5), delivered: 7, read: 6)]),
        .created(subject: Sealed("Subject"), participants: [User.ID(rawValue: 1), User.ID(rawValue: 2)]),
        .added([User.ID(rawValue: 3)]), .left(User.ID(rawValue: 4)), .recalled(number: 9),
        .subjectChanged(Sealed("New")), .closed, .control(.sessionRevoked(session: 11)), .unknown(kind: 200),
    ]

    @Test("keep every kind of entry", arguments: contents)
    func keepsEntries(content: EntryContent) throws {
        let entry = LogEntry(
            position: 812, thread: .init(rawValue: 77), number: 5, author: .init(rawValue: 31),
            device: .init(rawValue: 8), clientID: .random(),
            at: Timestamp(microseconds: 1_795_400_000_123_456),
            content: content)

        let bytes: [UInt8] = try LinkEntry(entry).serializedBytes()
        let back = LogEntry(try LinkEntry(serializedBytes: bytes))

        #expect(back == entry)
    }

    @Test("keep what an entry does not have")
    func keepsAbsence() {
        let entry = LogEntry(
            position: 1, thread: .init(rawValue: 2), number: nil, author: nil, device: nil, clientID: nil,
            at: Timestamp(microseconds: 3), content: .closed)

        #expect(LogEntry(LinkEntry(entry)) == entry)
    }

    @Test("keep every code of refusal", arguments: Refusal.Code.allCases)
    func keepsRefusals(code: Refusal.Code) {
        let refusal = Refusal(code, "Text.", retryAfterMilliseconds: code == .unavailable ? 1_000 : nil)

        #expect(Refusal(LinkRefused(refusal)) == refusal)
    }

    @Test("keep cursors, and their absence")
    func keepsCursors() {
        let cursor = LogCursor(epoch: .random(), position: 40)
        var attach = LinkAttach()
        #expect(attach.cursor == nil)

        attach.cursor = cursor
        #expect(attach.cursor == cursor)
        attach.cursor = nil
        #expect(attach == LinkAttach())
    }
}

@Suite("Metrics")
struct MetricTests {
    @Test("are rendered as Prometheus reads them")
    func renders() {
        let metrics = MetricRegistry()
        metrics.counter(.linkRequests, [("server", "a\"b\\c\nd")]).add(3)
        metrics.counter(.linkRequests, [("server", "a\"b\\c\nd")]).add()
        metrics.gauge(.linkSessions).set(-2)
        let times = metrics.histogram(.appendSeconds, bounds: [0.001, 1])
        times.record(.microseconds(500))
        times.record(.milliseconds(1_500))

        #expect(
            metrics.render() == """
                # HELP asm_link_requests_total Requests sent to ASM Services.
                # TYPE asm_link_requests_total counter
                asm_link_requests_total{server="a\\"b\\\\c\\nd"} 4
                # HELP asm_link_sessions Open live sessions.
                # TYPE asm_link_sessions gauge
                asm_link_sessions -2
                # HELP asm_log_append_seconds Time of one append, commit included.
                # TYPE asm_log_append_seconds histogram
                asm_log_append_seconds_bucket{le="0.001"} 1
                asm_log_append_seconds_bucket{le="1.0"} 1
                asm_log_append_seconds_bucket{le="+Inf"} 2
                asm_log_append_seconds_sum 1.5005
                asm_log_append_seconds_count 2

                """)
    }
}
