import ASMService
import Domain
import NIOCore
import NIOPosix
import Observability
import PostgresDatabase
import SQLDatabase
import ServiceLink
import Store
import Synchronization
import TestSupport
import Testing
import TransportSecurity

/// ASM Services of one customer's database, started on free ports, and the web processes that use them.
final class ServiceUnderTest: Sendable {
    /// Everybody's.
    static let password = "correct horse"
    private static let hash = Watched<Sealed<String>?>(nil)

    /// A service that runs.
    struct Server: Sendable {
        let address: BindAddress
        fileprivate let run: Task<Void, Never>

        /// Ends it as a crash would: its connections close, nothing is drained.
        func stop() async {
            run.cancel()
            await run.value
        }
    }

    let store: Store
    let customer: Customer
    /// Its own, so that sending what is long holds up no other test.
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let running = Mutex<(servers: [Server], webs: [WebProcess])>(([], []))

    fileprivate init(_ database: any SQLDatabase, logins: [String]) async throws {
        store = Store(database: database)
        try await store.migrate()
        customer = try await store.addCustomer(named: "Acme")
        if Self.hash.value == nil {
            let made = try await PasswordHasher().hash(Sealed(Self.password))
            Self.hash.change { $0 = made }
        }
        for login in logins { try await addUser(login) }
    }

    func addUser(_ login: String) async throws {
        let hash = Self.hash.value ?? Sealed("")
        _ = try await store.addUser(login: login, name: login, passwordHash: hash, to: customer.id)
    }

    func user(_ login: String) async throws -> User {
        try await store.users(of: customer.id, logins: [login])[0]
    }

    /// Starts a service; on the tests' own database unless another connection to it is given.
    func server(
        on database: (any SQLDatabase)? = nil, registeredAs name: String = "\(Token128.random())",
        sessions: SessionPolicy = SessionPolicy(), admission: AdmissionLimits = AdmissionLimits(),
        security: SecurityFiles? = nil, port: Int = 0
    ) async throws -> Server {
        var configuration = ASMServiceConfiguration(
            listen: BindAddress(host: "127.0.0.1", port: port), name: name, software: "test")
        configuration.sessions = sessions
        configuration.admission = admission
        configuration.linkSecurity = security
        configuration.takesOver = true
        let service = try ASMService(
            configuration: configuration, store: database.map(Store.init) ?? store,
            group: group, metrics: MetricRegistry(), logger: quietLogger)
        let address = BindAddress(host: "127.0.0.1", port: try await service.start())
        // Ends only by cancellation, which is no failure.
        let server = Server(address: address, run: Task { try? await service.run() })
        running.withLock { $0.servers.append(server) }
        return server
    }

    /// Starts a web process that uses servers at these addresses, whether they run or not.
    func web(at addresses: [BindAddress]) throws -> WebProcess {
        let web = try WebProcess(ServerList(addresses), LinkLimits())
        running.withLock { $0.webs.append(web) }
        return web
    }

    /// Starts a web process that uses these servers.
    func web(
        _ servers: Server..., limits: LinkLimits = LinkLimits(), security: SecurityFiles? = nil
    ) throws -> WebProcess {
        let web = try WebProcess(ServerList(servers.map(\.address)), limits, security)
        running.withLock { $0.webs.append(web) }
        return web
    }

    fileprivate func stop() async {
        let (servers, webs) = running.withLock { $0 }
        for web in webs { await web.stop() }
        for server in servers { await server.stop() }
        do { try await group.shutdownGracefully() } catch { Issue.record(error) }
    }

    /// Makes a thread of these users, in the name of the first, without any service.
    func thread(_ logins: String...) async throws -> MessageThread.ID {
        let users = try await store.users(of: customer.id, logins: logins).map(\.id)
        let author = ChangeAuthor(
            customer: customer.id, user: users[0], device: .random(), clientID: .random())
        let fence = try await store.registerServer(address: "maker", version: "1")
        let change = ThreadChange.create(.random(), subject: "Subject", participants: users)
        return try await store.change(change, by: author, fence: fence).thread
    }

