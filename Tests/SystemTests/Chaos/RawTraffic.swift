import NIOCore
import Synchronization

/// Does to all connections of a proxy what the test says at the moment.
final class Weather: Sendable {
    enum Kind: Sendable {
        case fair
        /// Takes everything and gives nothing on, in both directions.
        case blackHole
        case slow(TimeAmount)
        /// Gives on so many bytes of answers, then resets.
        case cutAfter(responseBytes: Int)
    }

    private let kind = Mutex(Kind.fair)

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
}

private final class WeatheredTraffic: Traffic {
    private let weather: Weather

    init(weather: Weather) { self.weather = weather }

    func fromClient(_ bytes: ByteBuffer) -> Verdict {
        switch weather.now {
        case .fair, .cutAfter: .forward([bytes])
        case .blackHole: .forward([])
        case .slow(let time): .delay(bytes, time)
        }
    }

    func fromServer(_ bytes: ByteBuffer) -> Verdict {
        switch weather.now {
        case .fair: return .forward([bytes])
        case .blackHole: return .forward([])
        case .slow(let time): return .delay(bytes, time)
        case .cutAfter:
            let allowed = weather.allowance(for: bytes.readableBytes)
            return allowed == bytes.readableBytes ? .forward([bytes]) : .cut
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
