import Dispatch
import GRDB
package import Logging
package import SQLDatabase
import Synchronization

package import struct SQLDatabase.SQL

/// A database in one file on this machine, owned by one process.
///
/// Commits are durable (WAL with `synchronous = FULL`). Statements that change something queue for the one writer;
/// reads run beside it on their own snapshots. After an I/O error of the disk (`SQLITE-10` and its kin,
/// notably 1034: fsync failed) nothing the process believes about the file is certain: it must stop and start again.
package final class SQLiteDatabase: SQLDatabase {
    /// Connections that read at the same time.
    package static let readerLimit = 12
    /// Reads under way and waiting; beyond it callers are refused with `overloaded`.
    package static let waitingReads = 1_024
    /// How long to wait for a foreign tool (a backup, say) that holds the file.
    package static let busySeconds = 5.0
    /// How long a read may take, its wait for a reader included: SQLite ends it then, and it is refused with `overloaded`.
    package let readTime: Duration

    package let engine = SQLEngine.sqlite
    private let pool: DatabasePool
    private let lock: FileLock
    private let hub = NotificationHub()
    private let closed = Mutex(false)
    private let diskFailed = Mutex(false)
    private let readsInHand = Mutex(0)
    private let closing = AsyncStream.makeStream(of: Void.self)
    private let logger: Logger

    /// Opens the file, creating it when it does not exist.
    package init(path: String, readTime: Duration = .seconds(2), logger: Logger) throws {
        try DatabaseFile.check(path)
        self.readTime = readTime
        lock = try FileLock(path: path + ".lock", guarding: path)
        DatabaseFile.guardFromOthers(path)
        self.logger = logger
        var configuration = Configuration()
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(Self.busySeconds)
        configuration.maximumReaderCount = Self.readerLimit
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            // GRDB sets NORMAL while it opens, which may lose acknowledged commits on power loss.
            let level = try pool.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA synchronous = FULL")
                return try Int.fetchOne(database, sql: "PRAGMA synchronous")
            }
            guard level == 2 else {
                throw SQLError.misconfigured(
                    "SQLite does not take synchronous = FULL (it says \(level ?? -1))")
            }
        } catch let error as DatabaseError {
            throw DatabaseFile.openingError(error, path: path)
        }
    }

    @discardableResult
    package func query(_ sql: SQL) async throws -> SQLResult { try await query(sql, on: .log) }

    /// What clients ask to see is bounded in number and time; what the server itself must know is not.
    @discardableResult
    package func query(_ sql: SQL, on lane: SQLLane) async throws -> SQLResult {
        let statement = sql.rendered(for: .sqlite)
        if statement.text.isSelect {
            if lane == .reads { return try await reading { try SQLiteSession($0).run(statement) } }
            try checkOpen()
            return try await mappingErrors {
                try await self.pool.read { try SQLiteSession($0).run(statement) }
            }
        }
        return try await writing { try SQLiteSession($0).run(statement) }
    }

    package func read<T: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await reading { try body(SQLiteSession($0)) }
    }

    @discardableResult
    package func write<T: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await writing { database in
            try database.execute(sql: "BEGIN IMMEDIATE")
            do {
                let value = try body(SQLiteSession(database))
                try database.execute(sql: "COMMIT")
                return value
            } catch {
                // The first error tells what happened; SQLite may have rolled back by itself already.
                if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
                throw error
            }
        }
    }

    package func notify(channel: String, payload: String) async throws {
        hub.tell(payload, on: channel)
    }

    package func notifications(on channel: String) -> AsyncStream<String> {
        hub.listen(on: channel)
    }

    package func run() async throws {
        for await _ in closing.stream {}
        await close()
    }

    package func close() async {
        let first = closed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        guard first else { return }
        hub.close()
        closing.continuation.finish()
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async { [self] in
                do { try pool.close() } catch {
                    logger.warning("SQLite did not close cleanly", metadata: ["error": "\(error)"])
                }
                lock.release()
                done.resume()
            }
        }
    }

    /// Runs on the writer; not cancelled half-way, so that the outcome is always known.
    private func writing<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        try checkOpen()
        return try await withCheckedThrowingContinuation { answer in
            pool.asyncWriteWithoutTransaction { database in
                answer.resume(
                    with: Result {
                        try self.checkDisk()
                        return try self.watchingDisk { try mappingErrors { try body(database) } }
                    })
            }
        }
    }

    private func checkDisk() throws {
        guard diskFailed.withLock({ $0 }) else { return }
        throw SQLError.unavailable("the disk failed; stop the process, check the disk, and start it again")
    }

    /// After a failed write or sync nothing that follows proves anything, so nothing more is written.
    private func watchingDisk<T>(_ body: () throws -> T) throws -> T {
        do { return try body() } catch SQLError.unknownOutcome(let reason) {
            diskFailed.withLock { $0 = true }
            logger.critical("SQLite takes no more writes", metadata: ["error": "\(reason)"])
            throw SQLError.unknownOutcome(reason)
        }
    }

    private func reading<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        try checkOpen()
        let isFull = readsInHand.withLock { inHand in
            guard inHand < Self.waitingReads else { return true }
            inHand += 1
            return false
        }
        guard !isFull else { throw SQLError.overloaded("\(Self.waitingReads) reads are waiting") }
        defer { readsInHand.withLock { $0 -= 1 } }
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask { try await mappingErrors { try await self.pool.read { try body($0) } } }
            group.addTask {
                try await Task.sleep(for: self.readTime)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let value = first else {
                throw SQLError.overloaded("a read took longer than \(self.readTime)")
            }
            return value
        }
    }

    private func checkOpen() throws {
        if closed.withLock({ $0 }) { throw SQLError.unavailable("the database is closed") }
    }
}

extension String {
    /// Whether the statement begins with SELECT: such a statement may run beside the writer.
    fileprivate var isSelect: Bool {
        let keyword = utf8.drop { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }.prefix(6)
        return keyword.elementsEqual("select".utf8) { $0 | 0x20 == $1 }
    }
}
