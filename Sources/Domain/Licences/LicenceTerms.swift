/// What a licence allows to one installation; a limit that is nil does not exist.
package struct LicenceTerms: Sendable, Hashable {
    /// The installation that it is for; `asm license show` prints it.
    package var installation: Token128
    package var licensee: String
    /// ASM Services that may serve at the same time.
    package var servers: Int64?
    package var users: Int64?
    package var groups: Int64?
    package var roles: Int64?
    package var attachmentUsers: Int64?
    package var issuedAt: Timestamp
    /// Nil: it does not expire.
    package var expiresAt: Timestamp?

    package init(
        installation: Token128, licensee: String, servers: Int64? = nil, users: Int64? = nil,
        groups: Int64? = nil, roles: Int64? = nil, attachmentUsers: Int64? = nil, issuedAt: Timestamp,
        expiresAt: Timestamp? = nil
    ) {
        self.installation = installation
        self.licensee = licensee
        self.servers = servers
        self.users = users
        self.groups = groups
        self.roles = roles
        self.attachmentUsers = attachmentUsers
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// Servers that may serve when a licence has expired: the standard system, without High Availability.
    package static let serversAfterExpiry: Int64 = 1
}

/// What of a licence is in use.
package struct LicenceUsage: Sendable, Hashable {
    package let servers: Int64
    package let users: Int64

    package init(servers: Int64, users: Int64) {
        self.servers = servers
        self.users = users
    }
}
