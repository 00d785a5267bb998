/// A licence as a file: lines that a person can read, between two marks, with a signature below them.
///
/// ```
/// -----BEGIN ASM LICENSE-----
/// installation: 0d8cbf0e-43c8-4c0e-9d50-0b9a7e0c5a11
/// licensee: Mercy Hospital
/// servers: 2
/// users: unlimited
/// …
/// issuer: <public key, base64>
/// signature: <base64>
/// -----END ASM LICENSE-----
/// ```
/// Mail programs may change line ends, and put spaces and blank lines around: neither is part of what is signed.
package struct LicenceText: Sendable, Hashable {
    package static let first = "-----BEGIN ASM LICENSE-----"
    package static let last = "-----END ASM LICENSE-----"
    /// Longer than any licence; a larger file is none.
    package static let limitBytes = 16_384

    package let terms: LicenceTerms
    /// The issuer's public key and the signature, in base64.
    package let issuer: String
    package let signature: String
    /// What the signature covers.
    package let signed: String

    /// The text to be signed, for these terms.
    package static func body(_ terms: LicenceTerms, issuer: String) -> String {
        func limit(_ value: Int64?) -> String { value.map(String.init) ?? "unlimited" }
        let lines = [
            "installation: \(terms.installation)", "licensee: \(terms.licensee)",
            "servers: \(limit(terms.servers))", "users: \(limit(terms.users))",
            "groups: \(limit(terms.groups))", "roles: \(limit(terms.roles))",
            "users with attachments: \(limit(terms.attachmentUsers))",
            "issued: \(CalendarTime(terms.issuedAt).iso8601)",
            "expires: \(terms.expiresAt.map { CalendarTime($0).iso8601 } ?? "never")",
            "issuer: \(issuer)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    /// The whole file.
    package static func file(body: String, signature: String) -> String {
        "\(first)\n\(body)signature: \(signature)\n\(last)\n"
    }

    package init(parsing text: String) throws(LicenceProblem) {
        let lines = text.split(whereSeparator: \.isNewline).map(\.trimmed).filter { !$0.isEmpty }
        guard !lines.isEmpty else { throw .empty }
        guard text.utf8.count <= Self.limitBytes, let start = lines.firstIndex(of: Self.first) else {
            throw .notALicence
        }
        guard let end = lines.firstIndex(of: Self.last), end > start else { throw .cutShort }
        let inner = lines[(start + 1)..<end]
        guard let signature = inner.last?.value(of: "signature") else { throw .cutShort }
        let body = inner.dropLast()
        var fields: [String: String] = [:]
        for line in body {
            guard let colon = line.firstIndex(of: ":") else { throw .notALicence }
            let name = String(line[..<colon])
            guard fields[name] == nil else { throw .notALicence }
            fields[name] = line[line.index(after: colon)...].trimmed
        }
        self.signature = signature
        signed = body.joined(separator: "\n") + "\n"
        guard let issuer = fields["issuer"] else { throw .cutShort }
        self.issuer = issuer
        terms = try Self.terms(fields)
    }

    private static func terms(_ fields: [String: String]) throws(LicenceProblem) -> LicenceTerms {
        func field(_ name: String) throws(LicenceProblem) -> String {
            guard let value = fields[name] else { throw .cutShort }
            return value
        }
        func limit(_ name: String) throws(LicenceProblem) -> Int64? {
            let text = try field(name)
            if text == "unlimited" { return nil }
            guard let value = Int64(text), value >= 0 else { throw .unreadable(field: name) }
            return value
        }
        guard let installation = Token128(try field("installation")) else {
            throw .unreadable(field: "installation")
        }
        guard let issued = Timestamp(iso8601: try field("issued")) else {
            throw .unreadable(field: "issued")
        }
        let expiry = try field("expires")
        let expires = Timestamp(iso8601: expiry)
        guard expires != nil || expiry == "never" else { throw .unreadable(field: "expires") }
        return LicenceTerms(
            installation: installation, licensee: try field("licensee"), servers: try limit("servers"),
            users: try limit("users"), groups: try limit("groups"), roles: try limit("roles"),
            attachmentUsers: try limit("users with attachments"), issuedAt: issued, expiresAt: expires)
    }
}

extension StringProtocol {
    fileprivate var trimmed: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}

extension String {
    fileprivate func value(of name: String) -> String? {
        hasPrefix(name + ":") ? dropFirst(name.count + 1).trimmed : nil
    }
}
