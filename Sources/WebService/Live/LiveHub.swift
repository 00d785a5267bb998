import Domain
import NIOCore
import Observability
import ServiceLink
import Synchronization

/// All live sessions of the process: takes what the servers deliver and hands it to the event loops.
final class LiveHub: LinkPoolEvents {
    let limits: WebServiceLimits
    let messageLimits = MessageLimits()
    let metrics: WebMetrics
    let polls: LongPolls
    let backlogs: BacklogBudget
    private let mailboxes: [LiveMailbox]
    private let indexOfLoop: [ObjectIdentifier: Int]
    /// On which event loop a session lives. A session that is not here yet is looked for on all of them.
    private let homes = Mutex<[UInt64: Int]>([:])
    private let leaving = Atomic(false)
    private let draining = Atomic(false)
    private let named = Mutex("web-service")

    init(group: any EventLoopGroup, limits: WebServiceLimits, metrics: WebMetrics) {
        self.limits = limits
        self.metrics = metrics
        polls = LongPolls(.init(limits))
        backlogs = BacklogBudget(limitBytes: limits.allBacklogBytes, gauge: metrics.backlogBytes)
        var mailboxes: [LiveMailbox] = []
        var indexOfLoop: [ObjectIdentifier: Int] = [:]
        for eventLoop in group.makeIterator() {
            indexOfLoop[ObjectIdentifier(eventLoop)] = mailboxes.count
            mailboxes.append(LiveMailbox(eventLoop: eventLoop, index: mailboxes.count))
        }
        self.mailboxes = mailboxes
        self.indexOfLoop = indexOfLoop
    }

    /// The mailbox of an event loop of the group.
    func mailbox(of eventLoop: any EventLoop) -> LiveMailbox {
        mailboxes[indexOfLoop[ObjectIdentifier(eventLoop)] ?? 0]
    }

    func attached(_ number: UInt64, at mailbox: LiveMailbox) {
        let index = indexOfLoop[ObjectIdentifier(mailbox.eventLoop)] ?? 0
        homes.withLock { $0[number] = index }
    }

    func detached(_ number: UInt64) { homes.withLock { $0[number] = nil } }

    func deliver(_ items: [LinkDelivery.Item], epoch: LogEpoch) {
        let delivery = LiveDelivery(items, epoch: epoch)
        var routes = [[LiveDelivery.Route]](repeating: [], count: mailboxes.count)
        var count = 0
        homes.withLock { homes in
            for (index, item) in items.enumerated() {
                count += item.sessions.count
                for session in item.sessions {
                    let route = LiveDelivery.Route(session: session, item: Int32(index))
                    if let home = homes[session] {
                        routes[home].append(route)
                    } else if !polls.wake(session) {
                        for home in routes.indices { routes[home].append(route) }
                    }
                }
            }
        }
        metrics.deliveries.add(count)
        for (mailbox, routes) in zip(mailboxes, routes) where !routes.isEmpty {
            mailbox.post(.delivery(delivery, routes: routes))
        }
    }

    func followed(_ customer: Int64, to cursor: LogCursor) {
        polls.followed(customer, to: cursor.position)
    }

    /// Has every event loop drop its largest backlog, so that those of the others find room.
    func makeRoom() { for mailbox in mailboxes { mailbox.post(.makeRoom) } }

    /// What the process calls itself towards clients that ask: its machine and its port.
    var name: String { named.withLock { $0 } }

    func call(_ name: String) { named.withLock { $0 = name } }

    // MARK: Going

    /// Whether this process has said that it is going; it may still serve.
    var isLeaving: Bool { leaving.load(ordering: .relaxed) || isDraining }

    func leave() { leaving.store(true, ordering: .relaxed) }

    /// Whether this process takes no more live clients.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Returns when no live connection is left.
    func waitUntilEmpty() async throws {
        for mailbox in mailboxes {
            try await mailbox.eventLoop.flatSubmit { mailbox.loop.whenEmpty() }.get()
        }
    }
}
