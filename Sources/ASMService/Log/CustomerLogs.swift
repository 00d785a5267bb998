import Domain
import Logging
import Observability
import SQLDatabase
import ServiceLifecycle
import Store
import Synchronization

/// One customer's log on this server: the end that appends and the end that follows.
struct CustomerLog: Sendable {
    let appender: LogAppender
    let feed: CustomerFeed
}

/// The logs that this server appends to and follows; opened when first needed.
final class CustomerLogs: Service {
    /// Notifications may be lost; this poll finds what they would have told.
    static let pollEvery = Duration.seconds(1)
    /// At most one announcement of own appends within this time.
    static let announceEvery = Duration.milliseconds(2)
    static let channel = "asm_log"

    private let logs = Mutex<[Customer.ID: CustomerLog]>([:])
    private let grown = Mutex<(customers: Set<Customer.ID>, isAnnouncing: Bool)>(([], false))
    private let store: Store
    private let standing: ServerStanding
    private let work: BackgroundWork
    private let metrics: LogMetrics
    private let directory: SessionDirectory
    private let catchUps: FairQueue

    init(
        store: Store, standing: ServerStanding, work: BackgroundWork, metrics: LogMetrics,
        directory: SessionDirectory
    ) {
        self.store = store
        self.standing = standing
        self.work = work
        self.metrics = metrics
        self.directory = directory
        catchUps = .forCatchUps { work.start($0) }
    }

    func log(of customer: Customer.ID) -> CustomerLog {
        logs.withLock { logs in
            if let log = logs[customer] { return log }
            let sent = SentRequests()
            let feed = CustomerFeed(
                customer: customer, store: store, work: work, metrics: metrics, sessionDirectory: directory,
                sent: sent, catchUps: catchUps)
            let appender = LogAppender(
                customer: customer, store: store, standing: standing, work: work, metrics: metrics,
                sent: sent, verify: feed.verified, suspect: { feed.tell(.verify(nil)) }
            ) { [weak self] entries in
                feed.tell(.committed(entries))
                self?.announce(customer)
            }
            let log = CustomerLog(appender: appender, feed: feed)
            logs[customer] = log
            metrics.followers.set(logs.count)
            return log
        }
    }

    /// Tells the feed that the log has grown by something other than the appender, and announces it.
    func changed(_ customer: Customer.ID) {
        log(of: customer).feed.tell(.poll)
        announce(customer)
    }

    func connectionClosed(_ connection: UInt64) {
        for log in logs.withLock({ Array($0.values) }) { log.feed.tell(.connectionClosed(connection)) }
    }

    /// Reads on whenever another server announces entries, and each second in any case, until cancelled: sessions that
    /// find no other server stay on one that is going.
    func run() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { await self.listen() }
            group.addTask { try await self.poll() }
            try await group.waitForAll()
        }
    }

    private func listen() async {
        let ours = "\(standing.identity?.server ?? 0)"
        for await payload in store.database.notifications(on: Self.channel) {
            let fields = payload.split(separator: " ")
            if fields.isEmpty {
                for log in logs.withLock({ Array($0.values) }) { log.feed.tell(.poll) }
            } else if fields[0] != ours {
                let named = fields.dropFirst().compactMap { Customer.ID($0) }
                for log in logs.withLock({ logs in named.compactMap { logs[$0] } }) { log.feed.tell(.poll) }
            }
        }
    }

    private func poll() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: Self.pollEvery)
            let open = logs.withLock { $0 }
            guard !open.isEmpty else { continue }
            do {
                let followed = open.mapValues(\.feed.followedHead)
                for (customer, found) in try await store.heads(
                    of: followed.mapValues { $0?.head.position ?? 0 })
                {
                    guard let feed = open[customer]?.feed else { continue }
                    if let known = followed[customer] ?? nil, known.isContradicted(by: found) {
                        feed.tell(.verify(nil))
                    }
                    if feed.followedPosition < found.head.position { feed.tell(.poll) }
                }
            } catch is CancellationError {
            } catch {
                Logger.current.warning("Polling the logs failed", metadata: ["error": "\(error)"])
            }
        }
    }
}

// MARK: - Announcing

extension CustomerLogs {
    /// Tells other servers that a log has grown: soon, and for many customers in one notification.
    private func announce(_ customer: Customer.ID) {
        // SQLite has one process: there is nobody to tell.
        guard store.database.engine == .postgres else { return }
        let mustStart = grown.withLock { grown in
            grown.customers.insert(customer)
            defer { grown.isAnnouncing = true }
            return !grown.isAnnouncing
        }
        if mustStart { work.start { [self] in await announceUntilQuiet() } }
    }

    private func announceUntilQuiet() async {
        while let customers = nextAnnouncement() {
            let payload = ([standing.identity?.server ?? 0] + customers.map(\.rawValue))
                .map { String($0) }.joined(separator: " ")
            do {
                try await store.database.notify(channel: Self.channel, payload: payload)
                try await Task.sleep(for: Self.announceEvery)
            } catch {
                // The other servers' poll finds the entries within a second.
                Logger.current.debug("Announcing entries failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Customers named in one notification: PostgreSQL takes 8,000 bytes.
    private static let customersAnnounced = 300

    private func nextAnnouncement() -> [Customer.ID]? {
        grown.withLock { grown in
            guard !grown.customers.isEmpty else {
                grown.isAnnouncing = false
                return nil
            }
            let named = Array(grown.customers.prefix(Self.customersAnnounced))
            grown.customers.subtract(named)
            return named
        }
    }
}
