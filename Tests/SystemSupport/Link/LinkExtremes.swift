import Foundation
import TestSupport

/// The values at which a field of a message breaks a program that does not look.
struct LinkExtremes: Sendable {
    struct Value: Sendable {
        let name: String
        /// The field with its value, as protobuf.
        let bytes: [UInt8]
        /// Whether it cannot be decoded: then the connection ends.
        var isMalformed = false
        /// Whether no field of a request may hold it.
        var isOutOfRange = false
    }

    /// More than any list may hold.
    private static let many = 5_000

    /// - Parameter field: one that is no message.
    static func of(_ field: LinkContract.Field) -> [Value] {
        let number = field.number
        switch field.type {
        case "int32", "int64":
            let values: [Int64] = [
                0, 1, -1, 2, Int64(Int32.max), 1 << 53, 1 << 53 + 1, .max - 1, .max, .min + 1, .min,
            ]
            let single = values.map { value in
                let bits = UInt64(bitPattern: value)
                return Value(
                    name: "\(field) = \(value)",
                    bytes: field.isRepeated
                        ? Wire.bytes(number, Wire.varint(bits)) : Wire.number(number, bits),
                    isOutOfRange: value == .min || value == .min + 1 || value == -1)
            }
            return single + (field.isRepeated ? lists(number, field) : [])
        case "uint32", "uint64", "bool":
            let values: [UInt64] = [0, 1, 2, UInt64(UInt32.max), 1 << 53, 1 << 63, .max]
            return values.map { Value(name: "\(field) = \($0)", bytes: Wire.number(number, $0)) }
        case "fixed64":
            return [0, 1, .max].map { Value(name: "\(field) = \($0)", bytes: Wire.fixed(number, $0)) }
        case "string": return texts(number, field)
        default:
            return [
                [], [0], [UInt8](repeating: 7, count: 31), [UInt8](repeating: 255, count: 32),
                [UInt8](repeating: 1, count: 1 << 20),
            ]
            .map { Value(name: "\(field) of \($0.count) bytes", bytes: Wire.bytes(number, $0)) }
        }
    }

    private static func lists(_ number: Int, _ field: LinkContract.Field) -> [Value] {
        let different = (1...many).flatMap { Wire.varint(UInt64($0) << 40) }
        return [
            Value(name: "\(field) with \(many) numbers", bytes: Wire.bytes(number, different)),
            Value(name: "\(field) with half a number", bytes: Wire.bytes(number, [0x80]), isMalformed: true),
        ]
    }

    private static func texts(_ number: Int, _ field: LinkContract.Field) -> [Value] {
        let texts = [
            "", "a", "\0", "a\0b", "\n2026-11-28T00:00:00+0000 error asm: forged\u{1B}[2J\u{202E}",
            "%_\\'\";--",
            String(repeating: "x", count: 65_537), String(repeating: "é", count: 1 << 19),
        ]
        var values = texts.map {
            Value(name: "\(field) of \($0.utf8.count) bytes", bytes: Wire.text(number, $0))
        }
        values.append(
            Value(
                name: "\(field) that is no UTF-8", bytes: Wire.bytes(number, [0x61, 0xFF, 0xFE]),
                isMalformed: true))
        values.append(
            Value(
                name: "\(field) longer than its frame", bytes: Wire.text(number, "abc").dropLast(2),
                isMalformed: true))
        if field.isRepeated {
            let one = Wire.text(number, "nobody")
            values.append(
                Value(name: "\(many) × \(field)", bytes: Array(repeating: one, count: many).flatMap { $0 }))
        }
        return values
    }
}

/// Every field of every request at its extremes, in requests that are sound otherwise.
struct LinkFuzzer: Sendable {
    /// What there is: so that requests get further than to the first look.
    struct Known: Sendable {
        let token: [UInt8]
        let session: UInt64
        let thread: Int64
        let user: Int64
    }

    /// As whom a request asks.
    enum Caller: CaseIterable, Sendable { case nobody, session, token }

    struct Request: Sendable {
        let name: String
        /// The fields beside the id and the caller.
        let body: [UInt8]
        let value: LinkExtremes.Value?
        /// The name of the field that the value is of.
        let field: String
    }

    let contract: LinkContract
    let numbers: LinkNumbers
    let known: Known

    /// These change who may ask or what there is, and come last.
    private static let last = ["attach", "detach", "leave_thread", "log_out"]

