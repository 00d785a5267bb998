import ASMService
import ArgumentParser
import Domain
import Store

struct CustomerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "customer", abstract: "Customers: the organisations on this installation.",
        subcommands: [Add.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a customer.",
            discussion: "Example: asm customer add 'Mercy Hospital' --database sqlite:/var/lib/asm/asm.sqlite"
        )

        @Argument(help: "The customer's name; users name it when they log in.")
        var name: String

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            do { try NameRule.check(name: name.composed) } catch {
                throw ValidationError("No customer can be called '\(name)': \(error).")
            }
        }

        func run() async throws {
            let customer = try await withStore(common, database) {
                try await $0.addCustomer(named: name.composed)
            }
            try Terminal.out(
                "Customer '\(customer.name)' has been added. Next: asm user add --customer \(ShellText(customer.name)) LOGIN"
            )
        }
    }
}

extension Store {
    /// The customer with a name in its composed form, or, from before that was the rule, as it is typed.
    func customer(called name: String) async throws -> Customer {
        do {
            return try await customer(named: name.composed)
        } catch StoreError.noSuchCustomer {
            return try await customer(named: name)
        }
    }
}
