package import Domain

/// Where one archived object lies, on a file share or in an S3 bucket alike.
///
/// The archive will keep attachments and messages past their retention: an object is written once under a key made of
/// its content, verified, and only then referred to. This version archives nothing yet.
package struct ArchiveKey: Hashable, Sendable, CustomStringConvertible {
    /// The length of a SHA-256 in hexadecimal digits.
    package static let digestDigits = 64

    package let customer: Customer.ID
    /// The SHA-256 of the object, in lower-case hexadecimal digits.
    package let digest: String

    /// Checks the digest: a key is made of characters that every share and every object store takes unescaped.
    ///
    /// - Returns: nil unless the digest has 64 lower-case hexadecimal digits.
    package init?(customer: Customer.ID, digest: String) {
        let isHexadecimal = digest.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }
        guard isHexadecimal, digest.utf8.count == Self.digestDigits else { return nil }
        self.customer = customer
        self.digest = digest
    }

    /// The path of the object, two levels deep so that no folder grows too large: `CUSTOMER/ab/ab12…`.
    package var description: String { "\(customer)/\(digest.prefix(2))/\(digest)" }
}
