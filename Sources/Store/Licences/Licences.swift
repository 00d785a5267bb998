package import Domain
import SQLDatabase

/// The licence of this installation, and how far it is used.
package struct LicenceStatus: Sendable, Hashable {
    package let installation: Token128
    /// The base64 of the only key whose licences are taken; nil until the first one is installed.
    package let trustedIssuer: String?
    /// Nil: none is installed, so nothing is limited.
    package let document: LicenceText?
    package let usage: LicenceUsage
    /// By the database's clock.
    package let now: Timestamp

    package var isExpired: Bool {
        guard let expiry = document?.terms.expiresAt else { return false }
        return expiry <= now
    }
}

extension Store {
    package func licence() async throws -> LicenceStatus {
        try await database.read { session in
            let row = try session.run("SELECT id, issuer_key, \(.now) FROM installation")[0]
            let text = try session.run("SELECT document FROM licence").first?.string(0)
            let servers = try session.run("SELECT count(*) FROM ha_slot WHERE server_id IS NOT NULL")
            let users = try session.run("SELECT count(*) FROM app_user WHERE disabled = 0")
            return LicenceStatus(
                installation: try row.token(0), trustedIssuer: try row.bytesOrNil(1).map(\.base64),
                document: try text.map { try LicenceText(parsing: $0) },
                usage: LicenceUsage(servers: try servers[0].int(0), users: try users[0].int(0)),
                now: Timestamp(microseconds: try row.int(2)))
        }
    }

    /// Checks a licence and puts it in the place of the one that is installed; slots beyond its limit are void at once.
    ///
    /// The issuer of the first licence is trusted from then on, and no other: so a licence that somebody else has signed is
    /// refused. `trusting` names the fingerprint of an issuer to trust instead.
    /// - Throws: `LicenceProblem`; then nothing has been changed.
    package func installLicence(_ text: String, trusting: String? = nil) async throws -> LicenceTerms {
        let licence = try LicenceText(parsing: text)
        let issuer = try LicenceIssuer.verified(licence)
        let terms = licence.terms
        let locks = database.engine == .postgres
        try await database.write { session in
            var slots = try SlotTable(session, locks: locks)
            let row = try session.run("SELECT id, issuer_key, \(.now) FROM installation WHERE single = 1")[0]
            let now = Timestamp(microseconds: try row.int(2))
            let here = try row.token(0)
            if let trusted = try row.bytesOrNil(1), trusted != issuer {
                let fingerprint = LicenceIssuer.fingerprint(of: issuer)
                guard trusting == fingerprint else {
                    throw LicenceProblem.unknownIssuer(
                        fingerprint: fingerprint, trusted: LicenceIssuer.fingerprint(of: trusted))
                }
            }
            guard terms.installation == here else {
                throw LicenceProblem.otherInstallation(named: terms.installation, here: here)
            }
            guard terms.issuedAt.microseconds <= now.microseconds + Self.clockToleranceMicroseconds else {
                throw LicenceProblem.issuedInFuture(terms.issuedAt, now: now)
            }
            if let expiry = terms.expiresAt, expiry <= now { throw LicenceProblem.expired(expiry) }
            guard terms.servers != 0 else { throw LicenceProblem.noServer }
            let installed = try session.run("SELECT issued_at FROM licence").first?.int(0)
            if let installed, installed > terms.issuedAt.microseconds {
                throw LicenceProblem.olderThanInstalled(
                    terms.issuedAt, installed: Timestamp(microseconds: installed))
            }
            try session.run(
                "UPDATE installation SET issuer_key = \(issuer), issuer_pinned_at = \(.now) WHERE single = 1")
            try session.run("DELETE FROM licence")
            try session.run(
                """
                INSERT INTO licence (single, document, licensee, servers, users, user_groups, roles, attachment_users,
                                     issued_at, expires_at, installed_at)
                VALUES (1, \(LicenceText.file(body: licence.signed, signature: licence.signature)),
                        \(terms.licensee), \(terms.servers), \(terms.users), \(terms.groups), \(terms.roles),
                        \(terms.attachmentUsers), \(terms.issuedAt.microseconds), \(terms.expiresAt?.microseconds),
                        \(.now))
                """)
            slots = try SlotTable(session, locks: locks)
            _ = try slots.releaseBeyondLimit()
            try session.reportLicence()
        }
        return terms
    }

    /// Clocks of issuer and database may differ by so much.
    private static let clockToleranceMicroseconds: Int64 = 10 * 60 * 1_000_000

    /// Removes the licence: nothing is limited then. The issuer stays the one that is trusted.
    /// - Returns: false when none was installed.
    package func removeLicence() async throws -> Bool {
        try await database.query("DELETE FROM licence").affectedRows > 0
    }
}

extension SQLSession {
    /// Refuses what would exceed the licence's number of users, or adds users under an expired one.
    ///
    /// Counting and adding are one step: whoever adds waits for the others.
    /// - Throws: `StoreError.licence`.
    func checkLicenceTakesUser(locks: Bool) throws {
        if locks { try run("SELECT 1 FROM installation WHERE single = 1 FOR UPDATE") }
        let row = try run("SELECT users, expires_at, \(.now) FROM licence").first
        guard let row else { return }
        if let expiry = try row.intOrNil(1), expiry <= (try row.int(2)) {
            let time = CalendarTime(Timestamp(microseconds: expiry)).text
            throw StoreError.licence(
                "The license expired at \(time), so no user can be added; everything else goes on. Install a new one: `asm license install FILE`."
            )
        }
        guard let limit = try row.intOrNil(0) else { return }
        let users = try run("SELECT count(*) FROM app_user WHERE disabled = 0")[0].int(0)
        guard users < limit else {
            throw StoreError.licence(
                "The license allows \(limit) users, and there are \(users): no user can be added. Disable users who have left, or install a license for more: `asm license install FILE`."
            )
        }
    }
}
