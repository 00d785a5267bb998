package import ASMClient
package import Domain
import Foundation

/// A user of the load generator, the drill or the watch, with a session.
package struct SyntheticAccount: Sendable {
    package let login: String
    package let user: User.ID
    package let token: Sealed<String>

    package init(login: String, user: User.ID, token: Sealed<String>) {
        (self.login, self.user, self.token) = (login, user, token)
    }
}

/// Logs in the users of a load, a few at a time, and keeps their tokens for the next run.
///
/// A log-in is meant to cost a server much (it hashes the password slowly), so a load of hundreds of users
/// should not begin with hundreds of them.
package struct SyntheticAccounts: Sendable {
    /// How many log-ins or checks run at once.
    package static let concurrency = 8

    package let web: WebAPI
    package let security: LiveSecurity
    package let customer: String?
    /// The log-in names, `%d` standing for 1, 2, 3 …
    package let pattern: String
    package let password: Sealed<String>
    package let tokenCachePath: String?
    /// What the users' devices are called.
    package let deviceName: String

    package init(
        configuration: ClientConfiguration, customer: String?, pattern: String, password: Sealed<String>,
        tokenCachePath: String?, deviceName: String = "asm bench"
    ) throws {
        guard pattern.contains("%d") else {
            throw MessagingError(
                code: "bad-request", message: "The log-in pattern must contain %d, as in 'bench%d'.")
        }
        web = try WebAPI(configuration)
        security = try LiveSecurity(configuration)
        self.customer = customer
        self.pattern = pattern
        self.password = password
        self.tokenCachePath = tokenCachePath
        self.deviceName = deviceName
    }

    package func login(of index: Int) -> String {
        pattern.replacingOccurrences(of: "%d", with: "\(index + 1)")
    }

    /// The first `count` users, each with a session that is valid now.
    package func logIn(count: Int) async throws -> [SyntheticAccount] {
        let cached = try readCache()
        let accounts = try await concurrently(0..<count, limit: Self.concurrency) { index in
            let login = login(of: index)
            if let account = cached[login], try await isValid(account) { return account }
            return try await logIn(login)
        }
        try writeCache(cached, accounts)
        return accounts
    }

    /// One log-in.
    package func logIn(_ login: String) async throws -> SyntheticAccount {
        do {
            let answer = try await web.logIn(
                customer: customer, login: login, password: password, deviceName: deviceName)
            return SyntheticAccount(login: login, user: answer.user.id.id, token: Sealed(answer.token))
        } catch let error as MessagingError {
            throw MessagingError(
                code: error.code, message: "Logging in as \(login) did not work: \(error.message)")
        }
    }

    private func isValid(_ account: SyntheticAccount) async throws -> Bool {
        do {
            _ = try await web.call("GET", "/v1/me", token: account.token)
            return true
        } catch let error as MessagingError where error.needsLogIn {
            return false
        }
    }

    /// Lines of customer, log-in, user and token with tabs between them.
    private func readCache() throws -> [String: SyntheticAccount] {
        guard let tokenCachePath, FileManager.default.fileExists(atPath: tokenCachePath) else { return [:] }
        var accounts: [String: SyntheticAccount] = [:]
        for line in try String(contentsOfFile: tokenCachePath, encoding: .utf8).split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 4, fields[0] == customer ?? "", let user = User.ID(fields[2]) else {
                continue
            }
            accounts[fields[1]] = SyntheticAccount(login: fields[1], user: user, token: Sealed(fields[3]))
        }
        return accounts
    }

    private func writeCache(_ cached: [String: SyntheticAccount], _ fresh: [SyntheticAccount]) throws {
        guard let tokenCachePath else { return }
        var accounts = cached
        for account in fresh { accounts[account.login] = account }
        let lines = accounts.values.sorted { $0.login < $1.login }.map { account in
            "\(customer ?? "")\t\(account.login)\t\(account.user)\t\(account.token.open)\n"
        }
        let isWritten = FileManager.default.createFile(
            atPath: tokenCachePath, contents: Data(lines.joined().utf8),
            attributes: [.posixPermissions: 0o600])
        guard isWritten else {
            throw MessagingError(code: "bad-file", message: "The file \(tokenCachePath) cannot be written.")
        }
    }
}

/// Does something for each element, at most `limit` at once; the results keep the order.
package func concurrently<Element: Sendable, Result: Sendable>(
    _ elements: some Collection<Element> & Sendable, limit: Int,
    _ work: @escaping @Sendable (Element) async throws -> Result
) async throws -> [Result] {
    try await withThrowingTaskGroup(of: Done<Result>.self) { group in
        var results = [Result?](repeating: nil, count: elements.count)
        var running = 0
        for (index, element) in elements.enumerated() {
            if running == limit, let done = try await group.next() {
                results[done.index] = done.result
                running -= 1
            }
            group.addTask { Done(index: index, result: try await work(element)) }
            running += 1
        }
        for try await done in group { results[done.index] = done.result }
        return results.compactMap { $0 }
    }
}

/// What the work for one element came to.
private struct Done<Result: Sendable>: Sendable {
    let index: Int
    let result: Result
}
