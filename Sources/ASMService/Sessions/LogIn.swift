import Domain
import Logging
import Store

/// Checks a login and a password, and opens a session on a device.
struct LogIn: Sendable {
    /// What a client sends to log in.
    struct Attempt: Sendable {
        let customer: String?
        let login: String
        let password: Sealed<String>
        let deviceName: String
        let device: Device.ID?

        init(
            customer: String?, login: String, password: Sealed<String>, deviceName: String, device: Device.ID?
        ) {
            self.customer = customer
            self.login = login
            self.password = password
            self.deviceName = deviceName
            self.device = device
        }
    }

    /// Longer passwords are refused unread: hashing is for people's passwords, not for floods.
    static let passwordBytes = 1_024
    static let deviceNameBytes = 200

    let store: Store
    let hasher: PasswordHasher
    let policy: SessionPolicy
    let turns: LogInTurns

    init(store: Store, hasher: PasswordHasher, policy: SessionPolicy, turns: LogInTurns) {
        self.turns = turns
        self.store = store
        self.hasher = hasher
        self.policy = policy
    }

    /// - Returns: the token to keep, and the session that it opens.
    /// - Throws: `Refusal`: `bad-credentials` for whatever does not fit, `too-many-requests`, or `bad-request`.
    func callAsFunction(_ attempt: Attempt) async throws -> (token: [UInt8], session: SessionRecord) {
        guard attempt.password.open.utf8.count <= Self.passwordBytes,
            attempt.deviceName.utf8.count <= Self.deviceNameBytes
        else { throw Refusal(.badRequest, "The password or the device's name is too long.") }
        guard !attempt.deviceName.holdsControls else {
            throw Refusal(.badRequest, "The device's name holds a character that names cannot hold.")
        }

        // Nobody has a name with a NUL, and PostgreSQL's text cannot hold one.
        let isNobody = attempt.login.holdsNUL || attempt.customer?.holdsNUL == true
        let accounts = isNobody ? [] : try await accounts(of: attempt)
        // Two customers with this login and none named: as wrong as a wrong password, and as slow.
        let account = accounts.count == 1 ? accounts[0] : nil
        if let account, account.lockedForMicroseconds > 0 {
            throw Refusal(
                .tooManyRequests, "This account is locked after too many wrong passwords; try again later.",
                retryAfterMilliseconds: Int(account.lockedForMicroseconds / 1_000))
        }
        let isRight = try await hasher.verify(attempt.password, against: account?.passwordHash)
        guard let account, isRight, !account.isDisabled else {
            if let account, !isRight {
                try await store.recordFailedLogin(of: account.user.id, policy: policy)
            }
            throw Refusal(.badCredentials, "Customer, login or password is wrong.")
        }
        let token = SessionDirectory.newToken()
        let session = try await store.openSession(
            for: account.user, customerName: account.customerName, device: attempt.device,
            deviceName: attempt.deviceName.isEmpty ? "unnamed device" : attempt.deviceName,
            tokenHash: SessionDirectory.hash(token), policy: policy)
        return (token, session)
    }

    /// Names are stored in their composed form; those of before are found as they were typed.
    private func accounts(of attempt: Attempt) async throws -> [Credentials] {
        let composed = try await store.credentials(
            login: attempt.login.composed, customer: attempt.customer?.composed)
        let isComposed = attempt.login.isComposed && attempt.customer?.isComposed ?? true
        guard composed.isEmpty, !isComposed else { return composed }
        return try await store.credentials(login: attempt.login, customer: attempt.customer)
    }
}

extension String {
    /// Whether the text holds a NUL, which PostgreSQL's text (names, subjects) cannot hold; message bodies can.
    var holdsNUL: Bool { utf8.contains(0) }
}