    /// Appends messages without any service, many at a time.
    func fill(
        _ thread: MessageThread.ID, by login: String, count: Int, padding: String = ""
    ) async throws {
        let user = try await user(login)
        let fence = try await store.registerServer(address: "maker", version: "1")
        for start in stride(from: 0, to: count, by: 100) {
            let messages = (start..<min(start + 100, count)).map { index in
                NewMessage(
                    thread: thread, author: user.id, device: .random(), clientID: .random(),
                    priority: .normal, text: "\(index)" + padding)
            }
            _ = try await store.append(AppendBatch(messages: messages), for: customer.id, fence: fence)
        }
    }

    /// Opens a live session whose reading of what it missed stands still while the body runs.
    ///
    /// - Parameter database: a connection on which the lock is held that the reading waits for.
    /// - Returns: the session, once it is attached or ended.
    func attach(
        to web: WebProcess, _ token: [UInt8], cursor: LogCursor?, heldBy database: any SQLDatabase,
        while body: () async throws -> Void
    ) async throws -> TestSession {
        let isHeld = Watched(false)
        let release = Gate()
        async let holder: Void = database.write { session in
            try session.run("LOCK TABLE participant IN ACCESS EXCLUSIVE MODE")
            isHeld.change { $0 = true }
            release.wait()
        }
        defer { release.open() }  // A second time where all goes well, which lets nobody else pass.
        await isHeld.until { $0 }
        let sink = TestSession.Sink()
        let link = web.pool.open(token: token, cursor: cursor, sink: sink)
        let waiting: SQL = """
            SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        try await eventually("the catch-up waits for the table") {
            (try? await store.database.query(waiting).isEmpty) == false
        }
        try await body()
        release.open()
        try await holder
        await sink.events.until { !$0.isEmpty }
        return TestSession(link: link, sink: sink, web: web)
    }

    /// The cursor of who has followed the log to here, as servers give it.
    func cursor(at position: LogPosition) async throws -> LogCursor {
        let found = try await store.look(at: position, of: customer.id)
        return LogCursor(epoch: found.head.head.epoch, position: position, mark: found.mark)
    }

    func texts() async throws -> [String] {
        try await store.entries(of: customer.id, after: 0, limit: 100_000).compactMap(\.text)
    }
}

/// Runs the body with a database that has users alice, bob and carol, and stops every server and web process after.
func withService(
    on engine: TestEngine, _ body: (ServiceUnderTest) async throws -> Void
) async throws {
    try await withDatabase(on: engine) { database in
        let test = try await ServiceUnderTest(database, logins: ["alice", "bob", "carol"])
        do {
            try await body(test)
            await test.stop()
        } catch {
            await test.stop()
            throw error
        }
    }
}

/// The same on a database of which each server gets connections of its own, as on machines of their own.
func withCluster(
    on server: PostgresServer? = nil, limits: PostgresLimits = PostgresLimits(),
    _ body: (ServiceUnderTest, _ connect: () throws -> PostgresDatabase) async throws -> Void
) async throws {
    let url = try await (server ?? PostgresServer.shared()).createDatabase()
    var databases: [PostgresDatabase] = []
    func connect() throws -> PostgresDatabase {
        databases.append(try PostgresDatabase(url: url, limits: limits, logger: quietLogger))
        return databases[databases.count - 1]
    }
    let test = try await ServiceUnderTest(connect(), logins: ["alice", "bob", "carol"])
    var failure: (any Error)?
    do { try await body(test, connect) } catch { failure = error }
    await test.stop()
    for database in databases { await database.close() }
    if let failure { throw failure }
}

extension LogEntry {
    /// The text of a message; nil for every other entry.
    var text: String? {
        guard case .message(let text, _) = content else { return nil }
        return text.open
    }

    var isReceipts: Bool {
        guard case .receipts = content else { return false }
        return true
    }
}
