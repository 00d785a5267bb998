import ASMService
import ArgumentParser
import Domain
import Foundation
import Store

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Users: the people who log in.", subcommands: [Add.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a user, or many at once.",
            discussion: """
                The password is asked for, or read from the first line of a file.
                Examples:
                  asm user add --customer Mercy --name 'Ann Lee, RN' ann
                  asm user add --customer bench --count 200 'bench%d' --password-file secret.txt
                """)

        @Option(help: "The customer's name.")
        var customer: String

        @Option(help: "The name that others see. Default: the login.")
        var name: String?

        @OptionGroup var password: PasswordOptions

        @Option(
            help:
                "Add so many users; the login must hold %d, which becomes 1, 2, 3 … . They share the password.",
            transform: whole(1...100_000))
        var count: Int?

        @Argument(help: "What the user types to log in.")
        var login: String

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            do { try NameRule.check(login: login.composed) } catch {
                throw ValidationError("Nobody can log in as '\(login)': \(error).")
            }
            do { try NameRule.check(name: (name ?? login).composed) } catch {
                throw ValidationError("--name: nobody can be called '\(name ?? login)': \(error).")
            }
            guard count == nil || login.contains("%d") else {
                throw ValidationError("--count needs a login with %d in it, such as 'bench%d'.")
            }
        }

        func run() async throws {
            let password = try password.read(of: login, twice: true)
            guard password.open.count >= Passwords.shortest else {
                throw ValidationError("A password has at least \(Passwords.shortest) characters.")
            }
            let logins = count.map { count in
                (1...count).map { login.replacingOccurrences(of: "%d", with: "\($0)") }
            }
            let hash = try await PasswordHasher().hash(password)
            try await withStore(common, database) { store in
                let customer = try await store.customer(called: customer)
                for login in logins ?? [login] {
                    _ = try await store.addUser(
                        login: login.composed, name: (name ?? login).composed, passwordHash: hash,
                        to: customer.id)
                }
            }
            try Terminal.out(
                logins.map { "\($0.count) users have been added." } ?? "User '\(login)' has been added.")
        }
    }
}
