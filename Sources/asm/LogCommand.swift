import ArgumentParser
import Domain
import Store

struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Customers' logs.", subcommands: [NewEpoch.self])

    struct NewEpoch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new-epoch",
            abstract: "Make clients load a log anew, after its database was restored from a backup.",
            discussion: """
                A backup is older than what clients have seen. Stop every ASM Service, restore the database, run this, \
                and start them again: clients see that the log is another one and load it. Without it, only those \
                notice whose cursor says which entry they had at its place.
                Example: asm log new-epoch --all --database postgresql://asm@db1,db2/asm
                """)

        @Option(help: "The customer whose log it is.")
        var customer: String?

        @Flag(help: "The logs of all customers.")
        var all = false

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard (customer != nil) != all else {
                throw ValidationError("Say which log: --customer NAME, or --all.")
            }
        }

        func run() async throws {
            let count = try await withStore(common, database) { store in
                let id = try await customer.asyncMap { try await store.customer(called: $0).id }
                return try await store.beginNewEpoch(of: id)
            }
            try Terminal.out(
                "\(count) \(count == 1 ? "log has" : "logs have") a new epoch. Clients load \(count == 1 ? "it" : "them") anew."
            )
        }
    }
}

extension Optional {
    fileprivate func asyncMap<Result>(_ transform: (Wrapped) async throws -> Result) async rethrows -> Result?
    {
        guard let self else { return nil }
        return try await transform(self)
    }
}
