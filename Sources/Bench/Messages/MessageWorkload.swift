package import ASMClient

/// What a load of messages is made of.
package struct MessageWorkload: Sendable {
    /// How many threads, each with members of its own.
    package var groups: Int
    package var groupSize: Int
    /// Messages a second of all together; nil: as many as the window lets through.
    package var rate: Double?
    /// How many messages of one user may be without an answer.
    package var window = 8
    package var sizeBytes = 200
    package var warmup = Duration.seconds(3)
    package var duration = Duration.seconds(30)
    /// Event loops of the generator.
    package var threads = 1
    /// How often a client says what was delivered to it.
    package var receiptInterval = Duration.milliseconds(25)

    package init(groups: Int, groupSize: Int) {
        self.groups = groups
        self.groupSize = groupSize
    }

    package var users: Int { groups * groupSize }

    /// Throws `MessagingError` where the load makes no sense.
    package func check() throws(MessagingError) {
        guard groups >= 1, groupSize >= 2, users <= 100_000 else {
            throw Self.bad("there must be at least one group of two, and at most 100000 users")
        }
        guard (1...1_000).contains(window) else { throw Self.bad("the window must be 1 to 1000") }
        guard (BenchText.shortest...65_536).contains(sizeBytes) else {
            throw Self.bad("the size must be \(BenchText.shortest) to 65536 bytes")
        }
        guard (1...64).contains(threads) else { throw Self.bad("there must be 1 to 64 threads") }
        guard rate.map({ $0 > 0 }) ?? true else { throw Self.bad("the rate must be above zero") }
        guard duration > .zero, warmup >= .zero else { throw Self.bad("the times must not be negative") }
    }

    private static func bad(_ problem: String) -> MessagingError {
        MessagingError(code: "bad-request", message: "This load cannot be made: \(problem).")
    }
}
