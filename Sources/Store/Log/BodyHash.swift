import Crypto
package import Domain

/// A 64-bit fingerprint of a request's content: the first 8 bytes of its SHA-256.
///
/// It guards against a client that uses one id for two contents by mistake, not against forgery, so 64 bits do.
package enum BodyHash {
    package static func of(
        kind: StoredContent.Kind, thread: MessageThread.ID, priority: Priority, body: String
    ) -> Int64 {
        var hasher = SHA256()
        var head = (Int64(kind.rawValue), thread.rawValue, Int64(priority.rawValue))
        withUnsafeBytes(of: &head) { hasher.update(bufferPointer: $0) }
        var body = body
        body.withUTF8 { hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return hasher.finalize().withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }
    }
}
