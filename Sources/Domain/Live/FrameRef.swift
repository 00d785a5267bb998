/// What a client calls one of its frames, kept as the JSON it wrote, so that the answer carries it back
/// unchanged.
package struct FrameRef: Hashable, Sendable {
    /// The longest text, in Unicode scalars.
    package static let lengthLimit = 64

    /// A JSON string or whole number.
    package let json: String

    package init(_ number: Int64) { json = String(number) }

    /// A text as a reference; nil when it is longer than `lengthLimit`.
    package init?(_ text: String) {
        guard text.unicodeScalars.count <= Self.lengthLimit else { return nil }
        var bytes: [UInt8] = []
        JSONWriter.string(text, into: &bytes)
        json = String(decoding: bytes, as: UTF8.self)
    }

    /// The number, when it is one.
    package var number: Int64? { Int64(json) }

    /// Reads a reference; nil, with the value skipped, when it is neither a short string nor a whole number.
    static func read(from scanner: inout JSONScanner) throws(JSONFault) -> FrameRef? {
        _ = scanner.peek()
        let start = scanner.offset
        switch try scanner.scalar() {
        case .string(let text) where text.unicodeScalars.count <= lengthLimit: break
        case .integer: break
        default: return nil
        }
        return FrameRef(json: String(decoding: scanner.bytes[start..<scanner.offset], as: UTF8.self))
    }

    func write(into bytes: inout [UInt8]) { bytes.append(contentsOf: json.utf8) }

    private init(json: String) { self.json = json }
}

/// A frame that cannot be taken as it is: why, and the reference to answer with if one could be read.
package struct FrameRejection: Error, Hashable, Sendable {
    package let refusal: Refusal
    package let ref: FrameRef?

    package init(_ refusal: Refusal, ref: FrameRef? = nil) {
        self.refusal = refusal
        self.ref = ref
    }

    init(_ fault: JSONFault, ref: FrameRef?) {
        let code: Refusal.Code = fault.isEncoding ? .notUTF8 : .badFrame
        self.init(
            Refusal(code, "The frame is no valid JSON: \(fault.problem) (byte \(fault.offset))."), ref: ref)
    }
}
