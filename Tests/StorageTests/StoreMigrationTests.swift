import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("The schema", .serialized)
struct StoreMigrationTests {
    @Test("An empty database is brought up to date once", arguments: TestEngine.allCases)
    func migrate(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let store = Store(database: database)

            #expect(try await store.migrate() == Store.migrations.map(\.number))
            #expect(try await store.migrate() == [])

            _ = try await store.addCustomer(named: "Acme")
            #expect(try await store.migrate() == [])
            #expect(try await store.customer(named: "Acme").name == "Acme")
        }
    }

    @Test(
        "A command sets an empty database up, and neither works on an older schema nor changes it",
        arguments: TestEngine.allCases)
    func command(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let store = Store(database: database)
            try await store.prepareForCommand()
            _ = try await store.addCustomer(named: "Acme")
            try await store.prepareForCommand()

            let newest = Store.migrations.count
            try await database.query("DELETE FROM schema_version WHERE number = \(newest)")
            await #expect {
                try await store.prepareForCommand()
            } throws: {
                "\($0)".contains("has schema \(newest - 1)") && "\($0)".contains("asm migrate")
            }
            let versions = try await database.query("SELECT max(number) FROM schema_version")
            #expect(try versions[0].int(0) == newest - 1)
        }
    }

    @Test("A schema newer than this program is refused, and left as it is", arguments: TestEngine.allCases)
    func newer(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let store = Store(database: database)
            try await store.migrate()
            let future = Store.migrations.count + 1
            try await database.query(
                "INSERT INTO schema_version (number, name, at) VALUES (\(future), \("future"), \(.now))")

            await #expect {
                try await store.migrate()
            } throws: { error in
                guard case SQLError.misconfigured(let advice) = error else { return false }
                return advice.contains("newer than this asm knows")
            }
            let versions = try await database.query("SELECT number FROM schema_version")
            #expect(versions.count == Store.migrations.count + 1)
        }
    }

    @Test("Migrations are numbered from 1 without a gap")
    func numbers() {
        #expect(Store.migrations.map(\.number) == Array(1...Store.migrations.count))
    }
}
