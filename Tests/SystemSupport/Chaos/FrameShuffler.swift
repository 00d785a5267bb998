import NIOCore
import Synchronization

/// Sends a server's `entries` frames twice, in the wrong order, or not at all; everything else passes.
final class FrameShuffler: Sendable {
    struct Counts: Hashable, Sendable {
        var doubled = 0
        var swapped = 0
        var dropped = 0
    }

    fileprivate struct State {
        var isOn = false
        var frames = 0
        var counts = Counts()
    }

    fileprivate let state = Mutex(State())

    var counts: Counts { state.withLock { $0.counts } }

    func turn(on isOn: Bool) { state.withLock { $0.isOn = isOn } }

    func traffic() -> any Traffic { ShuffledTraffic(shuffler: self) }

    fileprivate enum Fate { case pass, double, hold, drop }

    fileprivate func nextFate() -> Fate {
        state.withLock { state in
            guard state.isOn else { return .pass }
            state.frames += 1
            switch state.frames % 7 {
            case 1, 3:
                state.counts.doubled += 1
                return .double
            case 4:
                state.counts.swapped += 1
                return .hold
            case 6:
                state.counts.dropped += 1
                return .drop
            default: return .pass
            }
        }
    }
}

/// Passes HTTP as it is, and takes a WebSocket's frames from the server apart.
private final class ShuffledTraffic: Traffic {
    private enum Phase { case head, plain, frames }

    private static let upgraded = "HTTP/1.1 101"
    private static let entries = Array(#""kind":"entries""#.utf8)

    private let shuffler: FrameShuffler
    private var phase = Phase.head
    private var unread = ByteBuffer()
    /// A frame that waits until the next one has passed.
    private var held: ByteBuffer?

    init(shuffler: FrameShuffler) { self.shuffler = shuffler }

    func fromClient(_ bytes: ByteBuffer) -> Verdict { .forward([bytes]) }

    func fromServer(_ bytes: ByteBuffer) -> Verdict {
        if phase == .plain { return .forward([bytes]) }
        unread.writeImmutableBuffer(bytes)
        var passed: [ByteBuffer] = []
        if phase == .head { passed += readHead() }
        while phase == .frames, let frame = readFrame() {
            if frame.readableBytesView.holds(Self.entries) {
                passed += fate(of: frame)
            } else {
                passed.append(frame)
            }
        }
        return .forward(passed)
    }

    private func readHead() -> [ByteBuffer] {
        let text = String(buffer: unread)
        guard text.utf8.count >= Self.upgraded.utf8.count else { return [] }
        guard text.hasPrefix(Self.upgraded) else {
            phase = .plain
            defer { unread = ByteBuffer() }
            return [unread]
        }
        guard let end = text.firstRange(of: "\r\n\r\n") else { return [] }
        phase = .frames
        return unread.readSlice(length: text[..<end.upperBound].utf8.count).map { [$0] } ?? []
    }

    private func fate(of frame: ByteBuffer) -> [ByteBuffer] {
        var passed: [ByteBuffer] = []
        switch shuffler.nextFate() {
        case .pass: passed = [frame]
        case .double: passed = [frame, frame]
        case .drop: break
        case .hold:
            defer { held = frame }
            return held.map { [$0] } ?? []
        }
        if let held, !passed.isEmpty {
            passed.append(held)
            self.held = nil
        }
        return passed
    }

    /// The next whole frame with its header; servers do not mask (RFC 6455, section 5.2).
    private func readFrame() -> ByteBuffer? {
        let start = unread.readerIndex
        guard let short = unread.getInteger(at: start + 1, as: UInt8.self) else { return nil }
        let (header, payload): (Int, Int?) =
            switch short & 0x7F {
            case 126: (4, unread.getInteger(at: start + 2, as: UInt16.self).map(Int.init))
            case 127: (10, unread.getInteger(at: start + 2, as: UInt64.self).map(Int.init))
            default: (2, Int(short & 0x7F))
            }
        guard let payload else { return nil }
        return unread.readSlice(length: header + payload)
    }
}

extension ByteBufferView {
    fileprivate func holds(_ part: [UInt8]) -> Bool {
        prefix(64).indices.contains { self[$0...].starts(with: part) }
    }
}
