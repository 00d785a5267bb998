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
                "schema 2 is newer than this asm knows (1), and needs one that knows 2: run asm of the version that migrated it or newer"
            )
            await #expect(throws: advice) { try await old.migrate(database) }
            await #expect(throws: advice) { try await old.checkCompatible(database) }
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

    @Test(
        "A program works on after an expansion, also one that it does not know, until that is contracted",
        arguments: TestEngine.allCases)
    func compatible(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let expand = Migration(
                number: 3, name: "expand", .expands, sql: "ALTER TABLE b ADD COLUMN c text")
            let contract = Migration(
                number: 4, name: "contract", .contracts(since: 3), sql: "ALTER TABLE b DROP COLUMN c")
            let (old, new) = (Migrator(Self.steps), Migrator(Self.steps + [expand]))
            let newest = Migrator(Self.steps + [expand, contract])

            try await old.migrate(database)
            try await new.migrate(database)
            try await old.checkCompatible(database)
            try await #expect(old.migrate(database) == [])
            try await newest.migrate(database)

            try await new.checkCompatible(database)
            try await #expect(new.migrate(database) == [])
            await #expect {
                try await old.checkCompatible(database)
            } throws: {
                "\($0)".contains("schema 4 is newer than this asm knows (2), and needs one that knows 3")
            }
        }
    }

    @Test("A table of versions made by the first release is taken over", arguments: TestEngine.allCases)
    func firstRelease(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await database.query(
                "CREATE TABLE schema_version (number bigint PRIMARY KEY, name text NOT NULL, at bigint NOT NULL)"
            )
            try await database.query("CREATE TABLE a (id bigint PRIMARY KEY)")
            try await database.query(
                "INSERT INTO schema_version (number, name, at) VALUES (1, \("first"), \(.now))")
            try await Migrator(Self.steps).checkCompatible(database)

            try await #expect(Migrator(Self.steps).migrate(database) == [2])
            try await Migrator(Self.steps).checkCompatible(database)
            await #expect(throws: SQLError.self) { try await Migrator([]).checkCompatible(database) }
        }
    }

    @Test("A step waits for a table in use only briefly at a time, and is done when it is free")
    func tableInUse() async throws {
        try await withDatabase(on: .postgres) { database in
            try await Migrator([Self.steps[0]]).migrate(database)
            try await database.query("INSERT INTO a (id) VALUES (1)")
            let change = Migration(
                number: 2, name: "change", .expands, sql: "ALTER TABLE a ADD COLUMN c text")

            try await withThrowingTaskGroup { tasks in
                // Holds the table for longer than one attempt.
                tasks.addTask {
                    try await database.write { session in
                        try session.run("SELECT id FROM a FOR UPDATE")
                        try session.run("SELECT pg_sleep(2.5)")
                    }
                }
                tasks.addTask {
                    try await Task.sleep(for: .milliseconds(300))
                    try await #expect(Migrator([Self.steps[0], change]).migrate(database) == [2])
                }
                // Others get on in between.
                try await Task.sleep(for: .milliseconds(600))
                var slowest = Duration.zero
                for id in 2..<20 {
                    let begin = ContinuousClock.now
                    try await database.query("INSERT INTO a (id) VALUES (\(Int64(id)))")
                    slowest = max(slowest, .now - begin)
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(slowest < .milliseconds(Migrator.lockTimeoutMilliseconds * 2))
                try await tasks.waitForAll()
            }
        }
    }
}
