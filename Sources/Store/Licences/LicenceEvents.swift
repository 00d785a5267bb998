import Domain
import SQLDatabase

extension LicenceTerms {
    /// Days before its end at which a licence is told of; 0: it has ended.
    package static let daysTold: [Int64] = [30, 7, 1, 0]
}

extension SQLSession {
    /// Raises what is to be told of the installed licence: *License Expiration Warning* once for each of
    /// `LicenceTerms.daysTold`, and *License Limit Exceeded* once a day while there are more users than it allows.
    ///
    /// - Parameter refused: a user was just refused, so that a licence which is merely full is told of, too.
    func reportLicence(refused: Bool = false) throws {
        let row = try run("SELECT licensee, users, issued_at, expires_at, \(.now) FROM licence").first
        guard let row else { return }
        let licensee = try row.string(0)
        let issuedAt = try row.int(2)
        let now = try row.int(4)
        if let expiry = try row.intOrNil(3) {
            try raiseExpiration(of: licensee, issuedAt: issuedAt, expiry: expiry, now: now)
        }
        guard let limit = try row.intOrNil(1) else { return }
        let users = try run("SELECT count(*) FROM app_user WHERE disabled = 0")[0].int(0)
        guard refused ? users >= limit : users > limit else { return }
        try raise(
            EventReport(
                event: .licenseLimitExceeded,
                summary: refused
                    ? "A user was refused: the license allows \(limit) users, and there are \(users)."
                    : "The license allows \(limit) users, and there are \(users).",
                details: """
                    Licensee: \(licensee)

                    Everybody who is there goes on working; no user can be added. Disable users who have left, or \
                    install a license for more: asm license install FILE. This is told once a day.
                    """,
                key: "users \(issuedAt) \(now / Self.dayMicroseconds)"))
    }

    private func raiseExpiration(of licensee: String, issuedAt: Int64, expiry: Int64, now: Int64) throws {
        let left = expiry - now
        guard let days = LicenceTerms.daysTold.filter({ left <= $0 * Self.dayMicroseconds }).min() else {
            return
        }
        let end = CalendarTime(Timestamp(microseconds: expiry)).text
        let whole = left / Self.dayMicroseconds
        let summary =
            switch left {
            case ...0: "The license expired at \(end)."
            case ..<Self.dayMicroseconds: "The license expires in less than a day, at \(end)."
            default: "The license expires in \(whole) \(whole == 1 ? "day" : "days"), at \(end)."
            }
        try raise(
            EventReport(
                event: .licenseExpirationWarning, summary: summary,
                details: """
                    Licensee: \(licensee)

                    From then on no user can be added, and \(LicenceTerms.serversAfterExpiry) ASM Service serves, \
                    without High Availability; no message is lost. Install a new license: asm license install FILE.
                    """,
                key: "\(issuedAt) \(days)"))
    }

    private static var dayMicroseconds: Int64 { 86_400 * 1_000_000 }
}

extension Store {
    /// Looks at the licence when that is due, on whichever server comes first, and raises what is to be told of it.
    package func checkLicence(every microseconds: Int64) async throws {
        try await database.write { session in
            if try session.take(.licence, every: microseconds) { try session.reportLicence() }
        }
    }
}
