import SQLDatabase
import TestSupport
import Testing

@Suite("Both engines behind the seam")
struct EngineTests {
    @Test("Every kind of value comes back as it went in", arguments: TestEngine.allCases)
    func roundTrip(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            let bytes: [UInt8] = [0, 255, 0, 13, 10, 92, 39]
            let text = "Grüße, سلام, 你好, 👩‍👩‍👧‍👦 'quoted' \\ \n"
            let none: String? = nil
            try await database.query(
                """
                INSERT INTO item (id, small, body, text, real, note)
                VALUES (\(Int64.min), \(-3), \(bytes), \(text), \(0.1), \(none))
                """)
            try await database.query(
                "INSERT INTO item (id, small, body, text) VALUES (\(Int64.max), \(true), \([UInt8]()), \("")) "
            )
            let rows = try await database.query(
                "SELECT id, small, body, text, real, note FROM item ORDER BY id")
            #expect(rows.rowCount == 2)
            #expect(rows.columns == ["id", "small", "body", "text", "real", "note"])
            #expect(try rows[0].int(0) == Int64.min)
            #expect(try rows[0].int(1) == -3)
            #expect(try rows[0].bytes(2) == bytes)
            #expect(try rows[0].string(3) == text)
            #expect(try rows[0].double(4) == 0.1)
            #expect(try rows[0].stringOrNil(5) == nil)
            #expect(try rows[1].int(0) == Int64.max)
            #expect(try rows[1].bool(1))
            #expect(try rows[1].bytes(2) == [])
            #expect(try rows[1].string(3) == "")
            #expect(try rows[1].isNull(4))
        }
    }

    @Test(
        "A blob that holds UTF-8 reads as text, and one that does not is refused",
        arguments: TestEngine.allCases)
    func textOfBlob(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            let text = "a\u{0}b 👍🏽"
            try await database.query("INSERT INTO item (id, body) VALUES (1, \(Array(text.utf8)))")
            try await database.query("INSERT INTO item (id, body) VALUES (2, \([0xC3, 0x28] as [UInt8]))")
            let rows = try await database.query("SELECT body FROM item ORDER BY id")
            #expect(try rows[0].text(ofBlob: 0) == text)
            #expect(throws: SQLError.self) { try rows[1].text(ofBlob: 0) }
            #expect(throws: SQLError.unexpectedValue(column: "body", expected: "an integer")) {
                try rows[0].int(0)
            }
            #expect(throws: SQLError.self) { try rows[0].int(7) }
        }
    }

    @Test("What is interpolated stays a value, whatever it says", arguments: TestEngine.allCases)
    func injection(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            let hostile = "x'); DROP TABLE item; --"
            try await database.query("INSERT INTO item (id, text) VALUES (1, \(hostile))")
            let rows = try await database.query("SELECT text FROM item WHERE text = \(hostile)")
            #expect(try rows[0].string(0) == hostile)
        }
    }

    @Test("A list finds its members, and an empty list nothing", arguments: TestEngine.allCases)
    func lists(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            for id in [1, 2, Int64.max] { try await database.query("INSERT INTO item (id) VALUES (\(id))") }
            let found = try await database.query(
                "SELECT id FROM item WHERE id \(in: [2, Int64.max, 77]) ORDER BY id")
            #expect(try found.map { try $0.int(0) } == [2, Int64.max])
            let none = try await database.query("SELECT id FROM item WHERE id \(in: [])")
            #expect(none.isEmpty)
        }
    }

    @Test("The database's clock is microseconds since 1970 and runs forward", arguments: TestEngine.allCases)
    func clock(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let first = try await database.query("SELECT \(.now)")[0].int(0)
            let second = try await database.query("SELECT \(.now)")[0].int(0)
            let year2020: Int64 = 1_577_836_800_000_000
            #expect(first > year2020 && first < 4 * year2020)
            #expect(second >= first && second - first < 60_000_000)
        }
    }

    @Test("Changed rows are counted, and returned where asked", arguments: TestEngine.allCases)
    func affectedRows(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            let inserted = try await database.query("INSERT INTO item (id) VALUES (1), (2), (3)")
            #expect(inserted.affectedRows == 3)
            let updated = try await database.query("UPDATE item SET small = 9 WHERE id > 1 RETURNING id")
            #expect(updated.affectedRows == 2)
            #expect(updated.rowCount == 2)
            try await #expect(database.query("SELECT id FROM item").affectedRows == 0)
        }
    }

    @Test("A transaction whose closure throws changes nothing", arguments: TestEngine.allCases)
    func rollback(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            await #expect(throws: Stop.self) {
                try await database.write { session in
                    try session.run("INSERT INTO item (id) VALUES (1)")
                    throw Stop()
                }
            }
            try await database.write { try $0.run("INSERT INTO item (id) VALUES (2)") }
            let rows = try await database.query("SELECT id FROM item")
            #expect(try rows.map { try $0.int(0) } == [2])
        }
    }

    @Test("A read sees one moment, though others commit meanwhile", arguments: TestEngine.allCases)
    func snapshot(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            let (written, writing) = AsyncStream.makeStream(of: Void.self)
            let (looked, looking) = AsyncStream.makeStream(of: Void.self)
            let gate = Gate()
            async let counts = database.read { session in
                let before = try session.run("SELECT count(*) FROM item")[0].int(0)
                looking.yield()
                gate.wait()
                return [before, try session.run("SELECT count(*) FROM item")[0].int(0)]
            }
            for await _ in looked { break }
            try await database.query("INSERT INTO item (id) VALUES (1)")
            gate.open()
            writing.finish()
            for await _ in written {}
            try await #expect(counts == [0, 0])
            try await #expect(database.query("SELECT count(*) FROM item")[0].int(0) == 1)
        }
    }

    @Test("A read cannot change anything", arguments: TestEngine.allCases)
    func readOnly(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            let error = await #expect(throws: SQLError.self) {
                try await database.read { _ = try $0.run("INSERT INTO item (id) VALUES (1)") }
            }
            guard case .readOnly = error else {
                Issue.record("expected readOnly, got \(String(describing: error))")
                return
            }
        }
    }

    @Test("A constraint is named, without the values", arguments: TestEngine.allCases)
    func constraints(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            try await database.query("INSERT INTO item (id, text) VALUES (1, 'a secret')")
            let error = await #expect(throws: SQLError.self) {
                try await database.query("INSERT INTO item (id, text) VALUES (1, \("a secret"))")
            }
            guard case .constraint(let name, _) = error else {
                Issue.record("expected constraint, got \(String(describing: error))")
                return
            }
            #expect(name == (engine == .postgres ? "item_pkey" : "item.id"))
            #expect(!"\(error!)".contains("secret"))
        }
    }

    @Test("Bad SQL is refused with a code", arguments: TestEngine.allCases)
    func badStatement(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let error = await #expect(throws: SQLError.self) {
                try await database.query("SELECT nothing FROM nowhere")
            }
            guard case .statement(let code, _) = error else {
                Issue.record("expected statement, got \(String(describing: error))")
                return
            }
            #expect(code == (engine == .postgres ? "42P01" : "SQLITE-1"))
        }
    }

    @Test(
        "A thousand callers at once are all served, and one's error is his alone",
        arguments: TestEngine.allCases)
    func concurrency(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await createTable(database)
            try await database.query("INSERT INTO item (id) VALUES (-1)")
            let refused = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<1_000 {
                    group.addTask {
                        let id = number % 10 == 0 ? -1 : number
                        do {
                            try await database.query("INSERT INTO item (id) VALUES (\(id))")
                            return false
                        } catch { return true }
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(refused == 100)
            try await #expect(database.query("SELECT count(*) FROM item")[0].int(0) == 901)
        }
    }

    @Test("Who listens is told, in order, on his channel only", arguments: TestEngine.allCases)
    func notifications(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            var told = database.notifications(on: "news").makeAsyncIterator()
            if engine == .postgres { #expect(await told.next() == "") }
            try await database.notify(channel: "other", payload: "not for you")
            for number in 1...3 { try await database.notify(channel: "news", payload: "n\(number)") }
            #expect(await told.next() == "n1")
            #expect(await told.next() == "n2")
            #expect(await told.next() == "n3")
        }
    }

    @Test("A closed database refuses at once", arguments: TestEngine.allCases)
    func closed(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await database.query("SELECT 1")
            await database.close()
            await #expect(throws: SQLError.unavailable("the database is closed")) {
                try await database.query("SELECT 1")
            }
            await #expect(throws: SQLError.unavailable("the database is closed")) {
                try await database.write { _ in }
            }
        }
    }

    @Test("Running ends with its task, and the database with it", arguments: TestEngine.allCases)
    func running(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let task = Task { try await database.run() }
            try await database.query("SELECT 1")
            task.cancel()
            try await task.value
            await #expect(throws: SQLError.self) { try await database.query("SELECT 1") }
        }
    }
}

private struct Stop: Error {}

private func createTable(_ database: any SQLDatabase) async throws {
    let table = Migration(
        number: 1, name: "item",
        sql: """
            CREATE TABLE item (
                id bigint PRIMARY KEY, small smallint, body {blob}, text text, real double precision, note text
            )
            """)
    try await Migrator([table]).migrate(database)
}
