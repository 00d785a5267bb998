import Foundation
import SQLDatabase
import SQLiteDatabase
import TestSupport
import Testing

@Suite("SQLite as one process owns it")
struct EngineSQLiteTests {
    @Test("Commits survive power loss: synchronous is FULL, the journal WAL")
    func durable() async throws {
        try await withDatabase(on: .sqlite) { database in
            let level = try await database.write { try $0.run("PRAGMA synchronous")[0].int(0) }
            #expect(level == 2)
            let journal = try await database.write { try $0.run("PRAGMA journal_mode")[0].string(0) }
            #expect(journal == "wal")
        }
    }

    @Test("A second opener is refused until the first has closed")
    func oneOwner() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/one.sqlite"
            let first = try SQLiteDatabase(path: path, logger: quietLogger)
            #expect(
                throws: SQLError.misconfigured(
                    "\(path) is in use by another asm process: stop that one first")
            ) {
                try SQLiteDatabase(path: path, logger: quietLogger)
            }
            await first.close()
            try await SQLiteDatabase(path: path, logger: quietLogger).close()
        }
    }

    @Test("The database's files are no other account's to read, also where they were before")
    func modes() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/asm.sqlite"
            func modes() throws -> [Int] {
                try ["", "-wal", "-shm"].map { suffix in
                    try FileManager.default.attributesOfItem(atPath: path + suffix)[.posixPermissions] as? Int
                        ?? -1
                }
            }
            let new = try SQLiteDatabase(path: path, logger: quietLogger)
            try await new.write { try $0.run("CREATE TABLE note (text text)") }
            #expect(try modes() == [0o600, 0o600, 0o600])
            await new.close()

            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            let old = try SQLiteDatabase(path: path, logger: quietLogger)
            try await old.write { try $0.run("INSERT INTO note VALUES ('a')") }
            #expect(try modes() == [0o640, 0o640, 0o640])
            await old.close()
        }
    }

    @Test("A path that cannot be a database is refused with what to do")
    func badPaths() async throws {
        try await withTemporaryFolder { folder in
            let text = folder + "/letter.txt"
            try String(repeating: "not a database ", count: 100).write(
                toFile: text, atomically: true, encoding: .utf8)
            for (path, advice) in [
                (folder + "/missing/x.sqlite", "does not exist: create it"), (folder, "is a folder"),
                (text, "is not a usable SQLite database"),
            ] {
                let error = #expect(throws: SQLError.self) {
                    try SQLiteDatabase(path: path, logger: quietLogger)
                }
                #expect("\(error!)".contains(advice))
            }
        }
    }

    @Test("Arrays as binds are refused")
    func arrays() async throws {
        try await withDatabase(on: .sqlite) { database in
            _ = await #expect(throws: SQLError.self) {
                try await database.query("SELECT \([1, 2] as [Int64])")
            }
        }
    }
}
