import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
    /// An answer with a JSON body.
    static func json(_ body: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        let bytes = ByteBuffer(bytes: try encoder.encode(body))
        return .bytes(bytes, type: "application/json; charset=utf-8", status: status)
    }

    static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        .bytes(ByteBuffer(string: text), type: type, status: .ok)
    }

    static func bytes(_ bytes: ByteBuffer, type: String, status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: type, .contentLength: "\(bytes.readableBytes)"],
            body: .init(byteBuffer: bytes))
    }
}
