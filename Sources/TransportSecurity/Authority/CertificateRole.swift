/// What the holder of a certificate may do with it.
///
/// The certificate names it (`urn:asm:role:service` among its alternative names), and both ends of the service link look
/// for it. Its key usages alone would not do: what browsers see is a server too.
package enum CertificateRole: String, CaseIterable, Sendable {
    /// Both ends of the service link: an ASM Service, which is checked by its host.
    case service
    /// The calling end of the service link only: a Web Service, an Admin Web.
    case web
    /// As `web`, for an Admin Web: it may also ask for the list of servers.
    case admin
    /// What browsers and apps see, and PostgreSQL's certificate; nothing on the service link.
    case https

    private static let prefix = "urn:asm:role:"

    /// As the certificate names it.
    package var name: String { Self.prefix + rawValue }

    package var uses: [CertificateDetails.Use] {
        switch self {
        case .service: [.server, .client]
        case .web, .admin: [.client]
        case .https: [.server]
        }
    }

    /// Whose certificates a caller takes for an ASM Service's.
    package static let servers: Set<CertificateRole> = [.service]
    /// Whose certificates an ASM Service takes for a caller's.
    package static let callers: Set<CertificateRole> = [.service, .web, .admin]

    /// The roles that a certificate gives.
    ///
    /// - Parameters:
    ///   - names: its alternative names that are URIs.
    ///   - uses: its extended key usages; nil when it has none.
    static func named(by names: [String], uses: [CertificateDetails.Use]?) -> Set<CertificateRole> {
        let roles = names.filter { $0.hasPrefix(prefix) }
        guard roles.isEmpty else {
            return Set(roles.compactMap { CertificateRole(rawValue: String($0.dropFirst(prefix.count))) })
        }
        // Issued before certificates named their role: each role had other usages then.
        switch uses ?? [] {
        case [.server, .client]: return [.service]
        case [.client]: return [.web]
        case [.server]: return [.https]
        default: return []
        }
    }
}

extension Set<CertificateRole> {
    /// For people: `web`, `admin or web`, or `none that this program knows`.
    package var text: String {
        isEmpty ? "none that this program knows" : map(\.rawValue).sorted().joined(separator: " or ")
    }
}
