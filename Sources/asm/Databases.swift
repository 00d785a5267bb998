import ArgumentParser
import Logging
import PostgresDatabase
import SQLDatabase
import SQLiteDatabase
import ServiceLifecycle
import Store

/// Which database, as every command that opens one takes it.
struct DatabaseOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "sqlite:PATH, or postgresql://USER:PASSWORD@HOST:PORT[,HOST:PORT]/NAME.", valueName: "url"))
    var database: String?
}

extension Settings {
    /// Opens the database that the settings name, checked to be reachable.
    func openDatabase(_ logger: Logger) async throws -> any SQLDatabase {
        let url = try required("database", example: "sqlite:/var/lib/asm/asm.sqlite")
        return try await Settings.openDatabase(url, logger)
    }

    static func openDatabase(_ url: String, _ logger: Logger) async throws -> any SQLDatabase {
        if url.hasPrefix("sqlite:") {
            return try SQLiteDatabase(path: String(url.dropFirst("sqlite:".count)), logger: logger)
        }
        guard url.hasPrefix("postgresql://") || url.hasPrefix("postgres://") else {
            throw ValidationError(
                "The database '\(url.prefix { $0 != ":" })…' is of no kind that is known; expected sqlite:PATH or postgresql://…."
            )
        }
        let database = try PostgresDatabase(url: url, logger: logger)
        try await database.connect()
        return database
    }
}

/// Keeps a database open while other services run.
struct DatabaseService: Service {
    let database: any SQLDatabase

    func run() async throws {
        try? await gracefulShutdown()
        await database.close()
    }
}

/// Opens a database for one command, brings its schema up to date, and closes it afterwards.
func withStore<Value>(
    _ common: CommonOptions, _ options: DatabaseOptions, _ body: (Store) async throws -> Value
) async throws -> Value {
    let settings = try await common.settings(["database": options.database])
    let logger = try settings.logger("asm")
    let database = try await settings.openDatabase(logger)
    do {
        let store = Store(database: database)
        try await store.migrate()
        let value = try await body(store)
        await database.close()
        return value
    } catch {
        await database.close()
        throw error
    }
}

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring a database to this version's schema.",
        discussion: """
            Every server does so by itself when it starts; run this to do it at a time of your choice.
            Example: asm migrate --database postgresql://asm@db1,db2/asm
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await common.settings(["database": database.database])
        let opened = try await settings.openDatabase(try settings.logger("asm"))
        let applied = try await Store(database: opened).migrate()
        await opened.close()
        if applied.isEmpty {
            print("The schema is up to date (version \(Store.migrations.count)).")
        } else {
            print("Applied: \(applied.map { String($0) }.joined(separator: ", ")).")
        }
    }
}
