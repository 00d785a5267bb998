package import Domain

/// Everything that a drill has seen; times count from the first message on.
package struct DrillRecord: Sendable {
    /// A session that sends and reads: somebody at one of the web addresses.
    package struct Path: Sendable, Hashable {
        package let login: String
        /// The web address at which it begins, as an index of `webs`.
        package let web: Int

        package init(login: String, web: Int) { (self.login, self.web) = (login, web) }
    }

    /// The servers that a session goes through.
    package struct Route: Sendable, Hashable {
        /// The web address, as an index of `webs`.
        package let web: Int
        /// What the Web Service calls itself: behind one address there may be several.
        package let webName: String
        /// The ASM Service, as the Web Service's list names it.
        package let server: String

        package init(web: Int, webName: String, server: String) {
            (self.web, self.webName, self.server) = (web, webName, server)
        }
    }

    package struct Answer: Sendable, Hashable {
        package let at: Duration
        package let position: LogPosition
        package let number: EntryNumber
        /// Nil where the servers did not say it.
        package let route: Route?

        package init(at: Duration, position: LogPosition, number: EntryNumber, route: Route?) {
            (self.at, self.position, self.number, self.route) = (at, position, number, route)
        }
    }

    package struct Message: Sendable, Hashable {
        package let path: Int
        /// 1, 2, 3 … of its path.
        package let sequence: Int
        package let sentAt: Duration
        package var answer: Answer?
        /// Why it was refused for good.
        package var refusal: String?
        /// Sent before the time began, to warm up: it must not be lost, but it measures nothing.
        package var isWarmUp: Bool { sentAt == .zero }
        /// The servers asked to send it again later: it may come to stand after younger ones.
        package var wasPostponed = false

        package init(path: Int, sequence: Int, sentAt: Duration, answer: Answer? = nil) {
            (self.path, self.sequence, self.sentAt, self.answer) = (path, sequence, sentAt, answer)
        }
    }

    /// A message as a path's live connection brought it.
    package struct Delivery: Sendable, Hashable {
        package let message: Int
        package let position: LogPosition
        package let at: Duration

        package init(message: Int, position: LogPosition, at: Duration) {
            (self.message, self.position, self.at) = (message, position, at)
        }
    }

    /// Something that happened to a path at a moment.
    package struct Moment<What: Sendable & Hashable>: Sendable, Hashable {
        package let path: Int
        package let at: Duration
        package let what: What

        package init(path: Int, at: Duration, what: What) {
            (self.path, self.at, self.what) = (path, at, what)
        }
    }

    /// Something that the drill itself did to the deployment.
    package struct Action: Sendable, Hashable {
        package let at: Duration
        package let text: String

        package init(at: Duration, text: String) { (self.at, self.text) = (at, text) }
    }

    /// The thread as one reader has it at one web address in the end.
    package struct History: Sendable, Hashable {
        package struct Line: Sendable, Hashable {
            /// The drill's message, if it is one.
            package let message: Int?
            package let number: EntryNumber

            package init(message: Int?, number: EntryNumber) {
                (self.message, self.number) = (message, number)
            }
        }

        package let path: Int
        package let web: Int
        package let lines: [Line]

        package init(path: Int, web: Int, lines: [Line]) {
            (self.path, self.web, self.lines) = (path, web, lines)
        }
    }

    package var plan: DrillPlan
    /// By the clock of the machine that the drill ran on, in Unix milliseconds.
    package var startedAtMilliseconds: Int64 = 0
    /// How long it was watched, with the time after the last message.
    package var length = Duration.zero
    /// When somebody ended it before it was done; nil where it came to its end.
    package var stoppedAfter: Duration?
    package var webs: [String]
    /// The ASM Services that the web addresses know, as far as they said it.
    package var servers: [String] = []
    package var paths: [Path] = []
    package var messages: [Message] = []
    /// For each path.
    package var deliveries: [[Delivery]] = []
    /// Messages that an app has got in whatever way, for each path: live, or loaded after it.
    package var shown: [Set<Int>] = []
    package var routes: [Moment<Route>] = []
    /// Connections that were made again after the first.
    package var reconnects: [Moment<Int>] = []
    /// Connections, or attempts, that ended, with the reason.
    package var ends: [Moment<String>] = []
    package var actions: [Action] = []
    package var histories: [History] = []
    /// Where the history could not be read in the end, and why.
    package var unreadWebs: [Int: String] = [:]
    /// What else a reader should know.
    package var notes: [String] = []

    package init(plan: DrillPlan, webs: [String], paths: [Path]) {
        self.plan = plan
        self.webs = webs
        self.paths = paths
        deliveries = paths.map { _ in [] }
        shown = paths.map { _ in [] }
    }

    /// How long a path usually waits between two messages of its own.
    package var spacing: Duration { .seconds(Double(paths.count) / plan.rate) }
}
