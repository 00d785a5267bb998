import CPq
import SQLDatabase

/// A statement with its binds in PostgreSQL's binary format, all in one buffer.
///
/// Encoded by the caller, so that the one thread that talks to the server only copies.
struct EncodedStatement: Sendable {
    let text: String
    /// The text and the types of its binds: what a prepared statement is known by.
    let key: String
    private(set) var types: [Oid] = []
    private var bytes: [UInt8] = []
    /// Where each bind starts and how long it is; a null starts at -1.
    private var starts: [Int] = []
    private var lengths: [Int32] = []

    private enum TypeID {
        static let unknown: Oid = 0
        static let bytea: Oid = 17
        static let int8: Oid = 20
        static let text: Oid = 25
        static let float8: Oid = 701
        static let byteaArray: Oid = 1001
        static let textArray: Oid = 1009
        static let int8Array: Oid = 1016
    }

    init(_ sql: SQL) {
        let rendered = sql.rendered(for: .postgres)
        text = rendered.text
        var key = rendered.text
        for bind in rendered.binds { key.unicodeScalars.append(Self.mark(of: bind)) }
        self.key = key
        for bind in rendered.binds { append(bind) }
    }

    /// Calls the body with libpq's parameters: count, values, lengths, formats.
    func withParameters<R>(
        _ body: (
            Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        bytes.withUnsafeBytes { buffer in
            // An empty buffer has no address, but a value of no bytes needs one to differ from null.
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1) { empty in
                empty[0] = 0
                let base = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
                let values: [UnsafePointer<CChar>?] = starts.map { start in
                    guard start >= 0 else { return nil }
                    return base.map { $0 + start } ?? UnsafePointer(empty.baseAddress)
                }
                let formats = [Int32](repeating: 1, count: starts.count)
                return body(Int32(starts.count), values, lengths, formats)
            }
        }
    }

    private static func mark(of value: SQLValue) -> Unicode.Scalar {
        switch value {
        case .null: "\u{1}"
        case .integer: "\u{2}"
        case .real: "\u{3}"
        case .text: "\u{4}"
        case .blob: "\u{5}"
        case .integers: "\u{6}"
        case .texts: "\u{7}"
        case .blobs, .textBlobs: "\u{8}"
        }
    }

    private mutating func append(_ value: SQLValue) {
        let start = bytes.count
        switch value {
        case .null:
            types.append(TypeID.unknown)
            starts.append(-1)
            lengths.append(0)
            return
        case .integer(let value):
            types.append(TypeID.int8)
            appendBigEndian(value)
        case .real(let value):
            types.append(TypeID.float8)
            appendBigEndian(value.bitPattern)
        case .text(let value):
            types.append(TypeID.text)
            bytes.append(contentsOf: value.utf8)
        case .blob(let value):
            types.append(TypeID.bytea)
            bytes.append(contentsOf: value)
        case .integers(let values):
            types.append(TypeID.int8Array)
            bytes.reserveCapacity(bytes.count + 20 + 12 * values.count)
            appendArrayHeader(values.count, of: TypeID.int8)
            for value in values {
                appendBigEndian(Int32(8))
                appendBigEndian(value)
            }
        case .texts(let values): appendArray(values.lazy.map(\.utf8), of: TypeID.text, as: TypeID.textArray)
        case .blobs(let values): appendArray(values, of: TypeID.bytea, as: TypeID.byteaArray)
        case .textBlobs(let values):
            appendArray(values.lazy.map(\.utf8), of: TypeID.bytea, as: TypeID.byteaArray)
        }
        starts.append(start)
        lengths.append(Int32(bytes.count - start))
    }

    private mutating func appendArray(
        _ elements: some Collection<some Collection<UInt8>>, of element: Oid, as array: Oid
    ) {
        types.append(array)
        appendArrayHeader(elements.count, of: element)
        for value in elements {
            appendBigEndian(Int32(value.count))
            bytes.append(contentsOf: value)
        }
    }

    /// Dimensions, no nulls, the elements' type; then the one dimension's size and first index.
    private mutating func appendArrayHeader(_ count: Int, of element: Oid) {
        appendBigEndian(Int32(count == 0 ? 0 : 1))
        appendBigEndian(Int32(0))
        appendBigEndian(element)
        guard count > 0 else { return }
        appendBigEndian(Int32(count))
        appendBigEndian(Int32(1))
    }

    private mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
