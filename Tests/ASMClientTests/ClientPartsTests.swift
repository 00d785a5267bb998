import Domain
import NIOCore
import NIOWebSocket
import Testing

@testable import ASMClient

@Suite("The outbox")
struct OutboxTests {
    @Test("frames leave in order, no more than the window, and each once")
    func window() {
        var outbox = Self.outbox(["a", "b", "c"], window: 2)

        #expect(outbox.takeFrames().map(\.text.open) == ["a", "b"])
        #expect(outbox.takeFrames().isEmpty)
        #expect(outbox.finish(ref: FrameRef(1))?.text.open == "a")
        #expect(outbox.takeFrames().map(\.text.open) == ["c"])
        #expect(outbox.finish(ref: FrameRef(1)) == nil)
    }

    @Test("after a lost connection everything unanswered is repeated in order with the same ids")
    func repeats() {
        var outbox = Self.outbox(["a", "b", "c"], window: 3)
        let first = outbox.takeFrames()
        _ = outbox.finish(ref: first[1].ref)

        outbox.connectionLost()
        let again = outbox.takeFrames()

        #expect(again.map(\.text.open) == ["a", "c"])
        #expect(again.map(\.clientID) == [first[0].clientID, first[2].clientID])
    }

    @Test("after an unavailable nothing is sent until all answers are there, then all in order")
    func holds() {
        var outbox = Self.outbox(["a", "b", "c"], window: 2)
        let frames = outbox.takeFrames()
        let now = ContinuousClock.now

        #expect(outbox.postpone(ref: frames[0].ref, until: now + .seconds(2)) != nil)
        #expect(outbox.takeFrames().isEmpty)
        #expect(outbox.resume(at: now + .seconds(3)) == false)
        #expect(outbox.postpone(ref: frames[1].ref, until: now + .seconds(1)) != nil)
        #expect(outbox.resume(at: now + .seconds(1)) == false)
        #expect(outbox.resume(at: now + .seconds(2)) == true)
        #expect(outbox.takeFrames().map(\.text.open) == ["a", "b"])
    }

    static func outbox(_ texts: [String], window: Int) -> Outbox {
        var outbox = Outbox(limit: texts.count, window: window)
        for text in texts {
            _ = outbox.add(
                Outbox.Item(id: .random(), thread: FakeWeb.thread, text: Sealed(text), priority: .normal))
        }
        return outbox
    }
}

@Suite("A thread's progress")
struct ThreadProgressTests {
    @Test("any order of numbers with repetitions is taken once each and leaves no hole")
    func everyOrder() {
        for seed in 0..<200 {
            var order = Array(Int64(1)...12) + [3, 7, 12]
            var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
            for index in order.indices.reversed() {
                state = state &* 6_364_136_223_846_793_005 &+ 1
                order.swapAt(index, Int(state >> 33) % (index + 1))
            }
            var progress = ThreadProgress(contiguous: 0, above: [], lastEntry: 0)

            let fresh = order.count { progress.take(entry: $0) }

            #expect(fresh == 12)
            #expect(progress == ThreadProgress(contiguous: 12, above: [], lastEntry: 12))
        }
    }

    @Test("a number missing below an entry is a hole; below an own message it is not")
    func holes() {
        var progress = ThreadProgress(firstEntry: 4)
        progress.take(ownMessage: 7)
        #expect(progress.hole == nil)
        #expect(progress.take(entry: 8) == true)
        #expect(progress.hole == 5...7)

        #expect(progress.take(entry: 6) == true)
        #expect(progress.take(entry: 5) == true)
        #expect(progress.hole == nil)
        #expect(progress.contiguous == 8)
    }

    @Test("an entry older than the first own acknowledgement is new, for answers may overtake entries")
    func overtakingAnswer() {
        var progress = ThreadProgress(ownMessage: 6)
        progress.take(ownMessage: 8)

        #expect(progress.take(entry: 5) == true)
        #expect(progress.take(entry: 6) == false)
        #expect(progress.take(entry: 7) == true)
        #expect(progress.contiguous == 8)
        #expect(progress.take(entry: 5) == false)
    }

    @Test("who is added again has no hole where they were away")
    func addedAgain() {
        var progress = ThreadProgress(firstEntry: 3)
        progress.restart(at: 20)

        #expect(progress.take(entry: 20) == true)
        #expect(progress.hole == nil)
    }

    @Test("what is missing of the time before leaving stays missing when the user is added again")
    func addedAgainWithHole() {
        var progress = ThreadProgress(firstEntry: 3)
        _ = progress.take(entry: 6)
        progress.restart(at: 20)

        #expect(progress.take(entry: 20) == true)
        #expect(progress.hole?.lowerBound == 4)
        #expect(progress.take(entry: 5) == true)
        #expect(progress.take(entry: 4) == true)
        #expect(progress.hole == nil)
        #expect(progress.contiguous == 20)
    }

    @Test("a hole that cannot be filled is given up")
    func givenUp() {
        var progress = ThreadProgress(firstEntry: 1)
        _ = progress.take(entry: 5)
        progress.giveUpHole()

        #expect(progress.hole == nil)
        #expect(progress.contiguous == 5)
    }
}

