import Domain

/// The query of a request's target, as forms and every library for HTTP write it: `+` is a space.
struct Query {
    private let fields: [Substring]

    init(target: String) {
        let query = target.drop { $0 != "?" }.dropFirst()
        fields = query.split(separator: "&")
    }

    /// A field's value; nil when it is not given.
    func value(of name: String) throws(Refusal) -> String? {
        var found: String?
        for field in fields {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            // A name that cannot be read is not the one asked for.
            guard let first = try? Self.decoded(parts[0], name), first == name else { continue }
            guard found == nil else {
                throw Refusal(.badRequest, "`\(name)` stands twice in the query; send it once.")
            }
            found = try Self.decoded(parts.count > 1 ? parts[1] : "", name)
        }
        return found
    }

    private static func decoded(_ text: Substring, _ name: String) throws(Refusal) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit)
                else {
                    throw Refusal(
                        .badRequest, "`\(name)` has a `%` without two hexadecimal digits; write it as `%25`.")
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw Refusal(.notUTF8, "`\(name)` of the query is not UTF-8.")
        }
        return decoded
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
