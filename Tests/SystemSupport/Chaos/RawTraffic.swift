import NIOCore
import Synchronization

/// Does to all connections of a proxy what the test says at the moment.
final class Weather: Sendable {
    enum Kind: Sendable {
        case fair
        /// Takes everything and gives nothing on, in both directions.
        case blackHole
        /// Takes what clients say and gives nothing of it on.
        case blackHoleIn
        /// Takes what servers answer and gives nothing of it on: what was asked is done, and nobody hears of it.
        case blackHoleOut
        case slow(TimeAmount)
        /// Each piece later by a time between these; their order stays.
        case shaky(TimeAmount, upTo: TimeAmount)
        /// So many bytes a second each way.
        case narrow(bytesPerSecond: Int64)
        /// Gives on so many bytes of answers, then resets.
        case cutAfter(responseBytes: Int)
        /// Gives on so many bytes of requests, then resets.
        case cutAfterRequest(bytes: Int)
        /// Gives on what clients say next, and tells the server that they will say no more.
        case halfClosed
        /// Gives on one byte at a time.
        case sliced
    }

    private let kind = Mutex(Kind.fair)
    /// How many bytes fell into black holes.
    let swallowed = Watched(0)
    /// How many requests were cut in the middle.
    let cuts = Watched(0)

    func turn(_ kind: Kind) { self.kind.withLock { $0 = kind } }

    func traffic() -> any Traffic { WeatheredTraffic(weather: self) }

    fileprivate var now: Kind { kind.withLock { $0 } }

    /// How many of these answer bytes may pass.
    fileprivate func allowance(for bytes: Int) -> Int {
        kind.withLock { kind in
            guard case .cutAfter(let left) = kind else { return bytes }
            kind = .cutAfter(responseBytes: max(0, left - bytes))
            return min(left, bytes)
        }
    }

    /// How many of these request bytes may pass.
    fileprivate func requestAllowance(for bytes: Int) -> Int {
        kind.withLock { kind in
            guard case .cutAfterRequest(let left) = kind else { return bytes }
            kind = .cutAfterRequest(bytes: max(0, left - bytes))
            return min(left, bytes)
        }
    }
}

private final class WeatheredTraffic: Traffic {
    private let weather: Weather

    init(weather: Weather) { self.weather = weather }

    func fromClient(_ bytes: ByteBuffer) -> Verdict {
        switch weather.now {
        case .blackHoleIn: return swallow(bytes)
        case .halfClosed: return .halfClose(bytes)
        case .cutAfterRequest:
            let allowed = weather.requestAllowance(for: bytes.readableBytes)
            guard allowed < bytes.readableBytes else { return .forward([bytes]) }
            weather.cuts.update { $0 += 1 }
            // What was allowed is given on first: the other end gets the beginning of a request, and then nothing.
            return .cutAfter(bytes.getSlice(at: bytes.readerIndex, length: allowed) ?? ByteBuffer())
        case let kind: return eitherWay(kind, bytes)
        }
    }

    func fromServer(_ bytes: ByteBuffer) -> Verdict {
        switch weather.now {
        case .blackHoleOut: return swallow(bytes)
        case .cutAfter:
            let allowed = weather.allowance(for: bytes.readableBytes)
            guard allowed < bytes.readableBytes else { return .forward([bytes]) }
            return .cutAfter(bytes.getSlice(at: bytes.readerIndex, length: allowed) ?? ByteBuffer())
        case let kind: return eitherWay(kind, bytes)
        }
    }

    private func swallow(_ bytes: ByteBuffer) -> Verdict {
        weather.swallowed.update { $0 += bytes.readableBytes }
        return .forward([])
    }

    private func eitherWay(_ kind: Weather.Kind, _ bytes: ByteBuffer) -> Verdict {
        switch kind {
        case .blackHole: swallow(bytes)
        case .slow(let time): .delay(bytes, time)
        case .shaky(let least, let most):
            .delay(bytes, .nanoseconds(.random(in: least.nanoseconds...most.nanoseconds)))
        case .narrow(let rate):
            .pace(bytes, .nanoseconds(Int64(bytes.readableBytes) * 1_000_000_000 / rate))
        case .sliced: .forward(bytes.readableBytesView.map { ByteBuffer(bytes: [$0]) })
        case .fair, .blackHoleIn, .blackHoleOut, .cutAfter, .cutAfterRequest, .halfClosed: .forward([bytes])
        }
    }
}

/// Lets a live connection come to its `welcome`, and nothing after it.
final class WelcomeOnly: Traffic {
    private static let end = Array(#""resync":false}"#.utf8)

    private var answered: [UInt8] = []
    private var isOver = false

    func fromClient(_ bytes: ByteBuffer) -> Verdict { .forward([bytes]) }

    func fromServer(_ bytes: ByteBuffer) -> Verdict {
        if isOver { return .forward([]) }
        let before = answered.count
        answered += Array(bytes.readableBytesView)
        guard let end = answered.firstRange(of: Self.end) else { return .forward([bytes]) }
        isOver = true
        return .forward([ByteBuffer(bytes: answered[before..<end.upperBound])])
    }
}
