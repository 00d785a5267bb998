import ASMService
import Domain
import Foundation
import Store

/// A customer with a few users to try the product with; each installation makes its own password.
struct Demo {
    static let customer = "Demo Hospital"
    static let people = [
        (login: "ann", name: "Ann Lee, RN"), (login: "omar", name: "Dr. Omar Haddad"),
        (login: "mei", name: "Mei Chen, RN"), (login: "desk", name: "Operator Desk"),
    ]

    let store: Store
    let folder: String

    /// Adds the demo's users on the first call, and answers what a person needs to log in.
    func ensure() async throws -> String {
        let file = folder + "/demo-password.txt"
        if let known = try? String(contentsOfFile: file, encoding: .utf8) { return text(known, file) }
        let password = Self.newPassword()
        let hash = try await PasswordHasher().hash(Sealed(password))
        let customer = try await store.addCustomer(named: Self.customer)
        for person in Self.people {
            _ = try await store.addUser(
                login: person.login, name: person.name, passwordHash: hash, to: customer.id)
        }
        guard
            FileManager.default.createFile(
                atPath: file, contents: Data(password.utf8), attributes: [.posixPermissions: 0o600])
        else { throw CocoaError(.fileWriteUnknown) }
        return text(password, file)
    }

    private func text(_ password: String, _ file: String) -> String {
        let logins = Self.people.map {
            "  \($0.login)".padding(toLength: 10, withPad: " ", startingAt: 0) + $0.name
        }
        return """
            Demo users of '\(Self.customer)', all with the password \(password) (kept in \(file)):
            \(logins.joined(separator: "\n"))
            """
    }

    /// Four syllable pairs and two digits: easy to type, about 50 bits.
    private static func newPassword() -> String {
        let consonants = Array("bdfghjklmnprstvz")
        let vowels = Array("aeiou")
        let words = (0..<4).map { _ in
            String(
                (0..<2).flatMap { _ in [consonants.randomElement() ?? "b", vowels.randomElement() ?? "a"] })
        }
        return words.joined(separator: "-") + "-\(Int.random(in: 10...99))"
    }
}
