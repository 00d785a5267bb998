import SQLDatabase
import TestSupport
import Testing

@Suite("Migrations")
struct EngineMigratorTests {
    private static let steps = [
        Migration(number: 1, name: "first", sql: "CREATE TABLE a (id bigint PRIMARY KEY, body {blob})"),
        Migration(
            number: 2, name: "second",
            sql: "CREATE TABLE b (id bigint PRIMARY KEY); INSERT INTO b (id) VALUES (7)"),
    ]

    @Test("Each step is applied once", arguments: TestEngine.allCases)
    func idempotent(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let migrator = Migrator(Self.steps)
            try await #expect(migrator.currentSchema(database) == 0)
            try await #expect(Migrator([Self.steps[0]]).migrate(database) == [1])
            try await #expect(migrator.migrate(database) == [2])
            try await #expect(migrator.migrate(database) == [])
            try await #expect(migrator.currentSchema(database) == 2)
            try await #expect(database.query("SELECT id FROM b")[0].int(0) == 7)
        }
    }

    @Test("Servers that migrate at once share the work", arguments: TestEngine.allCases)
    func together(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<4 { group.addTask { try await Migrator(Self.steps).migrate(database) } }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(applied.sorted() == [1, 2])
        }
    }

    @Test("A schema from the future is refused with advice", arguments: TestEngine.allCases)
    func newer(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await Migrator(Self.steps).migrate(database)
            let old = Migrator([Self.steps[0]])
            let advice = SQLError.misconfigured(
                "schema 2 is newer than this asm knows (1): run asm of the version that migrated it or newer")
            await #expect(throws: advice) { try await old.migrate(database) }
            await #expect(throws: advice) { try await old.checkNotNewer(database) }
        }
    }

    @Test("A step that fails leaves nothing behind", arguments: TestEngine.allCases)
    func failing(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let bad = Migration(
                number: 2, name: "bad", sql: "CREATE TABLE c (id bigint); INSERT INTO nowhere VALUES (1)")
            await #expect(throws: SQLError.self) {
                try await Migrator([Self.steps[0], bad]).migrate(database)
            }
            try await #expect(Migrator(Self.steps).currentSchema(database) == 1)
            await #expect(throws: SQLError.self) { try await database.query("SELECT * FROM c") }
        }
    }
}
