import Foundation

/// The service link's contract as a test reads it: every message of link.proto with its fields.
///
/// Tests that go through all fields take them from here, so that a field that is added is tested without anybody thinking
/// of it.
package struct LinkContract: Sendable {
    package struct Field: Sendable, Hashable, CustomStringConvertible {
        package let name: String
        package let number: Int
        /// As link.proto writes it: `int64`, `string`, `Entry`.
        package let type: String
        package let isRepeated: Bool
        /// Whether it is one of several that exclude each other.
        package let isAlternative: Bool

        package var description: String { name }
    }

    /// The fields of each message by the message's name.
    package let messages: [String: [Field]]

    package init() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/ServiceLink/Contract/link.proto")
        try self.init(String(contentsOf: file, encoding: .utf8))
    }

    init(_ text: String) {
        let code = text.split(separator: "\n").map {
            $0.prefix(upTo: $0.firstRange(of: "//")?.lowerBound ?? $0.endIndex)
        }
        .joined(separator: "\n")
        var messages: [String: [Field]] = [:]
        /// The messages and alternatives that are open; nil is an alternative.
        var open: [String?] = []
        let words = /message (\w+) \{|oneof \w+ (\{)|(\})|(repeated )?(\w+) (\w+) = (\d+);/
        for match in code.matches(of: words) {
            if let name = match.1 {
                open.append(String(name))
                messages[String(name)] = []
            } else if match.2 != nil {
                open.append(nil)
            } else if match.3 != nil {
                open.removeLast()
            } else if let type = match.5, let name = match.6, let number = match.7.flatMap({ Int($0) }),
                let owner = open.last(where: { $0 != nil }) ?? nil
            {
                messages[owner, default: []].append(
                    Field(
                        name: String(name), number: number, type: String(type), isRepeated: match.4 != nil,
                        isAlternative: open.last == .some(nil)))
            }
        }
        self.messages = messages
    }

    package func fields(of message: String) -> [Field] { messages[message] ?? [] }

    /// The ways to a field of a type below a message, each from the outside in; no message twice on one way.
    package func ways(from message: String, to types: Set<String>, past: [String] = []) -> [[Field]] {
        guard !past.contains(message) else { return [] }
        return fields(of: message).flatMap { field -> [[Field]] in
            if types.contains(field.type) { return [[field]] }
            return ways(from: field.type, to: types, past: past + [message]).map { [field] + $0 }
        }
    }
}

/// Bytes of protobuf, written by hand: also what no sound program writes.
package enum Wire {
    package static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    package static func number(_ field: Int, _ value: UInt64) -> [UInt8] {
        varint(UInt64(field) << 3) + varint(value)
    }

    package static func fixed(_ field: Int, _ value: UInt64) -> [UInt8] {
        varint(UInt64(field) << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    package static func bytes(_ field: Int, _ body: [UInt8]) -> [UInt8] {
        varint(UInt64(field) << 3 | 2) + varint(UInt64(body.count)) + body
    }

    package static func text(_ field: Int, _ text: String) -> [UInt8] { bytes(field, Array(text.utf8)) }

    /// A frame of the link: its length, and it.
    package static func frame(_ body: [UInt8]) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
    }

    /// The fields of a message in order; those that cannot be read are left out, with all after them.
    package static func fields(_ message: some Collection<UInt8>) -> [(
        number: Int, value: UInt64, body: [UInt8]
    )] {
        var rest = Array(message)[...]
        var found: [(Int, UInt64, [UInt8])] = []
        while let tag = takeVarint(&rest) {
            let number = Int(truncatingIfNeeded: tag >> 3)
            switch tag & 7 {
            case 0:
                guard let value = takeVarint(&rest) else { return found }
                found.append((number, value, []))
            case 1, 5:
                let count = tag & 7 == 1 ? 8 : 4
                guard rest.count >= count else { return found }
                found.append((number, 0, Array(rest.prefix(count))))
                rest = rest.dropFirst(count)
            case 2:
                guard let count = takeVarint(&rest), count <= rest.count else { return found }
                found.append((number, 0, Array(rest.prefix(Int(count)))))
                rest = rest.dropFirst(Int(count))
            default: return found
            }
        }
        return found
    }

    private static func takeVarint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }
}

/// A generator whose numbers are the same again for the same seed (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}
