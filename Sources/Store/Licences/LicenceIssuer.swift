import Crypto
package import Domain
import Foundation

/// The private key of whoever issues licences: Ed25519, kept in a file of its own.
package struct LicenceIssuer: Sendable {
    private static let mark = "ASM LICENSE ISSUER KEY "

    private let key: Curve25519.Signing.PrivateKey

    /// A new key.
    package init() { key = Curve25519.Signing.PrivateKey() }

    /// Reads the file's text; nil when it holds no such key.
    package init?(file text: String) {
        guard let line = text.split(whereSeparator: \.isNewline).first, line.hasPrefix(Self.mark),
            let bytes = Data(base64Encoded: String(line.dropFirst(Self.mark.count))),
            // Bytes of another length are none.
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes)
        else { return nil }
        self.key = key
    }

    /// What its file holds: secret.
    package var file: Sealed<String> {
        Sealed(Self.mark + key.rawRepresentation.base64EncodedString() + "\n")
    }

    /// What people compare.
    package var fingerprint: String { Self.fingerprint(of: Array(key.publicKey.rawRepresentation)) }

    /// The licence as a file.
    package func issue(_ terms: LicenceTerms) throws -> String {
        let body = LicenceText.body(terms, issuer: key.publicKey.rawRepresentation.base64EncodedString())
        let signature = try key.signature(for: Self.covered(body))
        return LicenceText.file(body: body, signature: signature.base64EncodedString())
    }

    /// The public key of the licence's issuer, when the signature is that key's for this text.
    package static func verified(_ licence: LicenceText) throws(LicenceProblem) -> [UInt8] {
        guard let issuer = Data(base64Encoded: licence.issuer),
            let signature = Data(base64Encoded: licence.signature),
            // The last character has bits to spare: only one spelling of a signature counts.
            signature.base64EncodedString() == licence.signature,
            // A key of another length is none, so the signature cannot be its own.
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: issuer),
            key.isValidSignature(signature, for: covered(licence.signed))
        else { throw .forged }
        return Array(issuer)
    }

    package static func fingerprint(of key: [UInt8]) -> String {
        SHA256.hash(data: key).prefix(8).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    package static func fingerprint(ofBase64 key: String) -> String {
        fingerprint(of: Array(Data(base64Encoded: key) ?? Data()))
    }

    /// With a purpose in front, so that nothing else that the key ever signs is a licence.
    private static func covered(_ body: String) -> Data { Data(("asm licence 1\n" + body).utf8) }
}

extension [UInt8] {
    var base64: String { Data(self).base64EncodedString() }
}
