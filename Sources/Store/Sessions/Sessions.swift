package import Domain
import SQLDatabase

/// What a log-in is checked against.
package struct Credentials: Sendable {
    package let user: User
    package let customerName: String
    package let passwordHash: Sealed<String>
    package let isDisabled: Bool
    /// Microseconds from now until the account takes log-ins again; zero or less when it does.
    package let lockedForMicroseconds: Int64
}

/// A log-in that is in force: who, on what device.
package struct SessionRecord: Sendable, Hashable {
    package let id: Int64
    package let user: User
    package let customerName: String
    package let device: Device
    package let expiresAt: Timestamp
}

/// How long sessions and lock-outs last.
package struct SessionPolicy: Sendable {
    package var absoluteMicroseconds: Int64 = 30 * 24 * 3_600 * 1_000_000
    package var idleMicroseconds: Int64 = 14 * 24 * 3_600 * 1_000_000
    /// So many wrong passwords in a row lock an account …
    package var failuresBeforeLock: Int64 = 10
    /// … for so long.
    package var lockMicroseconds: Int64 = 15 * 60 * 1_000_000

    package init() {}
}

extension Store {
    /// The accounts a login may mean: one where the customer is named, else one per customer that has it.
    package func credentials(login: String, customer: String?) async throws -> [Credentials] {
        var sql: SQL = """
            SELECT u.id, u.customer_id, u.login, u.name, c.name, u.password_hash, u.disabled,
                u.locked_until - \(.now)
            FROM app_user u JOIN customer c ON c.id = u.customer_id WHERE u.login = \(login)
            """
        if let customer { sql.append(" AND c.name = \(customer)") }
        return try await database.query(sql + " LIMIT 2", on: .reads).map { row in
            Credentials(
                user: try user(row), customerName: try row.string(4), passwordHash: Sealed(try row.string(5)),
                isDisabled: try row.bool(6), lockedForMicroseconds: try row.int(7))
        }
    }

    /// Counts a wrong password and locks the account when there were too many, of which administrators are told.
    package func recordFailedLogin(of user: User.ID, policy: SessionPolicy) async throws {
        try await database.write { session in
            let row = try session.run(
                """
                UPDATE app_user SET
                    locked_until = CASE WHEN failed_logins + 1 >= \(policy.failuresBeforeLock)
                        THEN \(.now) + \(policy.lockMicroseconds) ELSE locked_until END,
                    failed_logins = CASE WHEN failed_logins + 1 >= \(policy.failuresBeforeLock)
                        THEN 0 ELSE failed_logins + 1 END
                WHERE id = \(user) RETURNING failed_logins, login, customer_id
                """
            ).first
            // The count is 0 only when this failure locked the account.
            guard let row, try row.int(0) == 0 else { return }
            try session.raise(
                .userLockedOut(
                    login: try row.string(1), customer: try row.id(2), failures: policy.failuresBeforeLock,
                    minutes: policy.lockMicroseconds / 60_000_000))
        }
    }

    /// Opens a session, on a known device of the user or a new one.
    package func openSession(
        for user: User, customerName: String, device: Device.ID?, deviceName: String, tokenHash: [UInt8],
        policy: SessionPolicy
    ) async throws -> SessionRecord {
        try await database.write { session in
            let now = try session.run("SELECT \(.now)")[0].int(0)
            let known = try device.flatMap { id in
                try session.run("SELECT id, name FROM device WHERE id = \(id) AND user_id = \(user.id)").first
            }
            let place =
                try known.map { Device(id: try $0.id(0), name: try $0.string(1)) }
                ?? Device(id: .random(), name: deviceName)
            if known == nil {
                if let device { try session.tellConflict(over: device, of: user, at: now) }
                try session.run(
                    """
                    INSERT INTO device (id, customer_id, user_id, name, created_at)
                    VALUES (\(place.id), \(user.customer), \(user.id), \(place.name), \(now))
                    """)
                try session.raise(.deviceRegistered(place, by: user))
            }
            let record = SessionRecord(
                id: Int64.random(in: 1...Int64.max), user: user, customerName: customerName, device: place,
                expiresAt: Timestamp(microseconds: now + policy.absoluteMicroseconds))
            try session.run(
                """
                INSERT INTO session (id, customer_id, user_id, device_id, token_hash, created_at, last_used_at, expires_at)
                VALUES (\(record.id), \(user.customer), \(user.id), \(place.id), \(tokenHash), \(now), \(now),
                        \(record.expiresAt.microseconds))
                """)
            try session.run("UPDATE app_user SET failed_logins = 0 WHERE id = \(user.id)")
            return record
        }
    }

    /// The session in force that a token opens; nil when there is none. Marks it as used, at most once an hour.
    package func session(tokenHash: [UInt8], policy: SessionPolicy) async throws -> SessionRecord? {
        let row = try await database.query(
            """
            SELECT u.id, u.customer_id, u.login, u.name, s.id, c.name, d.id, d.name, s.expires_at,
                \(.now) - s.last_used_at
            FROM session s JOIN app_user u ON u.id = s.user_id JOIN device d ON d.id = s.device_id
            JOIN customer c ON c.id = s.customer_id
            WHERE s.token_hash = \(tokenHash) AND s.revoked_at IS NULL AND u.disabled = 0
                AND s.expires_at > \(.now) AND s.last_used_at > \(.now) - \(policy.idleMicroseconds)
            """, on: .reads
        ).first
        guard let row else { return nil }
        let record = SessionRecord(
            id: try row.int(4), user: try user(row), customerName: try row.string(5),
            device: Device(id: try row.id(6), name: try row.string(7)),
            expiresAt: Timestamp(microseconds: try row.int(8)))
        if try row.int(9) > Self.sessionTouchMicroseconds {
            try await database.query("UPDATE session SET last_used_at = \(.now) WHERE id = \(record.id)")
        }
        return record
    }

    static let sessionTouchMicroseconds: Int64 = 3_600 * 1_000_000

    /// Ends a session and says so in the log, from where every server learns it.
    package func revoke(_ session: SessionRecord, fence: ServerFence) async throws {
        let locks = database.engine == .postgres
        try await database.write { transaction in
            var log = try LogWriter(
                customer: session.user.customer, fence: fence, session: transaction, locks: locks)
            let ended = try transaction.run(
                "UPDATE session SET revoked_at = \(.now) WHERE id = \(session.id) AND revoked_at IS NULL")
            guard ended.affectedRows > 0 else { return }
            try log.append(.control(.sessionRevoked(session: session.id)), in: .init(rawValue: 0))
            try log.finish()
        }
    }
}
