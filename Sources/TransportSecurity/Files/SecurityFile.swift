import Foundation
import Glibc
import SwiftASN1
import X509

/// Reads and writes the files that hold certificates and keys, in PEM.
package enum SecurityFile {
    /// No certificate chain, bundle of authorities or key of a sound installation comes near it.
    static let byteLimit = 1 << 20

    /// The whole text of a file.
    static func read(_ path: String) throws(SecurityFileError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(file: path, reason: systemReason()) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw .unreadable(file: path, reason: systemReason()) }
            guard count > 0 else { break }
            bytes += chunk[..<count]
            guard bytes.count <= byteLimit else { throw .tooLarge(file: path) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// All certificates of a PEM text, as DER.
    static func certificates(in text: String, of path: String) throws(SecurityFileError) -> [[UInt8]] {
        guard text.contains("-----BEGIN CERTIFICATE-----") else { throw .noCertificate(file: path) }
        do {
            let documents = try PEMDocument.parseMultiple(pemString: text)
                .filter { $0.discriminator == "CERTIFICATE" }
            guard !documents.isEmpty else { throw SecurityFileError.noCertificate(file: path) }
            return documents.map(\.derBytes)
        } catch let error as SecurityFileError {
            throw error
        } catch {
            throw .damagedCertificate(file: path)
        }
    }

    /// The private key of a PEM text, with the DER that it is made of.
    static func privateKey(
        in text: String, of path: String
    ) throws(SecurityFileError) -> Certificate.PrivateKey {
        guard text.contains("PRIVATE KEY-----") else { throw .noKey(file: path) }
        guard !text.contains("BEGIN ENCRYPTED PRIVATE KEY"), !text.contains("Proc-Type: 4,ENCRYPTED") else {
            throw .encryptedKey(file: path)
        }
        do {
            // An EC key of OpenSSL's may have its parameters in front of it.
            let key = try PEMDocument.parseMultiple(pemString: text)
                .first { $0.discriminator.hasSuffix("PRIVATE KEY") }
            guard let key else { throw SecurityFileError.noKey(file: path) }
            return try Certificate.PrivateKey(pemDocument: key)
        } catch let error as SecurityFileError {
            throw error
        } catch {
            throw .damagedKey(file: path)
        }
    }

    /// Writes a file so that it is there whole or not at all, also after a power cut.
    ///
    /// - Parameter isSecret: readable by its owner only.
    /// - Parameter replaces: whether an existing file may go; else that is refused.
    package static func write(
        _ text: String, to path: String, isSecret: Bool, replaces: Bool = false
    ) throws(SecurityFileError) {
        let temporary = "\(path).\(UInt64.random(in: 0...UInt64.max)).new"
        let descriptor = open(
            temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(isSecret ? 0o600 : 0o644))
        guard descriptor >= 0 else { throw .unwritable(file: path, reason: systemReason()) }
        var isDone = false
        defer {
            close(descriptor)
            if !isDone { unlink(temporary) }
        }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw .unwritable(file: path, reason: systemReason()) }
            rest = rest.dropFirst(count)
        }
        guard fsync(descriptor) == 0 else { throw .unwritable(file: path, reason: systemReason()) }
        // `link` refuses an existing name, `rename` replaces it; both at once.
        let status = replaces ? rename(temporary, path) : link(temporary, path)
        guard status == 0 else {
            throw errno == EEXIST ? .exists(file: path) : .unwritable(file: path, reason: systemReason())
        }
        isDone = replaces
        let folder = open(URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private static func systemReason() -> String { String(cString: strerror(errno)) }
}