@Suite("Parts of the client")
struct ClientPartsTests {
    @Test(
        "pauses are drawn from zero up to a bound that doubles to 30 seconds, and fall back after a success")
    func backoff() {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        var bound = Duration.milliseconds(250)
        for _ in 0..<100 {
            #expect(backoff.bound == min(bound, .seconds(30)))
            let pause = backoff.next(using: &generator)
            #expect(pause >= .zero && pause < min(bound, .seconds(30)))
            bound = min(bound * 2, .seconds(30))
        }
        backoff.reset()
        #expect(backoff.bound == .milliseconds(250))
    }

    @Test("the largest and the smallest random number give the ends of the pause")
    func jitterBounds() {
        struct Fixed: RandomNumberGenerator {
            let value: UInt64
            mutating func next() -> UInt64 { value }
        }
        var least = Fixed(value: 0)
        var most = Fixed(value: .max)
        var first = Backoff()
        var second = Backoff()

        #expect(first.next(using: &least) == .zero)
        #expect(second.next(using: &most) > .milliseconds(249))
    }

    @Test(
        "an address is read as it was meant",
        arguments: [
            ("http://localhost:8080", "http://localhost:8080"), ("http://a.example/", "http://a.example"),
            ("https://a.example", "https://a.example"), ("https://a.example:443", "https://a.example"),
            ("http://[::1]:8080", "http://[::1]:8080"), ("http://127.0.0.1", "http://127.0.0.1"),
        ])
    func addresses(_ text: String, expected: String) throws {
        #expect(try WebAddress(text).description == expected)
    }

    @Test(
        "an address that cannot be meant is refused with what is expected",
        arguments: [
            ("localhost:8080", "http://"), ("ftp://a", "http://"), ("http://", "host"),
            ("http://a:0", "65535"),
            ("http://a:99999", "65535"), ("http://a:b", "65535"), ("http://a/path", "only a host"),
            ("http://u@a", "only a host"), ("http://a b", "only a host"), ("http://[::1", "']'"),
            ("", "http://"),
        ])
    func badAddresses(_ text: String, words: String) {
        let error = #expect(throws: MessagingError.self) { try WebAddress(text) }

        #expect(error?.message.contains(words) == true)
    }

    @Test("a saved state reads back as it was")
    func savedState() throws {
        var state = SavedState()
        state.cursor = LogCursor(epoch: .random(), position: 4_711)
        state.progress = [
            FakeWeb.thread: ThreadProgress(contiguous: 3, above: [5, 6, 9], lastEntry: 6),
            MessageThread.ID(rawValue: 8): ThreadProgress(ownMessage: 4),
        ]
        state.outbox = OutboxTests.outbox(["a\"b", "👩‍👩‍👧‍👦\n"], window: 1).items

        #expect(try SavedState(json: state.json) == state)
    }

    @Test("an app that is too slow is told that it fell behind, and goes on from there")
    func fellBehind() async {
        let buffer = EventBuffer(limit: 3)
        for _ in 0..<4 { buffer.push(.resynced(isComplete: true)) }
        buffer.finish()

        var events: [ClientEvent] = []
        while let event = await buffer.next() { events.append(event) }

        #expect(events == [.fellBehind, .resynced(isComplete: true)])
    }

    @Test("a masked frame is what NIO reads, at every length around the limits of the header")
    func masking() throws {
        for count in Array(0...40) + [125, 126, 127, 65_535, 65_536, 70_001] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            var buffer = ByteBuffer()
            buffer.writeFrameHeader(opcode: .text, payloadBytes: count, mask: 0x1234_ABCD)
            buffer.writeMasked(bytes, mask: 0x1234_ABCD)
            let header = count < 126 ? 6 : count < 65_536 ? 8 : 14
            var payload = buffer.getSlice(at: header, length: count) ?? ByteBuffer()

            payload.webSocketUnmask([0x12, 0x34, 0xAB, 0xCD])

            #expect(buffer.readableBytes == header + count)
            #expect(Array(payload.readableBytesView) == bytes)
        }
    }
}

@Suite("Callers who wait for an answer")
struct WaitersTests {
    private static let receipt = StoredReceipt(position: 2, number: 1, atMilliseconds: 3)

    private static func wait(_ waiters: Waiters, for id: ClientID) async throws -> StoredReceipt {
        try await withCheckedThrowingContinuation { waiters.add($0, for: id) }
    }

    @Test("an answer that comes before its caller waits is kept for the caller", .timeLimit(.minutes(1)))
    func keepsEarlyAnswers() async throws {
        let waiters = Waiters()
        let (stored, failed) = (ClientID.random(), ClientID.random())
        waiters.expect(stored)
        waiters.expect(failed)

        waiters.finish(stored, with: .success(Self.receipt))
        waiters.finishAll(with: CancellationError())

        #expect(try await Self.wait(waiters, for: stored) == Self.receipt)
        await #expect(throws: CancellationError.self) { try await Self.wait(waiters, for: failed) }
    }
}
