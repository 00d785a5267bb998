import NIOCore
import Synchronization

/// Loses answers on the service link: what was asked is done, and nobody hears of it.
///
/// Once armed, the next message that a server has accepted is not told: its answer is swallowed and the
/// connection reset.
final class AnswerThief: Sendable {
    private struct State {
        var isArmed = false
        var stolen = 0
    }

    private let state = Mutex(State())

    func arm() { state.withLock { $0.isArmed = true } }

    /// How many answers were swallowed.
    var stolen: Int { state.withLock { $0.stolen } }

    /// The traffic of one connection from a Web Service to an ASM Service.
    func traffic() -> any Traffic { LinkTraffic(thief: self) }

    fileprivate func steals() -> Bool {
        state.withLock { state in
            guard state.isArmed else { return false }
            state.isArmed = false
            state.stolen += 1
            return true
        }
    }
}

/// Reads the frames of the link: four bytes of length, then a protobuf `Frame` (link.proto).
private final class LinkTraffic: Traffic {
    // Numbers in link.proto: Frame.request and response, Request.send_message, Response.accepted; ids are 1.
    private static let request = 2
    private static let response = 3
    private static let sendMessage = 10
    private static let accepted = 10

    private let thief: AnswerThief
    private var fromClient = ByteBuffer()
    private var fromServer = ByteBuffer()
    private var sends: Set<UInt64> = []

    init(thief: AnswerThief) { self.thief = thief }

    func fromClient(_ bytes: ByteBuffer) -> Verdict {
        fromClient.writeImmutableBuffer(bytes)
        while let frame = Self.nextFrame(&fromClient) {
            guard let (kind, body) = Self.fields(frame).first, kind == Self.request else { continue }
            let fields = Self.fields(body)
            guard fields.contains(where: { $0.number == Self.sendMessage }) else { continue }
            if let id = Self.id(body) { sends.insert(id) }
        }
        return .forward([bytes])
    }

    func fromServer(_ bytes: ByteBuffer) -> Verdict {
        fromServer.writeImmutableBuffer(bytes)
        while let frame = Self.nextFrame(&fromServer) {
            guard let (kind, body) = Self.fields(frame).first, kind == Self.response, let id = Self.id(body),
                sends.remove(id) != nil, Self.fields(body).contains(where: { $0.number == Self.accepted })
            else { continue }
            if thief.steals() { return .cut }
        }
        return .forward([bytes])
    }

    private static func nextFrame(_ buffer: inout ByteBuffer) -> ByteBuffer? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self),
            buffer.readableBytes >= 4 + Int(length)
        else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        return buffer.readSlice(length: Int(length))
    }

    private static func id(_ message: ByteBuffer) -> UInt64? {
        var buffer = message
        while let (number, wire) = tag(&buffer) {
            if number == 1, wire == 0 { return varint(&buffer) }
            guard skip(wire, &buffer) != nil else { return nil }
        }
        return nil
    }

    /// The fields that hold bytes: messages and strings.
    private static func fields(_ message: ByteBuffer) -> [(number: Int, body: ByteBuffer)] {
        var buffer = message
        var found: [(Int, ByteBuffer)] = []
        while let (number, wire) = tag(&buffer), let body = skip(wire, &buffer) {
            if wire == 2 { found.append((number, body)) }
        }
        return found
    }

    private static func tag(_ buffer: inout ByteBuffer) -> (number: Int, wire: Int)? {
        varint(&buffer).map { (Int($0 >> 3), Int($0 & 7)) }
    }

    private static func skip(_ wire: Int, _ buffer: inout ByteBuffer) -> ByteBuffer? {
        switch wire {
        case 0: varint(&buffer).map { _ in ByteBuffer() }
        case 1: buffer.readSlice(length: 8)
        case 2: varint(&buffer).flatMap { buffer.readSlice(length: Int($0)) }
        case 5: buffer.readSlice(length: 4)
        default: nil
        }
    }

    private static func varint(_ buffer: inout ByteBuffer) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = buffer.readInteger(as: UInt8.self) else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }
}