    /// - Parameter caller: each log-in costs the server a hash, so they are tried once.
    func requests(as caller: Caller) -> [Request] {
        let kinds = contract.fields(of: "Request").filter(\.isAlternative)
        func place(_ kind: LinkContract.Field) -> Int { Self.last.firstIndex(of: kind.name) ?? -1 }
        return kinds.filter { caller == .nobody || $0.name != "log_in" }
            .filter { caller != .session || !["leave_thread", "log_out"].contains($0.name) }
            .sorted { (place($0), $0.number) < (place($1), $1.number) }
            .flatMap { kind in
                [Request(name: "\(kind)", body: body(kind, nil), value: nil, field: "")]
                    + contract.fields(of: kind.type).flatMap { field in
                        LinkExtremes.of(field).map { value in
                            Request(
                                name: "\(kind): \(value.name)", body: body(kind, (field, value)),
                                value: value,
                                field: field.name)
                        }
                    }
            }
    }

    /// A frame with the request.
    func frame(_ request: Request, id: UInt64, as caller: Caller) -> [UInt8] {
        let who: [UInt8] =
            switch caller {
            case .nobody: []
            case .token: Wire.bytes(numbers.number("token", of: "Request"), known.token)
            case .session: Wire.number(numbers.number("session", of: "Request"), known.session)
            }
        return Wire.frame(Wire.bytes(numbers.request, Wire.number(1, id) + who + request.body))
    }

    /// The fields of the request itself at their extremes, with a body that needs no more.
    func envelopes() -> [Request] {
        guard let whoAmI = contract.fields(of: "Request").first(where: { $0.name == "who_am_i" }) else {
            return []
        }
        return contract.fields(of: "Request").filter { !$0.isAlternative && $0.name != "id" }.flatMap {
            field in
            LinkExtremes.of(field).map { value in
                Request(
                    name: "request: \(value.name)", body: value.bytes + body(whoAmI, nil), value: value,
                    field: field.name)
            }
        }
    }

    private func body(
        _ kind: LinkContract.Field, _ extreme: (field: LinkContract.Field, value: LinkExtremes.Value)?
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in contract.fields(of: kind.type) {
            bytes += field == extreme?.field ? extreme?.value.bytes ?? [] : usual(field)
        }
        return Wire.bytes(kind.number, bytes)
    }

    private func usual(_ field: LinkContract.Field) -> [UInt8] {
        let number = field.number
        switch (field.name, field.type) {
        case ("thread", _): return Wire.number(number, UInt64(known.thread))
        case ("participants", "int64"), ("users", "int64"):
            return Wire.bytes(number, Wire.varint(UInt64(known.user)))
        case ("not_after", _): return Wire.number(number, UInt64(Deadline.soon))
        case ("fingerprint", _): return Wire.text(number, String(repeating: "0a", count: 32))
        case ("device", _): return []
        case (_, "fixed64"): return Wire.fixed(number, .random(in: 1 ... .max))
        case (_, "string"): return Wire.text(number, "nobody")
        case (_, "bytes"): return Wire.bytes(number, [1])
        default: return Wire.number(number, 1)
        }
    }
}

private enum Deadline {
    /// Seconds since 1970 at which a certificate ends about whose end people are told.
    static var soon: Int64 { Int64(Date().timeIntervalSince1970) + 10 * 86_400 }
}

/// Changes bytes as accidents and attackers do.
struct FrameMutator {
    var generator: SeededGenerator

    /// - Parameter frame: with its length.
    /// - Returns: mostly a frame with the right length, whose content is not as it was.
    mutating func mutated(_ frame: [UInt8]) -> [UInt8] {
        var body = Array(frame.dropFirst(4))
        for _ in 0..<Int.random(in: 1...4, using: &generator) { change(&body) }
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: return Array(Wire.frame(body).dropLast(Int.random(in: 0...body.count, using: &generator)))
        case 1: return Wire.frame(body).map { $0 ^ UInt8.random(in: 0...1, using: &generator) }
        default: return Wire.frame(body)
        }
    }

    private mutating func change(_ body: inout [UInt8]) {
        guard !body.isEmpty else { return body.append(.random(in: 0...255, using: &generator)) }
        let place = Int.random(in: body.indices, using: &generator)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: body[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
        case 1: body[place] = [0, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
        case 2: body.remove(at: place)
        case 3: body.insert(.random(in: 0...255, using: &generator), at: place)
        case 4:
            let end = min(body.count, place + Int.random(in: 1...16, using: &generator))
            body.insert(contentsOf: body[place..<end], at: place)
        default:
            // A whole number at its end, where perhaps another stood.
            let numbers = Wire.varint([UInt64.max, 1 << 63, 1 << 53].randomElement(using: &generator) ?? 0)
            body.replaceSubrange(place..<min(body.count, place + 1), with: numbers)
        }
    }
}
