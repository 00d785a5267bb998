/// The text of a generated message: who sent it in which run, its sequence and its time, filled up to a size.
///
/// Fields have fixed places, so that writing and reading cost next to nothing.
struct BenchText {
    static let shortest = 64

    /// What a text says.
    struct Stamp: Equatable {
        let member: Int
        let sequence: Int
        /// Nanoseconds of the machine's monotonic clock.
        let sentAt: UInt64
    }

    private static let prefix = Array("asm-bench ".utf8)
    private static let runAt = 10
    private static let memberAt = 19
    private static let sequenceAt = 26
    private static let timeAt = 37
    private var bytes: [UInt8]

    /// - Parameters:
    ///   - run: tells runs apart that use the same threads; eight digits.
    ///   - size: in bytes, at least `shortest`.
    init(run: Int, member: Int, size: Int) {
        bytes = Array(repeating: UInt8(ascii: " "), count: max(size, Self.shortest))
        bytes.replaceSubrange(0..<Self.prefix.count, with: Self.prefix)
        Self.put(run, digits: 8, at: Self.runAt, in: &bytes)
        Self.put(member, digits: 6, at: Self.memberAt, in: &bytes)
        for index in Self.shortest..<max(size, Self.shortest) {
            bytes[index] = UInt8(ascii: "a") + UInt8(index % 26)
        }
    }

    mutating func text(sequence: Int, sentAt: UInt64) -> String {
        Self.put(sequence, digits: 10, at: Self.sequenceAt, in: &bytes)
        Self.put(Int(sentAt), digits: 19, at: Self.timeAt, in: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads a text; nil when it is none of this run.
    static func read(_ text: String, run: Int) -> Stamp? {
        var text = text
        return text.withUTF8 { bytes -> Stamp? in
            guard bytes.count >= shortest, bytes[0..<prefix.count].elementsEqual(prefix),
                number(in: bytes, at: runAt, digits: 8) == run,
                let member = number(in: bytes, at: memberAt, digits: 6),
                let sequence = number(in: bytes, at: sequenceAt, digits: 10),
                let time = number(in: bytes, at: timeAt, digits: 19)
            else { return nil }
            return Stamp(member: member, sequence: sequence, sentAt: UInt64(time))
        }
    }

    private static func put(_ value: Int, digits: Int, at start: Int, in bytes: inout [UInt8]) {
        var rest = value
        for index in stride(from: start + digits - 1, through: start, by: -1) {
            bytes[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }

    private static func number(in bytes: UnsafeMutableBufferPointer<UInt8>, at start: Int, digits: Int)
        -> Int?
    {
        number(in: UnsafeBufferPointer(bytes), at: start, digits: digits)
    }

    private static func number(in bytes: UnsafeBufferPointer<UInt8>, at start: Int, digits: Int) -> Int? {
        var value = 0
        for index in start..<(start + digits) {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }
}
