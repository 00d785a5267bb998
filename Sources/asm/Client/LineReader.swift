import Dispatch
import Foundation

/// Reads the standard input line by line, on a thread of its own, so that waiting for input holds up nothing
/// else.
struct LineReader {
    enum Item {
        case line(Int, String)
        case empty
        /// A line that cannot be a message: its number and what is wrong.
        case bad(Int, String)
        /// A line longer than `lineByteLimit`, which was read over: its number.
        case tooLong(Int)
        case end
    }

    /// A line longer than this is not kept; no server takes such a message.
    static let lineByteLimit = 1 << 20
    private static let chunkBytes = 64 << 10
    private static let queue = DispatchQueue(label: "asm.standard-input")

    private var bytes: [UInt8] = []
    private var position = 0
    private var number = 0
    private var isAtEnd = false

    mutating func next() async throws -> Item {
        var searched = position
        while true {
            if let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                return item(bytes[position..<end])
            }
            guard bytes.count - position <= Self.lineByteLimit else {
                try await skipLine()
                return .tooLong(number)
            }
            if isAtEnd {
                guard position < bytes.count else { return .end }
                defer { position = bytes.count }
                return item(bytes[position...])
            }
            bytes.removeFirst(position)
            position = 0
            searched = bytes.count
            let chunk = try await Self.readChunk()
            isAtEnd = chunk.isEmpty
            bytes += chunk
        }
    }

    /// Reads to the end of the line and keeps nothing of it.
    private mutating func skipLine() async throws {
        number += 1
        while true {
            if let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) {
                position = end + 1
                return
            }
            position = bytes.count
            guard !isAtEnd else { return }
            bytes = Array(try await Self.readChunk())
            isAtEnd = bytes.isEmpty
            position = 0
        }
    }

    private mutating func item(_ line: ArraySlice<UInt8>) -> Item {
        number += 1
        let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        guard !line.isEmpty else { return .empty }
        guard let text = String(validating: line, as: UTF8.self) else { return .bad(number, "is not UTF-8") }
        return .line(number, text)
    }

    private static func readChunk() async throws -> Data {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                continuation.resume(
                    with: Result { try FileHandle.standardInput.read(upToCount: chunkBytes) ?? Data() })
            }
        }
    }
}
