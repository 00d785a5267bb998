import ArgumentParser
import Failpoints
import Foundation
import Logging
import PostgresDatabase
import SQLDatabase
import SQLiteDatabase
import ServiceLifecycle
import Store
import TransportSecurity

/// Which database, as every command that opens one takes it.
struct DatabaseOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "sqlite:PATH, or postgresql://USER:PASSWORD@HOST:PORT[,HOST:PORT]/NAME.", valueName: "url"))
    var database: String?

    @Flag(help: "Allow a database connection beyond this machine that is not encrypted and verified.")
    var allowPlainDatabase = false

    /// Opens the database that the options name, checked to be reachable.
    func open(_ logger: Logger) async throws -> any SQLDatabase {
        guard let database, !database.isEmpty else {
            throw ValidationError(
                "--database is missing. Example: --database sqlite:/var/lib/asm/asm.sqlite")
        }
        return try await Self.open(database, allowsPlainText: allowPlainDatabase, logger)
    }

    /// - Parameter allowsPlainText: whether a connection to another machine may be without verified encryption.
    private static func open(
        _ url: String, allowsPlainText: Bool, _ logger: Logger
    ) async throws -> any SQLDatabase {
        if url.hasPrefix("sqlite:") {
            return try SQLiteDatabase(path: String(url.dropFirst("sqlite:".count)), logger: logger)
        }
        guard url.hasPrefix("postgresql://") || url.hasPrefix("postgres://") else {
            throw ValidationError(
                "The database '\(url.prefix { $0 != ":" })…' is of no kind that is known; expected sqlite:PATH or postgresql://…."
            )
        }
        try checkEncryption(url, allowsPlainText: allowsPlainText, logger)
        let database = try PostgresDatabase(url: url, logger: logger)
        try await database.connect()
        #if FAILPOINTS
            if Mutant.current == .replicaReads { return try await ReplicaReads(database, logger) }
        #endif
        return database
    }

    private static func checkEncryption(_ url: String, allowsPlainText: Bool, _ logger: Logger) throws {
        let route = try PostgresRoute(url: url, environment: ProcessInfo.processInfo.environment)
        let open = route.hosts.filter { !PlainText.isLoopback($0) }
        guard !open.isEmpty, route.encryption != "verify-full" else { return }
        let hosts = open.joined(separator: ", ")
        guard allowsPlainText else {
            throw CommandFailure(
                "The database at \(hosts) would be reached with sslmode=\(route.encryption), with which others on the "
                    + "network can read and change everything or pose as the database: put sslmode=verify-full and "
                    + "sslrootcert=FILE into the URL of --database, or allow it by name with --allow-plain-database."
            )
        }
        logger.warning(
            """
            The database connection is not verified: others on its network can read and change everything, or pose \
            as the database. It was allowed with --allow-plain-database
            """, metadata: ["database.hosts": "\(hosts)", "database.sslmode": "\(route.encryption)"])
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

/// Opens a database for one command, and closes it afterwards.
///
/// A command sets an empty database up, and leaves one of an older version as it is: servers of that version may run.
func withStore<Value>(
    _ common: CommonOptions, _ options: DatabaseOptions, _ body: (Store) async throws -> Value
) async throws -> Value {
    try await withStore(common.logger("asm"), options, body)
}

/// The same, with a log of one's own.
func withStore<Value>(
    _ logger: Logger, _ options: DatabaseOptions, _ body: (Store) async throws -> Value
) async throws -> Value {
    let database = try await options.open(logger)
    do {
        let store = Store(database: database)
        try await store.prepareForCommand()
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
        let opened = try await database.open(common.logger("asm"))
        let applied = try await Store(database: opened).migrate()
        await opened.close()
        if applied.isEmpty {
            try Terminal.out("The schema is up to date (version \(Store.migrations.count)).")
        } else {
            try Terminal.out("Applied: \(applied.map { String($0) }.joined(separator: ", ")).")
        }
    }
}
