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
            guard !name.isEmpty, name.utf8.count <= 200 else {
                throw ValidationError("A customer's name has 1 to 200 bytes.")
            }
        }

        func run() async throws {
            let customer = try await withStore(common, database) { try await $0.addCustomer(named: name) }
            try Terminal.out(
                "Customer '\(customer.name)' has been added. Next: asm user add --customer \(ShellText(customer.name)) LOGIN"
            )
        }
    }
}
