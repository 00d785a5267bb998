import CSodium
package import Domain
import NIOPosix
import Synchronization

/// Argon2id (RFC 9106) at 19 MiB, two passes, one lane: the minimum that OWASP's cheat sheet names.
///
/// Hashing is slow and hungry by design: it runs on its own two threads, and few may wait.
package final class PasswordHasher: Sendable {
    static let memoryBytes = 19 << 20
    static let passes: UInt64 = 2
    static let threads = 2
    /// Log-ins that may wait for a thread; more are told to try again.
    package static let waiting = 100

    private let pool = NIOThreadPool(numberOfThreads: threads)
    private let queued = Mutex(0)
    /// The hash of no password, so that an unknown login takes as long as a known one.
    private let dummy: Mutex<String?> = Mutex(nil)

    /// - Throws: `PasswordHasherError` when the cryptographic library does not start.
    package init() throws {
        guard sodium_init() >= 0 else { throw PasswordHasherError.libraryFailed }
        pool.start()
    }

    /// The PHC string of a password, in its composed form: which keyboard typed it makes no difference.
    package func hash(_ password: Sealed<String>) async throws -> Sealed<String> {
        try await onThread { Sealed(try Self.hash(password.open.composed)) }
    }

    /// Whether the password is the one that was hashed; takes as long when there is no hash.
    package func verify(_ password: Sealed<String>, against hash: Sealed<String>?) async throws -> Bool {
        try await onThread { [self] in
            guard let hash else {
                _ = Self.verify(password.open, try dummyHash())
                return false
            }
            if Self.verify(password.open.composed, hash.open) { return true }
            // Hashed as it was typed, by a version before this rule.
            return !password.open.isComposed && Self.verify(password.open, hash.open)
        }
    }

    private func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws
        -> Value
    {
        let isFull = queued.withLock { queued in
            guard queued < Self.waiting else { return true }
            queued += 1
            return false
        }
        guard !isFull else {
            throw Refusal(
                .tooManyRequests, "Too many people are logging in at the moment; try again shortly.",
                retryAfterMilliseconds: 2_000)
        }
        defer { queued.withLock { $0 -= 1 } }
        return try await pool.runIfActive(work)
    }

    private func dummyHash() throws -> String {
        if let known = dummy.withLock({ $0 }) { return known }
        let made = try Self.hash("no password")
        dummy.withLock { $0 = made }
        return made
    }

    private static func hash(_ password: String) throws -> String {
        var output = [CChar](repeating: 0, count: Int(crypto_pwhash_STRBYTES))
        let bytes = Array(password.utf8).map(CChar.init(bitPattern:))
        let failed = crypto_pwhash_str_alg(
            &output, bytes, UInt64(bytes.count), passes, memoryBytes, crypto_pwhash_alg_argon2id13())
        guard failed == 0 else { throw PasswordHasherError.outOfMemory }
        return String(decoding: output.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func verify(_ password: String, _ hash: String) -> Bool {
        let bytes = Array(password.utf8).map(CChar.init(bitPattern:))
        return crypto_pwhash_str_verify(hash, bytes, UInt64(bytes.count)) == 0
    }
}

package enum PasswordHasherError: Error, CustomStringConvertible {
    case libraryFailed
    case outOfMemory

    package var description: String {
        switch self {
        case .libraryFailed: "The cryptographic library (libsodium) did not start."
        case .outOfMemory: "There was not enough memory to hash a password (19 MiB)."
        }
    }
}
